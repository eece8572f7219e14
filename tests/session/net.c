/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/session/net.h"

#include "kdnet/error.h"
#include "service/kdnet-target/machine_internal.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

bool net_knows_rva = true, net_lacks_symbol = false;
static struct test_random host_random;

static int random_bytes(void *user, uint8_t *out, size_t length)
{
    (void)user;
    test_random_fill(&host_random, out, length);
    return KDNET_OK;
}

static enum kdnet_rva_answer find_rva(void *user, const struct kdnet_pdb *pdb, const char *symbol, uint32_t *rva,
                                      enum kdnet_source *source)
{
    char guidage[KDNET_GUIDAGE_SIZE];
    (void)user;
    kdnet_pdb_guidage(pdb, guidage);
    static const struct {
        const char *name;
        uint32_t rva;
    } known[] = {{KDNET_STATUS_SYMBOL, MACHINE_RVA_DUMP_STATUS},
                 {"IopAutoReboot", MACHINE_RVA_AUTO_REBOOT},
                 {"KiBugCheckDriver", MACHINE_RVA_BUGCHECK_DRIVER},
                 {"NtBuildLabEx", MACHINE_RVA_BUILD_LAB_EX}};
    for (size_t i = 0; net_knows_rva && i < sizeof known / sizeof known[0]; ++i) {
        if (strcmp(guidage, MACHINE_GUIDAGE) != 0 || strcmp(symbol, known[i].name) != 0)
            continue;
        *rva = known[i].rva;
        *source = KDNET_SOURCE_RVA;
        return KDNET_RVA_FOUND;
    }
    return net_lacks_symbol ? KDNET_RVA_ABSENT : KDNET_RVA_NO_SYMBOLS;
}

static void want_rvas(void *user, const struct kdnet_pdb *pdb, const char *const *symbols, size_t count)
{
    (void)user;
    (void)pdb;
    (void)symbols;
    (void)count;
}

void net_shared_evidence(struct kdnet_session_shared *shared)
{
    static const struct kdnet_reads reads = {
        .version = 1,
        .count = 4,
        .read = {{"auto_reboot", "nt", "IopAutoReboot", {0}, 0, KDNET_READ_U32, false, true},
                 {"driver", "nt", "KiBugCheckDriver", {0}, 1, KDNET_READ_UNICODE, false, false},
                 {"lab", "nt", "NtBuildLabEx", {0}, 0, KDNET_READ_STRING, true, false},
                 {"nowhere", "missing", "Anything", {0}, 0, KDNET_READ_U8, false, true}}};
    shared->reads = &reads;
    shared->want_rvas = want_rvas;
}

void net_shared_init(struct kdnet_session_shared *shared)
{
    test_random_init(&host_random);
    *shared = (struct kdnet_session_shared){.crypto = kdnet_crypto_new(),
                                            .random = random_bytes,
                                            .find_rva = find_rva,
                                            .read_deadline_us = KDNET_READ_DEADLINE_US,
                                            .lost_after_us = KDNET_LOST_AFTER_US,
                                            .dump_for_us = KDNET_DUMP_FOR_US};
}

void net_shared_clear(struct kdnet_session_shared *shared)
{
    kdnet_crypto_free(shared->crypto);
}

struct kdnet_session_shared net_shared;

int net_afresh(void **state)
{
    (void)state;
    net_knows_rva = true;
    net_lacks_symbol = false;
    net_shared.prints = net_shared.breaks_pass = false;
    return 0;
}

int net_setup(void **state)
{
    net_shared_init(&net_shared);
    return net_afresh(state);
}

int net_setup_evidence(void **state)
{
    int result = net_setup(state);
    net_shared_evidence(&net_shared);
    return result;
}

int net_teardown(void **state)
{
    net_shared_clear(&net_shared);
    return net_afresh(state);
}

void net_expect_unharmed(const struct net_pair *pair)
{
    struct machine_result result;
    machine_result(pair->machine, pair->now_us, &result);
    assert_int_equal(result.state, MACHINE_ENDED);
    assert_int_equal(machine_harm(&result), 0);
    assert_int_equal(result.traps_again, 0);
    assert_int_equal(result.wrong_processors, 0);
    assert_int_equal(result.host_wrong_ids, 0);
}

void net_pair_init(struct net_pair *pair, struct kdnet_session_shared *shared, const struct machine_config *config,
                   uint64_t seed)
{
    struct machine_config filled = *config;
    memset(pair, 0, sizeof *pair);
    pair->shared = shared;
    pair->random.state = seed * 2 + 1;
    pair->now_us = config->start_us;
    kdnet_policy_init(&pair->policy);
    test_random_fill(&pair->random, pair->key.bytes, sizeof pair->key.bytes);
    pair->session = kdnet_session_new(shared, &pair->policy, &pair->key);
    filled.crypto = shared->crypto;
    filled.key = pair->key;
    filled.seed = seed;
    filled.self = (struct kdnet_address){.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 2}, .port = 50000};
    filled.host = (struct kdnet_address){.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}, .port = 50000};
    pair->machine = machine_new(&filled);
}

void net_pair_clear(struct net_pair *pair)
{
    while (pair->flight) {
        struct net_datagram *next = pair->flight->next;
        free(pair->flight);
        pair->flight = next;
    }
    kdnet_session_free(pair->session);
    machine_free(pair->machine);
}

static void launch(struct net_pair *pair, bool to_host, const uint8_t *payload, size_t length)
{
    struct net_datagram *datagram = malloc(sizeof *datagram + length);
    uint64_t jitter = pair->weather.jitter_us > 0 ? test_random_below(&pair->random, pair->weather.jitter_us) : 0;
    datagram->time_us = pair->now_us + pair->weather.delay_us + jitter;
    datagram->to_host = to_host;
    datagram->length = length;
    memcpy(datagram->payload, payload, length);
    struct net_datagram **place = &pair->flight;
    while (*place && (*place)->time_us <= datagram->time_us)
        place = &(*place)->next;
    datagram->next = *place;
    *place = datagram;
}

/* Shows a data datagram's KD packet to the one who tampers, and seals what is left of it. False: it is lost. */
static bool tamper(struct net_pair *pair, bool to_host, uint8_t *payload, size_t *length)
{
    uint8_t plain[KDNET_DATAGRAM_MAX], body[KDNET_BODY_MAX], version, channel;
    struct machine *m = pair->machine;
    struct kdnet_datagram datagram;
    struct kdnet_packet packet;
    struct net_packet open;
    if (kdnet_datagram_peek(payload, *length, &version, &channel) != KDNET_OK || channel != KDNET_CHANNEL_DATA ||
        kdnet_datagram_open(m->crypto, m->data_key, &m->keys.hmac, payload, *length, plain, &datagram) != KDNET_OK ||
        kdnet_packet_decode(datagram.body, datagram.body_length, &packet) != KDNET_OK)
        return true;
    open = (struct net_packet){
        .control = packet.control, .type = packet.type, .id = packet.id, .length = packet.payload_length};
    if (packet.payload_length > 0)
        memcpy(open.payload, packet.payload, packet.payload_length);
    if (!pair->tamper(pair, to_host, &open))
        return false;
    packet = (struct kdnet_packet){.control = open.control,
                                   .type = open.type,
                                   .id = open.id,
                                   .payload = open.payload,
                                   .payload_length = open.length};
    datagram.body = body;
    return kdnet_packet_encode(&packet, body, sizeof body, &datagram.body_length) == KDNET_OK &&
           kdnet_datagram_seal(m->crypto, m->data_key, &m->keys.hmac, &datagram, payload, KDNET_DATAGRAM_MAX, length) ==
               KDNET_OK;
}

static void transmit(struct net_pair *pair, bool to_host, uint8_t *payload, size_t length)
{
    if (pair->watch && !pair->watch(pair, to_host, payload, length))
        return;
    if (pair->tamper && !tamper(pair, to_host, payload, &length))
        return;
    if (test_random_below(&pair->random, 100) >= pair->weather.loss_percent)
        launch(pair, to_host, payload, length);
    if (test_random_below(&pair->random, 100) < pair->weather.repeat_percent)
        launch(pair, to_host, payload, length);
}

/* One datagram more that the host has seen or sent; here it may die. */
static void step(struct net_pair *pair)
{
    ++pair->steps;
    if (pair->steps == pair->dies_at || pair->steps == pair->dies_again_at)
        net_pair_restart(pair);
}

static void take_events(struct net_pair *pair)
{
    struct kdnet_event event;
    while (kdnet_session_next_event(pair->session, &event)) {
        if (pair->event_count < NET_EVENTS) {
            pair->event_us[pair->event_count] = pair->now_us;
            pair->event[pair->event_count] = event;
        }
        if (pair->told)
            pair->told(pair, &event);
        ++pair->event_count;
    }
}

static void drain_host(struct net_pair *pair)
{
    struct kdnet_outgoing out;
    if (!pair->reports_late)
        take_events(pair);
    while (kdnet_session_next_datagram(pair->session, pair->now_us, &out)) {
        ++pair->sent_by_host;
        transmit(pair, false, out.payload, out.length);
        step(pair);
    }
    take_events(pair);
}

static void drain_target(struct net_pair *pair)
{
    uint8_t payload[KDNET_DATAGRAM_MAX];
    size_t length;
    while (machine_next_datagram(pair->machine, pair->now_us, payload, sizeof payload, &length)) {
        ++pair->sent_by_target;
        transmit(pair, true, payload, length);
    }
}

int net_pair_inject(struct net_pair *pair, const uint8_t *payload, size_t length)
{
    struct kdnet_received received;
    int error = kdnet_session_receive(pair->session, payload, length, pair->now_us, &received);
    if (pair->astray && received.astray)
        pair->astray(pair, payload, length);
    step(pair);
    drain_host(pair);
    return error;
}

void net_pair_poll(struct net_pair *pair)
{
    drain_host(pair);
}

static uint64_t next_time(const struct net_pair *pair)
{
    uint64_t time = kdnet_session_deadline(pair->session);
    uint64_t machine = machine_deadline(pair->machine);
    if (machine < time)
        time = machine;
    if (pair->flight && pair->flight->time_us < time)
        time = pair->flight->time_us;
    return time;
}

void net_pair_run(struct net_pair *pair, uint64_t until_us)
{
    drain_target(pair);
    for (uint64_t time = next_time(pair); time <= until_us; time = next_time(pair)) {
        if (time > pair->now_us)
            pair->now_us = time;
        while (pair->flight && pair->flight->time_us <= pair->now_us) {
            struct net_datagram *datagram = pair->flight;
            pair->flight = datagram->next;
            if (datagram->to_host)
                net_pair_inject(pair, datagram->payload, datagram->length);
            else
                machine_receive(pair->machine, datagram->payload, datagram->length, pair->now_us);
            free(datagram);
            drain_target(pair);
        }
        if (machine_deadline(pair->machine) <= pair->now_us) {
            machine_expire(pair->machine, pair->now_us);
            drain_target(pair);
        }
        if (kdnet_session_deadline(pair->session) <= pair->now_us) {
            kdnet_session_expire(pair->session, pair->now_us);
            drain_host(pair);
        }
    }
    pair->now_us = until_us;
}

void net_pair_restart(struct net_pair *pair)
{
    kdnet_session_free(pair->session);
    pair->session = kdnet_session_new(pair->shared, &pair->policy, &pair->key);
}

const struct kdnet_event *net_event(const struct net_pair *pair, enum kdnet_event_type type, unsigned n)
{
    unsigned kept = pair->event_count < NET_EVENTS ? pair->event_count : NET_EVENTS;
    for (unsigned i = 0; i < kept; ++i)
        if (pair->event[i].type == type && n-- == 0)
            return &pair->event[i];
    return NULL;
}

unsigned net_count(const struct net_pair *pair, enum kdnet_event_type type)
{
    unsigned count = 0;
    while (net_event(pair, type, count))
        ++count;
    return count;
}

/* --- in words ----------------------------------------------------------------------------------------------------- */

struct story {
    char *text;
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void say(struct story *story, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(story->text + story->length, NET_STORY_SIZE - story->length, format, arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= NET_STORY_SIZE - story->length)
        abort();
    story->length += (size_t)n;
}

static void say_status(struct story *story, const struct kdnet_event_crash_status *status)
{
    say(story, "crash_status %s %s", kdnet_phase_name(status->phase), kdnet_verdict_name(status->conclusion.verdict));
    if (status->status_known)
        say(story, " %08" PRIx32, status->status);
    if (status->conclusion.reason != KDNET_REASON_NONE)
        say(story, " %s", kdnet_reason_name(status->conclusion.reason));
    if (status->conclusion.source != KDNET_SOURCE_NONE)
        say(story, " from %s", kdnet_source_name(status->conclusion.source));
    if (status->since_first_known)
        say(story, " since");
}

static void say_event(struct story *story, const struct kdnet_event *event)
{
    switch (event->type) {
    case KDNET_EVENT_CONNECTED:
        say(story, "connected v%u%s%s", event->u.connected.version, event->u.connected.rebooted ? " rebooted" : "",
            event->u.connected.took_over ? " took_over" : "");
        break;
    case KDNET_EVENT_KERNEL:
        say(story, "kernel %s %s%s%s", kdnet_who_name((enum kdnet_who)event->u.kernel.who),
            kdnet_machine_name((enum kdnet_machine)event->u.kernel.machine),
            event->u.kernel.build_lab_known ? " lab" : "", event->u.kernel.pdb_known ? " pdb" : "");
        break;
    case KDNET_EVENT_BUGCHECK:
        say(story, "bugcheck %s", event->u.bugcheck.from_memory ? "memory" : "print");
        break;
    case KDNET_EVENT_BREAK_IN:
        say(story, "break_in %s", kdnet_phase_name(event->u.break_in.phase));
        if (event->u.break_in.exception)
            say(story, " %08" PRIx32, event->u.break_in.code);
        break;
    case KDNET_EVENT_CRASH_STATUS:
        say_status(story, &event->u.crash_status);
        break;
    case KDNET_EVENT_RELEASED:
        say(story, "released %s", kdnet_action_name(event->u.released.action));
        break;
    case KDNET_EVENT_LOST:
        say(story, "lost%s", event->u.lost.halted ? " halted" : "");
        break;
    case KDNET_EVENT_PRINT:
        say(story, "print");
        break;
    case KDNET_EVENT_BREAK_STORM:
        say(story, "break_storm");
        break;
    case KDNET_EVENT_HELD:
        say(story, "held %s", kdnet_break_kind_name(event->u.held.why));
        break;
    case KDNET_EVENT_SUPPRESSED:
        say(story, "suppressed %u", (unsigned)event->u.suppressed.count);
        break;
    case KDNET_EVENT_NO_LAST_BREAK:
        say(story, "no_last_break%s", event->u.no_last_break.rebooted ? " rebooted" : "");
        break;
    case KDNET_EVENT_TYPES:
        break;
    }
}

void net_story(const struct net_pair *pair, char out[static NET_STORY_SIZE])
{
    struct story story = {.text = out};
    out[0] = '\0';
    for (unsigned i = 0; i < pair->event_count && i < NET_EVENTS; ++i) {
        if (i > 0)
            say(&story, "; ");
        say_event(&story, &pair->event[i]);
    }
}
