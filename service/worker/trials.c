/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/trials.h"

#include <stdlib.h>
#include <string.h>

#define AHEAD ((size_t)16)

enum stage { STAGE_IP, STAGE_UNSEEN, STAGE_UNSEEN_ANY, STAGE_SEEN, STAGE_SEEN_ANY, STAGE_OLD, STAGE_OLD_ANY, STAGES };

struct batch {
    size_t count;
    struct kdnet_key_filter_block blocks[TRIALS_BATCH];
    uint32_t tags[TRIALS_BATCH];
    uint16_t places[TRIALS_BATCH];
    enum stage stage;
    size_t at;      /* STAGE_IP: poke; else: row of the group */
    uint32_t id;    /* STAGE_IP: row of the poke's chain that was tried last; TARGETS_NONE: none yet */
    uint64_t order; /* of the targets when it began */
};

struct trials_port {
    uint16_t port;
    uint16_t first, last; /* of its queue: place + 1 */
    size_t count;         /* in its queue and its batch */
    struct batch *batch;
};

bool trials_init(struct trials *trials, uint64_t seed)
{
    memset(trials, 0, sizeof *trials);
    trials->seed = seed;
    trials->places = calloc(TRIALS_QUEUE, sizeof *trials->places);
    trials->chains = calloc(TRIALS_CHAINS, sizeof *trials->chains);
    trials->ips = calloc(TRIALS_IPS, sizeof *trials->ips);
    if (!trials->places || !trials->chains || !trials->ips)
        return false;
    for (uint16_t i = 0; i < TRIALS_QUEUE; ++i)
        trials->places[i].next = i + 1U < TRIALS_QUEUE ? (uint16_t)(i + 2) : 0;
    trials->free = 1;
    return true;
}

void trials_clear(struct trials *trials)
{
    for (size_t i = 0; i < trials->port_count; ++i)
        free(trials->ports[i].batch);
    free(trials->ports);
    free(trials->places);
    free(trials->chains);
    free(trials->ips);
    memset(trials, 0, sizeof *trials);
}

static uint16_t *chain_of(const struct trials *trials, const struct address *source, uint16_t local_port)
{
    return &trials->chains[(address_hash(source, trials->seed) + local_port) % TRIALS_CHAINS];
}

static bool is_queued(const struct trials *trials, const struct address *source, uint16_t local_port)
{
    for (uint16_t at = *chain_of(trials, source, local_port); at != 0; at = trials->places[at - 1].next_in_chain)
        if (trials->places[at - 1].local_port == local_port && address_equal(&trials->places[at - 1].source, source))
            return true;
    return false;
}

static uint16_t *ip_counter(const struct trials *trials, const struct address *source)
{
    return &trials->ips[address_hash_ip(source->ip, trials->seed) % TRIALS_IPS];
}

/* NULL: out of memory. */
static struct trials_port *port_of(struct trials *trials, uint16_t local_port)
{
    for (size_t i = 0; i < trials->port_count; ++i)
        if (trials->ports[i].port == local_port)
            return &trials->ports[i];
    struct trials_port *ports = realloc(trials->ports, (trials->port_count + 1) * sizeof *ports);
    if (!ports)
        return NULL;
    trials->ports = ports;
    struct batch *batch = calloc(1, sizeof *batch);
    if (!batch)
        return NULL;
    ports[trials->port_count] = (struct trials_port){.port = local_port, .batch = batch};
    return &ports[trials->port_count++];
}

static bool has_room(const struct trials *trials, const struct trials_port *port, const struct address *source)
{
    if (trials->free == 0 || *ip_counter(trials, source) >= TRIALS_PER_IP)
        return false;
    return port->count < TRIALS_PER_PORT || port->count == trials->count;
}

static void append(struct trials *trials, struct trials_port *port, uint16_t place)
{
    trials->places[place - 1].next = 0;
    if (port->last != 0)
        trials->places[port->last - 1].next = place;
    else
        port->first = place;
    port->last = place;
}

bool trials_add(struct trials *trials, const struct address *source, const struct trials_origin *origin,
                const uint8_t *payload, size_t length)
{
    uint16_t local_port = origin->local_port;
    if (length > TRIALS_PAYLOAD)
        return false;
    if (is_queued(trials, source, local_port))
        return true;
    struct trials_port *port = port_of(trials, local_port);
    if (!port || !has_room(trials, port, source))
        return false;
    uint16_t place = trials->free, *chain = chain_of(trials, source, local_port);
    struct trial *trial = &trials->places[place - 1];
    trials->free = trial->next;
    trial->source = *source;
    trial->listener_id = origin->listener_id;
    trial->hops = origin->hops;
    trial->local_port = local_port;
    trial->length = (uint16_t)length;
    memcpy(trial->payload, payload, length);
    trial->next_in_chain = *chain;
    *chain = place;
    ++*ip_counter(trials, source);
    append(trials, port, place);
    ++port->count;
    ++trials->count;
    return true;
}

/* Its place in the batch is given to the last one. */
static void remove_from_batch(struct trials *trials, struct trials_port *port, size_t at)
{
    struct batch *batch = port->batch;
    uint16_t place = batch->places[at];
    struct trial *trial = &trials->places[place - 1];
    uint16_t *link = chain_of(trials, &trial->source, trial->local_port);
    while (*link != place)
        link = &trials->places[*link - 1].next_in_chain;
    *link = trial->next_in_chain;
    --*ip_counter(trials, &trial->source);
    trial->next = trials->free;
    trials->free = place;
    --trials->count;
    --port->count;
    --batch->count;
    batch->blocks[at] = batch->blocks[batch->count];
    batch->tags[at] = batch->tags[batch->count];
    batch->places[at] = batch->places[batch->count];
}

static void begin_stages(struct batch *batch, const struct targets *targets)
{
    batch->stage = STAGE_IP;
    batch->at = 0;
    batch->id = TARGETS_NONE;
    batch->order = targets->order;
}

static void fill_batch(struct trials *trials, struct trials_port *port, const struct targets *targets)
{
    struct batch *batch = port->batch;
    while (port->first != 0 && batch->count < TRIALS_BATCH) {
        const struct trial *trial = &trials->places[port->first - 1];
        batch->places[batch->count] = port->first;
        kdnet_key_filter_take(trial->payload, trial->length, &batch->blocks[batch->count], &batch->tags[batch->count]);
        ++batch->count;
        port->first = trial->next;
    }
    if (port->first == 0)
        port->last = 0;
    begin_stages(batch, targets);
}

/* From the last hit to the first: a poke that leaves has the last one put into its place, which is done with. More than
 * one key may pass for a poke. */
static void open_hits(struct trials *trials, struct trials_port *port, struct target *const *rows, size_t from,
                      const struct kdnet_key_filter_hit *hits, size_t found, const struct trials_calls *calls)
{
    struct batch *batch = port->batch;
    size_t gone = TRIALS_BATCH;
    while (found-- > 0) {
        size_t at = from + hits[found].block;
        if (at == gone || !calls->open(calls->user, rows[hits[found].key], &trials->places[batch->places[at] - 1]))
            continue;
        remove_from_batch(trials, port, at);
        gone = at;
        ++trials->opened;
    }
}

/* Tries keys on `count` pokes of the batch from `from` on, until some have hits. Returns how many keys. */
static size_t try_keys(struct trials *trials, struct trials_port *port, struct target *const *rows, size_t row_count,
                       size_t from, size_t count, const struct trials_calls *calls)
{
    struct batch *batch = port->batch;
    struct kdnet_key_filter_hit hits[KDNET_KEY_FILTER_TOGETHER * TRIALS_BATCH];
    const struct kdnet_key_filter_batch pile = {batch->blocks + from, batch->tags + from, count};
    size_t found = 0, tried = calls->sift(calls->user, rows, row_count, &pile, hits, &found);
    if (tried < row_count)
        batch->at = rows[tried]->list_at; /* the others come again */
    trials->tried += tried;
    open_hits(trials, port, rows, from, hits, found, calls);
    return tried;
}

/* One row with the configured address of one poke. */
static size_t step_ip(struct trials *trials, struct trials_port *port, const struct targets *targets,
                      const struct trials_calls *calls)
{
    struct batch *batch = port->batch;
    size_t before = batch->count;
    const struct trial *trial = &trials->places[batch->places[batch->at] - 1];
    struct target *row = targets_row(targets, batch->id);
    batch->id = row ? row->next_same_ip : targets_with_ip(targets, trial->source.ip);
    row = targets_row(targets, batch->id);
    size_t units = 1;
    if (row && targets_may_be(row, &trial->source, trial->local_port))
        units = try_keys(trials, port, &row, 1, batch->at, 1, calls) * (calls->key_units + 1);
    if (batch->count < before) { /* opened: another poke is in its place */
        batch->id = TARGETS_NONE;
    } else if (!row || row->next_same_ip == TARGETS_NONE) {
        ++batch->at;
        batch->id = TARGETS_NONE;
    }
    if (batch->at >= batch->count) {
        ++batch->stage;
        batch->at = 0;
    }
    return units;
}

/* Trying a key takes less time than to fetch it. Nothing of the row is read: its session, with the key, is behind it.
 */
static void fetch_ahead(const struct targets *targets, const struct targets_group *group, size_t at)
{
    if (at + AHEAD < group->count && group->ids[at + AHEAD] != TARGETS_NONE)
        kdnet_session_prefetch_key(targets_session(targets_known(targets, group->ids[at + AHEAD])));
}

/* The next rows of a group from `at` on, at most `most`. Returns how many. */
static size_t next_rows(const struct targets *targets, const struct targets_group *group, bool seen, size_t *at,
                        size_t most, struct target *rows[static TRIALS_KEYS])
{
    size_t count = 0;
    while (count < most && count < TRIALS_KEYS && (*at = targets_group_next(group, seen, *at)) < group->count) {
        fetch_ahead(targets, group, *at);
        rows[count] = targets_row(targets, group->ids[(*at)++]);
        count += rows[count] != NULL; /* not a gap */
    }
    return count;
}

/* Some rows of a group, for the whole batch: about `units` of work. */
static size_t step_group(struct trials *trials, struct trials_port *port, const struct targets *targets, size_t units,
                         const struct trials_calls *calls)
{
    struct batch *batch = port->batch;
    struct target *rows[TRIALS_KEYS];
    bool any = (batch->stage - STAGE_UNSEEN) % 2 != 0, seen = batch->stage >= STAGE_SEEN;
    const struct targets_group *group = targets_group_of(targets, any ? 0 : port->port, batch->stage >= STAGE_OLD);
    size_t each = calls->key_units + batch->count, most = units / each + 1;
    size_t count = group ? next_rows(targets, group, seen, &batch->at, most, rows) : 0;
    if (count > 0)
        return try_keys(trials, port, rows, count, 0, batch->count, calls) * each;
    ++batch->stage;
    batch->at = 0;
    return 1;
}

/* No key opens those that are left. */
static size_t end_batch(struct trials *trials, struct trials_port *port, const struct trials_calls *calls)
{
    struct batch *batch = port->batch;
    size_t units = batch->count;
    trials->unknown += batch->count;
    while (batch->count > 0) {
        calls->unknown(calls->user, &trials->places[batch->places[batch->count - 1] - 1]);
        remove_from_batch(trials, port, batch->count - 1);
    }
    return units;
}

static size_t step(struct trials *trials, struct trials_port *port, const struct targets *targets, size_t units,
                   const struct trials_calls *calls)
{
    struct batch *batch = port->batch;
    if (batch->count > 0 && batch->order != targets->order)
        begin_stages(batch, targets);
    if (batch->count == 0)
        fill_batch(trials, port, targets);
    if (batch->stage == STAGE_IP)
        return step_ip(trials, port, targets, calls);
    if (batch->stage < STAGES)
        return step_group(trials, port, targets, units, calls);
    return end_batch(trials, port, calls);
}

size_t trials_work(struct trials *trials, const struct targets *targets, size_t units, const struct trials_calls *calls)
{
    size_t done = 0;
    if (trials->count == 0)
        return 0;
    do
        trials->turn = (trials->turn + 1) % trials->port_count;
    while (trials->ports[trials->turn].count == 0);
    struct trials_port *port = &trials->ports[trials->turn];
    while (done < units && port->count > 0)
        done += step(trials, port, targets, units - done, calls);
    return done;
}
