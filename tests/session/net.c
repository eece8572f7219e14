/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/session/net.h"

#include "kdnet/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool net_knows_rva = true;
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
    if (!net_knows_rva || strcmp(guidage, MACHINE_GUIDAGE) != 0 || strcmp(symbol, KDNET_STATUS_SYMBOL) != 0)
        return KDNET_RVA_NO_SYMBOLS;
    *rva = MACHINE_RVA_DUMP_STATUS;
    *source = KDNET_SOURCE_RVA;
    return KDNET_RVA_FOUND;
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

static void transmit(struct net_pair *pair, bool to_host, const uint8_t *payload, size_t length)
{
    if (test_random_below(&pair->random, 100) >= pair->weather.loss_percent)
        launch(pair, to_host, payload, length);
    if (test_random_below(&pair->random, 100) < pair->weather.repeat_percent)
        launch(pair, to_host, payload, length);
}

static void drain_host(struct net_pair *pair)
{
    struct kdnet_outgoing out;
    struct kdnet_event event;
    while (kdnet_session_next_datagram(pair->session, pair->now_us, &out)) {
        ++pair->sent_by_host;
        transmit(pair, false, out.payload, out.length);
    }
    while (kdnet_session_next_event(pair->session, &event)) {
        if (pair->event_count < NET_EVENTS) {
            pair->event_us[pair->event_count] = pair->now_us;
            pair->event[pair->event_count] = event;
        }
        ++pair->event_count;
    }
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
    drain_host(pair);
    return error;
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
