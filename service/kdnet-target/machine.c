/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/error.h"
#include "kdnet/base/wire.h"
#include "service/kdnet-target/machine_internal.h"
#include "service/kdnet-target/replay.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_VERSION   5
#define DEFAULT_DUMP_MS   300
#define DEFAULT_REBOOT_MS 200
#define DEFAULT_BUGCHECK  0xd1
#define POKE_STEP         3 /* of the control sequence */
#define POKE_DATAGRAM_MAX 384

uint64_t machine_draw(struct machine *m)
{
    /* splitmix64: any seed, also 0, gives a good sequence */
    m->random_state += 0x9e3779b97f4a7c15U;
    uint64_t z = m->random_state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

void machine_default_pdb(struct kdnet_pdb *out)
{
    static const uint8_t guid[16] = {0x45, 0x4e, 0x44, 0x4b, 0x2d, 0x54, 0x41, 0x54, 'R', 'G', 'E', 'T', 0, 0, 0, 1};
    memset(out, 0, sizeof *out);
    memcpy(out->guid, guid, sizeof guid);
    memcpy(out->name, "ntkrnlmp.pdb", sizeof "ntkrnlmp.pdb");
    out->age = 1;
}

static void draw_random(struct machine *m)
{
    for (size_t i = 0; i < sizeof m->random; ++i)
        m->random[i] = (uint8_t)machine_draw(m);
    memset(m->recent, 0, sizeof m->recent);
}

static void set_defaults(struct machine_config *config)
{
    if (config->version == 0 && config->replay) {
        struct replay_summary summary;
        machine_replay_summary(config->replay, &summary);
        config->version = summary.version;
    }
    if (config->version == 0)
        config->version = DEFAULT_VERSION;
    if (config->machine == KDNET_MACHINE_UNKNOWN)
        config->machine = KDNET_MACHINE_X64;
    if (config->dump_ms == 0)
        config->dump_ms = DEFAULT_DUMP_MS;
    if (config->reboot_ms == 0)
        config->reboot_ms = DEFAULT_REBOOT_MS;
    if (config->bugcheck == 0)
        config->bugcheck = DEFAULT_BUGCHECK;
    if (!config->scenario)
        config->scenario = "idle";
}

static enum kdnet_machine replay_machine(const struct machine_replay *replay)
{
    struct replay_summary summary;
    machine_replay_summary(replay, &summary);
    return summary.machine;
}

struct machine *machine_new(const struct machine_config *config)
{
    struct machine *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->config = *config;
    set_defaults(&m->config);
    m->crypto = config->crypto;
    m->random_state = config->seed;
    m->loss_state = config->seed ^ UINT64_C(0x10557);
    if (config->replay)
        m->config.machine = replay_machine(config->replay);
    m->layout = kdnet_machine_layout(m->config.machine);
    m->pending_size = config->replay ? PENDING_SIZE_ANY : PENDING_SIZE;
    m->pending_body = malloc(m->pending_size);
    if (!m->layout || !m->pending_body || !scenario_choose(m)) {
        machine_free(m);
        return NULL;
    }
    m->random_state += config->run; /* the scenario is drawn from the seed alone */
    machine_default_pdb(&m->pdb);
    if (config->pdb)
        m->pdb = *config->pdb;
    m->config.pdb = NULL;
    kdnet_keys_init(&m->keys, &config->key);
    draw_random(m);
    memory_place(m);
    link_reset(m);
    m->counts.boots = 1;
    m->held_us = m->say_us = MACHINE_NEVER;
    m->next_poke_us = config->start_us;
    return m;
}

void machine_free(struct machine *m)
{
    if (!m)
        return;
    free(m->pending_body);
    think_free(m);
    free(m->recordings);
    path_clear(&m->in);
    path_clear(&m->out);
    kdnet_crypto_wipe(m, sizeof *m);
    free(m);
}

void machine_push(struct machine *m, enum outbox_kind kind, uint16_t type, uint32_t id)
{
    if (m->outbox_count == OUTBOX_SIZE)
        return; /* like a full network card: the packet is retransmitted later */
    size_t at = (m->outbox_first + m->outbox_count++) % OUTBOX_SIZE;
    m->outbox[at] = (struct outbox_item){.kind = (uint8_t)kind, .type = type, .id = id};
}

void machine_poke_now(struct machine *m)
{
    machine_push(m, OUT_POKE, 0, 0);
}

void machine_forget_connection(struct machine *m, bool fresh_boot)
{
    m->keyed = false;
    m->outbox_count = 0;
    if (fresh_boot) {
        draw_random(m);
        link_reset(m);
        ++m->counts.boots;
    }
}

void machine_set_address(struct machine *m, const struct kdnet_address *self)
{
    m->config.self = *self;
}

/* Receiving */

static bool echoes_a_poke(const struct machine *m, const struct kdnet_response *response, uint64_t sequence)
{
    if (!kdnet_poke_same_run(response->target_random, m->random))
        return false;
    uint64_t count = kdnet_get_le64(response->target_random);
    for (size_t i = 0; i < RECENT_POKES; ++i)
        if (m->recent[i].used && m->recent[i].count == count && m->recent[i].sequence == sequence)
            return true;
    return false;
}

static void take_response(struct machine *m, const struct kdnet_datagram *datagram)
{
    struct kdnet_response response;
    uint8_t key[KDNET_AES_KEY_LENGTH];
    if (m->taken || kdnet_response_decode(datagram->body, datagram->body_length, &response) != KDNET_OK ||
        !echoes_a_poke(m, &response, datagram->sequence)) {
        ++m->counts.rejected;
        return;
    }
    harm_by_response(m, &response);
    kdnet_data_key(&m->keys.control, datagram->body, key);
    bool same = m->keyed && memcmp(key, m->data_key, sizeof key) == 0;
    memcpy(m->data_key, key, sizeof key);
    m->host_mark = 0;
    if (same)
        return; /* the network duplicated it; our own sequence advances, or the host would take it for old */
    m->keyed = true;
    m->data_sequence = 0;
    ++m->counts.handshakes;
    machine_push(m, OUT_CHECK, 0, 0);
    link_connected(m);
}

static void take_data_datagram(struct machine *m, const struct kdnet_datagram *datagram, uint64_t now_us)
{
    if (datagram->sequence <= m->host_mark) {
        ++m->counts.stale;
        return;
    }
    m->host_mark = datagram->sequence;
    link_receive(m, datagram->body, datagram->body_length, now_us);
}

void machine_receive(struct machine *m, const uint8_t *payload, size_t length, uint64_t now_us)
{
    uint64_t delay_us = path_delay_us(m, now_us);
    if (path_loses(m))
        return;
    if (delay_us > 0 || m->in.first || think_is_busy(m))
        path_put(&m->in, payload, length, now_us + delay_us);
    else
        machine_take(m, payload, length, now_us);
}

void machine_take(struct machine *m, const uint8_t *payload, size_t length, uint64_t now_us)
{
    uint8_t plain[KDNET_DATAGRAM_MAX], version, channel;
    struct kdnet_datagram datagram;
    if (m->silent || m->deaf || now_us < m->config.start_us)
        return;
    if (kdnet_datagram_peek(payload, length, &version, &channel) != KDNET_OK || version != m->config.version ||
        (channel == KDNET_CHANNEL_DATA && !m->keyed)) {
        ++m->counts.rejected;
        return;
    }
    const uint8_t *key = channel == KDNET_CHANNEL_DATA ? m->data_key : m->keys.control.bytes;
    if (kdnet_datagram_open(m->crypto, key, &m->keys.hmac, payload, length, plain, &datagram) != KDNET_OK ||
        !datagram.from_host) {
        ++m->counts.rejected;
        return;
    }
    if (channel == KDNET_CHANNEL_DATA)
        take_data_datagram(m, &datagram, now_us);
    else if (datagram.body_length == 0)
        machine_poke_now(m);
    else
        take_response(m, &datagram);
    scenario_run(m, now_us);
}

/* Sending */

/* A target's statement that it is not connected: ::ffff:0.0.0.0, port 0 [cap frame 1]. */
static const struct kdnet_address nobody = {.ip = {[10] = 0xff, [11] = 0xff}};

/* The host that a machine names when another host has taken it: a documentation address. */
static const struct kdnet_address other_host = {.ip = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 99}, .port = 50000};

static size_t make_poke(struct machine *m, uint8_t *body, uint64_t *sequence)
{
    struct kdnet_poke poke = {.target = m->config.self, .host = m->config.host};
    ++m->counts.pokes;
    kdnet_put_le64(m->random, kdnet_get_le64(m->random) + 1);
    m->control_sequence += POKE_STEP;
    for (size_t i = RECENT_POKES - 1; i > 0; --i)
        m->recent[i] = m->recent[i - 1];
    m->recent[0].used = true;
    m->recent[0].count = kdnet_get_le64(m->random);
    m->recent[0].sequence = m->control_sequence;
    poke.connected = m->taken ? other_host : m->keyed ? m->config.host : nobody;
    memcpy(poke.random, m->random, sizeof poke.random);
    kdnet_poke_encode(&poke, body);
    *sequence = m->control_sequence;
    return KDNET_POKE_LENGTH;
}

/* Returns the length of the body, 0 when the item has become pointless. */
static size_t make_body(struct machine *m, const struct outbox_item *item, uint64_t now_us, uint8_t *body,
                        struct kdnet_datagram *datagram)
{
    size_t length = 0;
    if (item->kind == OUT_POKE) {
        datagram->channel = KDNET_CHANNEL_CONTROL;
        return make_poke(m, body, &datagram->sequence);
    }
    if (!m->keyed)
        return 0;
    if (item->kind == OUT_CHECK) {
        kdnet_check_encode(m->config.host.ip + 12, body);
        length = KDNET_CHECK_LENGTH;
    } else if (item->kind == OUT_CONTROL) {
        struct kdnet_packet packet = {.control = true, .type = item->type, .id = item->id};
        if (kdnet_packet_encode(&packet, body, KDNET_BODY_MAX, &length) != KDNET_OK)
            return 0;
    } else if (m->pending) {
        memcpy(body, m->pending_body, m->pending_length);
        length = m->pending_length;
        m->pending_sent_us = now_us;
    }
    if (length > 0)
        datagram->sequence = ++m->data_sequence;
    return length;
}

/* Keeps the first poke of a boot, as anybody on the way can. */
static void record(struct machine *m, const uint8_t *datagram, size_t length)
{
    if (m->recorded_boot == m->counts.boots || m->recorded_boot == MACHINE_RECORDINGS || length > POKE_DATAGRAM_MAX)
        return;
    if (!m->recordings)
        m->recordings = calloc(MACHINE_RECORDINGS, POKE_DATAGRAM_MAX);
    if (!m->recordings)
        return;
    memcpy(m->recordings + (size_t)m->recorded_boot * POKE_DATAGRAM_MAX, datagram, length);
    m->recording_length[m->recorded_boot++] = (uint16_t)length;
}

const uint8_t *machine_recording(const struct machine *m, unsigned n, size_t *length)
{
    if (!m->replays || n >= m->recorded_boot)
        return NULL;
    *length = m->recording_length[n];
    return m->recordings + (size_t)n * POKE_DATAGRAM_MAX;
}

/* Handles one datagram that came while the machine was busy, or was delayed; false: none. */
static bool take_waiting(struct machine *m, uint64_t now_us)
{
    uint8_t datagram[KDNET_DATAGRAM_MAX];
    size_t length;
    if (think_is_busy(m) || !path_take(&m->in, now_us, datagram, &length))
        return false;
    machine_take(m, datagram, length, now_us);
    return true;
}

static bool make_datagram(struct machine *m, uint64_t now_us, uint8_t *out, size_t size, size_t *length)
{
    uint8_t body[KDNET_BODY_MAX];
    while (m->outbox_count > 0 || take_waiting(m, now_us)) {
        if (m->outbox_count == 0)
            continue;
        struct outbox_item item = m->outbox[m->outbox_first];
        m->outbox_first = (m->outbox_first + 1) % OUTBOX_SIZE;
        --m->outbox_count;
        struct kdnet_datagram datagram = {.version = m->config.version, .body = body};
        datagram.body_length = make_body(m, &item, now_us, body, &datagram);
        if (datagram.body_length == 0)
            continue;
        const uint8_t *key = datagram.channel == KDNET_CHANNEL_DATA ? m->data_key : m->keys.control.bytes;
        if (kdnet_datagram_seal(m->crypto, key, &m->keys.hmac, &datagram, out, size, length) == KDNET_OK) {
            if (item.kind == OUT_POKE && m->records)
                record(m, out, *length);
            return true;
        }
    }
    return false;
}

bool machine_next_datagram(struct machine *m, uint64_t now_us, uint8_t *out, size_t size, size_t *length)
{
    uint8_t datagram[KDNET_DATAGRAM_MAX];
    uint64_t delay_us = path_delay_us(m, now_us);
    bool direct = delay_us == 0 && !m->out.first;
    while (make_datagram(m, now_us, direct ? out : datagram, direct ? size : sizeof datagram, length)) {
        if (path_loses(m))
            continue;
        if (direct)
            return true;
        path_put(&m->out, datagram, *length, now_us + delay_us);
    }
    return path_take(&m->out, now_us, out, length);
}

/* Time */

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t machine_deadline(const struct machine *m)
{
    uint64_t deadline = sooner(think_deadline(m), path_due(&m->out));
    if (think_is_busy(m))
        return deadline;
    deadline = sooner(deadline, m->silent ? MACHINE_NEVER : m->next_poke_us);
    deadline = sooner(deadline, link_deadline(m));
    deadline = sooner(deadline, path_due(&m->in));
    deadline = sooner(deadline, m->say_us);
    return m->wake_us != 0 ? sooner(deadline, m->wake_us) : deadline;
}

void machine_expire(struct machine *m, uint64_t now_us)
{
    if (now_us < m->config.start_us)
        return;
    think_expire(m, now_us);
    if (think_is_busy(m))
        return;
    if (m->wake_us != 0 && now_us >= m->wake_us) {
        m->wake_us = 0;
        if (m->silent)
            m->next_poke_us = now_us;
        m->silent = false;
    }
    if (!m->silent && now_us >= m->next_poke_us) {
        machine_poke_now(m);
        m->next_poke_us += MACHINE_POKE_US;
        if (m->next_poke_us <= now_us)
            m->next_poke_us = now_us + MACHINE_POKE_US;
    }
    scenario_beg(m, now_us);
    link_retransmit(m, now_us);
    scenario_run(m, now_us);
}

/* Observers */

bool machine_is_halted(const struct machine *m)
{
    return m->wait != WAIT_NONE;
}

bool machine_is_ended(const struct machine *m, uint64_t now_us)
{
    return m->ended || (m->held_us != MACHINE_NEVER && now_us - m->held_us >= MACHINE_HOLD_US);
}

void machine_result(const struct machine *m, uint64_t now_us, struct machine_result *out)
{
    *out = m->counts;
    out->scenario = m->config.replay ? "replay" : m->config.scenario;
    out->kernel_base = m->kernel_base;
    out->dump_status = m->dump_status;
    out->state = machine_is_ended(m, now_us) ? MACHINE_ENDED : machine_is_halted(m) ? MACHINE_HALTED : MACHINE_RUNNING;
    if (machine_is_halted(m)) {
        uint64_t halt = now_us - m->counts.halted_since_us;
        out->halted_us += halt;
        if (halt > out->longest_halt_us)
            out->longest_halt_us = halt;
    } else {
        out->halted_since_us = 0;
    }
}
