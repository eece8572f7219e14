/* SPDX-License-Identifier: Apache-2.0 */
#include "service/trials.h"

#include <stdlib.h>
#include <string.h>

enum stage { STAGE_IP, STAGE_UNSEEN, STAGE_UNSEEN_ANY, STAGE_SEEN, STAGE_SEEN_ANY, STAGES };

bool trials_init(struct trials *trials, uint64_t seed)
{
    memset(trials, 0, sizeof *trials);
    trials->seed = seed;
    trials->ring = calloc(TRIALS_QUEUE, sizeof *trials->ring);
    trials->chains = calloc(TRIALS_CHAINS, sizeof *trials->chains);
    trials->ips = calloc(TRIALS_IPS, sizeof *trials->ips);
    bucket_init(&trials->bucket, TRIALS_PER_SECOND, TRIALS_PER_SECOND);
    return trials->ring && trials->chains && trials->ips;
}

void trials_clear(struct trials *trials)
{
    free(trials->ring);
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
    for (uint16_t at = *chain_of(trials, source, local_port); at != 0; at = trials->ring[at - 1].next_in_chain)
        if (trials->ring[at - 1].local_port == local_port && address_equal(&trials->ring[at - 1].source, source))
            return true;
    return false;
}

static uint16_t *ip_counter(const struct trials *trials, const struct address *source)
{
    return &trials->ips[address_hash_ip(source->ip, trials->seed) % TRIALS_IPS];
}

bool trials_add(struct trials *trials, const struct address *source, uint32_t listener_id, uint16_t local_port,
                const uint8_t *payload, size_t length)
{
    uint16_t *from_ip = ip_counter(trials, source);
    if (length > TRIALS_PAYLOAD)
        return false;
    if (is_queued(trials, source, local_port))
        return true;
    if (trials->count == TRIALS_QUEUE || *from_ip >= TRIALS_PER_IP) {
        ++trials->refused;
        return false;
    }
    uint16_t *chain = chain_of(trials, source, local_port);
    size_t place = (trials->first + trials->count++) % TRIALS_QUEUE;
    struct trial *trial = &trials->ring[place];
    trial->source = *source;
    trial->listener_id = listener_id;
    trial->local_port = local_port;
    trial->length = length;
    trial->stage = STAGE_IP;
    trial->at = 0;
    trial->id = TARGETS_NONE;
    trial->next_in_chain = *chain;
    *chain = (uint16_t)(place + 1);
    memcpy(trial->payload, payload, length);
    ++*from_ip;
    return true;
}

static void remove_first(struct trials *trials)
{
    struct trial *trial = &trials->ring[trials->first];
    uint16_t *link = chain_of(trials, &trial->source, trial->local_port);
    while (*link != trials->first + 1)
        link = &trials->ring[*link - 1].next_in_chain;
    *link = trial->next_in_chain;
    --*ip_counter(trials, &trial->source);
    trials->first = (trials->first + 1) % TRIALS_QUEUE;
    --trials->count;
}

static struct target *next_with_ip(const struct targets *targets, struct trial *trial)
{
    struct target *row = targets_row(targets, trial->id);
    if (trial->at++ == 0)
        trial->id = targets_with_ip(targets, trial->source.ip);
    else
        trial->id = row ? row->next_same_ip : TARGETS_NONE;
    return targets_row(targets, trial->id);
}

static struct target *next_in_list(const struct targets *targets, struct trial *trial)
{
    bool any = trial->stage == STAGE_UNSEEN_ANY || trial->stage == STAGE_SEEN_ANY;
    bool seen = trial->stage == STAGE_SEEN || trial->stage == STAGE_SEEN_ANY;
    const struct targets_group *group = targets_group_of(targets, any ? 0 : trial->local_port);
    /* From the last to the first: a row that leaves a list has the last one put into its place, which was tried then.
     */
    if (group && trial->at > group->list[seen].count)
        trial->at = group->list[seen].count;
    if (!group || trial->at == 0)
        return NULL;
    return targets_row(targets, group->list[seen].ids[--trial->at]);
}

/* The next row to try; NULL: there is none left. */
static struct target *next_row(const struct targets *targets, struct trial *trial)
{
    while (trial->stage < STAGES) {
        struct target *row = trial->stage == STAGE_IP ? next_with_ip(targets, trial) : next_in_list(targets, trial);
        if (row)
            return row;
        ++trial->stage;
        trial->at = SIZE_MAX; /* the end of the next list */
    }
    return NULL;
}

bool trials_work(struct trials *trials, const struct targets *targets, uint64_t now_us, trials_try try_row,
                 trials_unknown unknown, void *user, bool *wait)
{
    *wait = false;
    if (trials->count == 0)
        return false;
    uint64_t budget = bucket_take(&trials->bucket, TRIALS_SLICE, now_us), granted = budget;
    while (trials->count > 0 && budget > 0) {
        struct trial *trial = &trials->ring[trials->first];
        struct target *row = next_row(targets, trial);
        --budget; /* a poke without keys to try costs one too */
        if (row && !targets_may_be(row, &trial->source, trial->local_port))
            continue;
        if (!row)
            unknown(user, trial);
        if (!row || try_row(user, row, trial))
            remove_first(trials);
    }
    trials->tried += granted - budget;
    trials->bucket.tokens += budget;
    *wait = trials->count > 0 && granted < TRIALS_SLICE;
    return trials->count > 0;
}
