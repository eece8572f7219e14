/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/key_search.h"
#include "kdnet/wire/datagram.h"

#include <stdlib.h>
#include <string.h>

#define AHEAD     ((size_t)16)
#define USED_KEPT 256U /* slots whose memory stays when nothing waits */

enum stage { STAGE_IP, STAGE_UNSEEN, STAGE_UNSEEN_ANY, STAGE_SEEN, STAGE_SEEN_ANY, STAGE_OLD, STAGE_OLD_ANY, STAGES };

struct batch {
    size_t count;
    struct kdnet_key_filter_block blocks[KEY_SEARCH_BATCH];
    uint32_t tags[KEY_SEARCH_BATCH];
    uint16_t slots[KEY_SEARCH_BATCH];
    enum stage stage;
    size_t at;      /* STAGE_IP: poke; else: row of the group */
    uint32_t id;    /* STAGE_IP: last tried row of the poke's chain; TARGETS_NONE: none yet */
    uint64_t order; /* order of the targets when the search began */
};

struct key_search_port {
    uint16_t port;
    uint16_t first, last; /* ends of its queue: index + 1 */
    size_t count;         /* pokes in its queue and its batch */
    struct batch *batch;
};

bool key_search_init(struct key_search *key_search, uint64_t seed)
{
    memset(key_search, 0, sizeof *key_search);
    key_search->seed = seed;
    key_search->slots = calloc(KEY_SEARCH_QUEUE, sizeof *key_search->slots);
    key_search->chains = calloc(KEY_SEARCH_CHAINS, sizeof *key_search->chains);
    key_search->ips = calloc(KEY_SEARCH_IPS, sizeof *key_search->ips);
    if (!key_search->slots || !key_search->chains || !key_search->ips)
        return false;
    return true;
}

void key_search_clear(struct key_search *key_search)
{
    for (size_t i = 0; i < key_search->port_count; ++i)
        free(key_search->ports[i].batch);
    free(key_search->ports);
    free(key_search->slots);
    free(key_search->chains);
    free(key_search->ips);
    memset(key_search, 0, sizeof *key_search);
}

static uint16_t *chain_of(const struct key_search *key_search, const struct address *source, uint16_t local_port)
{
    return &key_search->chains[(address_hash(source, key_search->seed) + local_port) % KEY_SEARCH_CHAINS];
}

static bool is_queued(const struct key_search *key_search, const struct address *source, uint16_t local_port)
{
    for (uint16_t at = *chain_of(key_search, source, local_port); at != 0; at = key_search->slots[at - 1].next_in_chain)
        if (key_search->slots[at - 1].local_port == local_port &&
            address_equal(&key_search->slots[at - 1].source, source))
            return true;
    return false;
}

static uint16_t *ip_counter(const struct key_search *key_search, const struct address *source)
{
    return &key_search->ips[address_hash_ip(source->ip, key_search->seed) % KEY_SEARCH_IPS];
}

/* NULL: out of memory. */
static struct key_search_port *port_of(struct key_search *key_search, uint16_t local_port)
{
    for (size_t i = 0; i < key_search->port_count; ++i)
        if (key_search->ports[i].port == local_port)
            return &key_search->ports[i];
    struct key_search_port *ports = realloc(key_search->ports, (key_search->port_count + 1) * sizeof *ports);
    if (!ports)
        return NULL;
    key_search->ports = ports;
    struct batch *batch = calloc(1, sizeof *batch);
    if (!batch)
        return NULL;
    ports[key_search->port_count] = (struct key_search_port){.port = local_port, .batch = batch};
    return &ports[key_search->port_count++];
}

static bool has_room(const struct key_search *key_search, const struct key_search_port *port,
                     const struct address *source)
{
    if (key_search->count == KEY_SEARCH_QUEUE || *ip_counter(key_search, source) >= KEY_SEARCH_PER_IP)
        return false;
    return port->count < KEY_SEARCH_PER_PORT || port->count == key_search->count;
}

/* Takes a free entry; entries that were never used come last, so that their memory stays untouched at the start.
 * There is room. */
static uint16_t take_slot(struct key_search *key_search)
{
    uint16_t slot = key_search->free;
    if (slot == 0)
        return ++key_search->used;
    key_search->free = key_search->slots[slot - 1].next;
    return slot;
}

static void append(struct key_search *key_search, struct key_search_port *port, uint16_t slot)
{
    key_search->slots[slot - 1].next = 0;
    if (port->last != 0)
        key_search->slots[port->last - 1].next = slot;
    else
        port->first = slot;
    port->last = slot;
}

bool key_search_add(struct key_search *key_search, const struct address *source, const struct key_search_origin *origin,
                    const uint8_t *payload, size_t length)
{
    uint16_t local_port = origin->local_port;
    if (length > KEY_SEARCH_PAYLOAD)
        return false;
    if (is_queued(key_search, source, local_port))
        return true;
    struct key_search_port *port = port_of(key_search, local_port);
    if (!port || !has_room(key_search, port, source))
        return false;
    uint16_t slot = take_slot(key_search), *chain = chain_of(key_search, source, local_port);
    struct search_poke *search_poke = &key_search->slots[slot - 1];
    search_poke->source = *source;
    search_poke->listener_id = origin->listener_id;
    search_poke->hops = origin->hops;
    search_poke->local_port = local_port;
    search_poke->length = (uint16_t)length;
    memcpy(search_poke->payload, payload, length);
    search_poke->next_in_chain = *chain;
    *chain = slot;
    ++*ip_counter(key_search, source);
    append(key_search, port, slot);
    ++port->count;
    ++key_search->count;
    return true;
}

/* Removes a poke from the batch; the last one takes its index. */
static void remove_from_batch(struct key_search *key_search, struct key_search_port *port, size_t at)
{
    struct batch *batch = port->batch;
    uint16_t slot = batch->slots[at];
    struct search_poke *search_poke = &key_search->slots[slot - 1];
    uint16_t *link = chain_of(key_search, &search_poke->source, search_poke->local_port);
    while (*link != slot)
        link = &key_search->slots[*link - 1].next_in_chain;
    *link = search_poke->next_in_chain;
    --*ip_counter(key_search, &search_poke->source);
    search_poke->next = key_search->free;
    key_search->free = slot;
    --key_search->count;
    --port->count;
    --batch->count;
    batch->blocks[at] = batch->blocks[batch->count];
    batch->tags[at] = batch->tags[batch->count];
    batch->slots[at] = batch->slots[batch->count];
}

static void begin_stages(struct batch *batch, const struct targets *targets)
{
    batch->stage = STAGE_IP;
    batch->at = 0;
    batch->id = TARGETS_NONE;
    batch->order = targets->order;
}

static void fill_batch(struct key_search *key_search, struct key_search_port *port, const struct targets *targets)
{
    struct batch *batch = port->batch;
    while (port->first != 0 && batch->count < KEY_SEARCH_BATCH) {
        const struct search_poke *search_poke = &key_search->slots[port->first - 1];
        batch->slots[batch->count] = port->first;
        kdnet_datagram_filter_block(search_poke->payload, search_poke->length, &batch->blocks[batch->count],
                                    &batch->tags[batch->count]);
        ++batch->count;
        port->first = search_poke->next;
    }
    if (port->first == 0)
        port->last = 0;
    begin_stages(batch, targets);
}

/* Goes from the last hit to the first: removing a poke moves the last one, which is done, into its index. More than
 * one key may pass the filter for a poke. */
static void open_hits(struct key_search *key_search, struct key_search_port *port, struct target *const *rows,
                      size_t from, const struct kdnet_key_filter_hit *hits, size_t found,
                      const struct key_search_calls *calls)
{
    struct batch *batch = port->batch;
    size_t gone = KEY_SEARCH_BATCH;
    while (found-- > 0) {
        size_t at = from + hits[found].block;
        if (at == gone || !calls->open(calls->user, rows[hits[found].key], &key_search->slots[batch->slots[at] - 1]))
            continue;
        remove_from_batch(key_search, port, at);
        gone = at;
        ++key_search->opened;
    }
}

/* Tries keys on `count` pokes of the batch from `from` on, until some have hits. Returns how many keys. */
static size_t try_keys(struct key_search *key_search, struct key_search_port *port, struct target *const *rows,
                       size_t row_count, size_t from, size_t count, const struct key_search_calls *calls)
{
    struct batch *batch = port->batch;
    struct kdnet_key_filter_hit hits[KDNET_KEY_FILTER_TOGETHER * KEY_SEARCH_BATCH];
    const struct kdnet_key_filter_batch candidates = {batch->blocks + from, batch->tags + from, count};
    size_t found = 0, tried = calls->filter(calls->user, rows, row_count, &candidates, hits, &found);
    if (tried < row_count)
        batch->at = rows[tried]->list_at; /* the others come again */
    key_search->tried += tried;
    open_hits(key_search, port, rows, from, hits, found, calls);
    return tried;
}

/* Tries one row with a poke's configured address. */
static size_t step_ip(struct key_search *key_search, struct key_search_port *port, const struct targets *targets,
                      const struct key_search_calls *calls)
{
    struct batch *batch = port->batch;
    size_t before = batch->count;
    const struct search_poke *search_poke = &key_search->slots[batch->slots[batch->at] - 1];
    struct target *row = targets_row(targets, batch->id);
    batch->id = row ? row->next_same_ip : targets_with_ip(targets, search_poke->source.ip);
    row = targets_row(targets, batch->id);
    size_t units = 1;
    if (row && targets_may_be(row, &search_poke->source, search_poke->local_port))
        units = try_keys(key_search, port, &row, 1, batch->at, 1, calls) * (calls->key_units + 1);
    if (batch->count < before) { /* opened: another poke has its index now */
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

/* Trying a key takes less time than fetching it from memory. No member of the row is read: its session, with the
 * key, lies behind it. */
static void fetch_ahead(const struct targets *targets, const struct key_group *group, size_t at)
{
    if (at + AHEAD < group->count && group->ids[at + AHEAD] != TARGETS_NONE)
        kdnet_session_prefetch_key(targets_session(targets_known(targets, group->ids[at + AHEAD])));
}

/* The next rows of a group from `at` on, at most `most`. Returns how many. */
static size_t next_rows(const struct targets *targets, const struct key_group *group, bool seen, size_t *at,
                        size_t most, struct target *rows[static KEY_SEARCH_KEYS])
{
    size_t count = 0;
    while (count < most && count < KEY_SEARCH_KEYS && (*at = key_group_next(group, seen, *at)) < group->count) {
        fetch_ahead(targets, group, *at);
        rows[count] = targets_row(targets, group->ids[(*at)++]);
        count += rows[count] != NULL; /* not a gap */
    }
    return count;
}

/* Some rows of a group, for the whole batch: about `units` of work. */
static size_t step_key_group(struct key_search *key_search, struct key_search_port *port, const struct targets *targets,
                             size_t units, const struct key_search_calls *calls)
{
    struct batch *batch = port->batch;
    struct target *rows[KEY_SEARCH_KEYS];
    bool any = (batch->stage - STAGE_UNSEEN) % 2 != 0, seen = batch->stage >= STAGE_SEEN;
    const struct key_group *group = key_groups_find(targets, any ? 0 : port->port, batch->stage >= STAGE_OLD);
    size_t each = calls->key_units + batch->count, most = units / each + 1;
    size_t count = group ? next_rows(targets, group, seen, &batch->at, most, rows) : 0;
    if (count > 0)
        return try_keys(key_search, port, rows, count, 0, batch->count, calls) * each;
    ++batch->stage;
    batch->at = 0;
    return 1;
}

/* No key opens the remaining pokes. */
static size_t end_batch(struct key_search *key_search, struct key_search_port *port,
                        const struct key_search_calls *calls)
{
    struct batch *batch = port->batch;
    size_t units = batch->count;
    key_search->unknown += batch->count;
    while (batch->count > 0) {
        calls->unknown(calls->user, &key_search->slots[batch->slots[batch->count - 1] - 1]);
        remove_from_batch(key_search, port, batch->count - 1);
    }
    return units;
}

static size_t step(struct key_search *key_search, struct key_search_port *port, const struct targets *targets,
                   size_t units, const struct key_search_calls *calls)
{
    struct batch *batch = port->batch;
    if (batch->count > 0 && batch->order != targets->order)
        begin_stages(batch, targets);
    if (batch->count == 0)
        fill_batch(key_search, port, targets);
    if (batch->stage == STAGE_IP)
        return step_ip(key_search, port, targets, calls);
    if (batch->stage < STAGES)
        return step_key_group(key_search, port, targets, units, calls);
    return end_batch(key_search, port, calls);
}

/* Nothing waits: the memory that very many pokes needed goes back. Without memory for new slots the old ones stay. */
static void renew_slots(struct key_search *key_search)
{
    struct search_poke *slots = calloc(KEY_SEARCH_QUEUE, sizeof *slots);
    if (!slots)
        return;
    free(key_search->slots);
    key_search->slots = slots;
    key_search->free = key_search->used = 0;
}

size_t key_search_work(struct key_search *key_search, const struct targets *targets, size_t units,
                       const struct key_search_calls *calls)
{
    size_t done = 0;
    if (key_search->count == 0)
        return 0;
    do
        key_search->turn = (key_search->turn + 1) % key_search->port_count;
    while (key_search->ports[key_search->turn].count == 0);
    struct key_search_port *port = &key_search->ports[key_search->turn];
    while (done < units && port->count > 0)
        done += step(key_search, port, targets, units - done, calls);
    if (key_search->count == 0 && key_search->used > USED_KEPT)
        renew_slots(key_search);
    return done;
}
