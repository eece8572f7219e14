/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/deliver.h"
#include "service/worker/forward.h"
#include "service/worker/unknown_poke.h"

#include <string.h>

void unknown_poke_add(const struct arrival *a, unsigned hops)
{
    struct worker *worker = a->listener->worker;
    const struct key_search_origin origin = {
        .listener_id = a->listener->id, .local_port = a->listener->local.port, .hops = (uint8_t)hops};
    if (a->length > KEY_SEARCH_PAYLOAD)
        ++a->listener->counts.malformed;
    else if (!key_search_add(&worker->key_search, a->source, &origin, a->payload, a->length))
        ++a->listener->counts.refused;
}

/* The key's row may have come here while other workers tried theirs. */
void unknown_poke_unopened(const struct arrival *a)
{
    struct worker *worker = a->listener->worker;
    struct target *rows[TARGETS_SHARE_MAX];
    unsigned other = 0;
    size_t count = targets_at(&worker->targets, a->source, a->listener->local.port, rows);
    if (deliver_to_targets(worker, a, rows, count) ||
        forwarding_table_find(&worker->forwarding_table, a->source, a->listener->local.port, &other))
        return;
    ++a->listener->counts.unknown;
    struct search_poke search_poke = {
        .source = *a->source, .local_port = a->listener->local.port, .length = (uint16_t)a->length};
    if (a->length <= sizeof search_poke.payload) {
        memcpy(search_poke.payload, a->payload, a->length);
        worker->env->unknown_poke(worker->env->user, &search_poke);
    }
}

/* Keys on pokes from new addresses. */

static size_t filter(void *user, struct target *const *rows, size_t row_count,
                     const struct kdnet_key_filter_batch *candidates, struct kdnet_key_filter_hit *hits,
                     size_t *hit_count)
{
    struct worker *worker = user;
    const uint8_t *keys[KEY_SEARCH_KEYS];
    for (size_t i = 0; i < row_count; ++i)
        keys[i] = kdnet_session_key(targets_session(rows[i]))->bytes;
    return kdnet_key_filter(worker->shared.crypto, keys, row_count, candidates, hits, hit_count);
}

/* The listener is NULL when nobody listens there any more. */
static struct arrival arrival_of(const struct worker *worker, const struct search_poke *search_poke)
{
    return (struct arrival){
        .listener = worker_listener(worker, search_poke->listener_id),
        .source = &search_poke->source,
        .payload = search_poke->payload,
        .length = search_poke->length,
        .now_us = worker_now_us(),
        .version = search_poke->payload[KDNET_VERSION_AT],
        .channel = KDNET_CHANNEL_CONTROL,
    };
}

static bool try_row(void *user, struct target *target, const struct search_poke *search_poke)
{
    struct worker *worker = user;
    struct arrival a = arrival_of(worker, search_poke);
    if (!a.listener)
        return true; /* the search for the poke ends */
    if (!targets_may_be(target, &search_poke->source, search_poke->local_port))
        return false;
    forward_claim(worker, &search_poke->source,
                  search_poke->local_port); /* before the machine can reply to the response */
    return deliver_datagram(worker, target, &a);
}

static void no_key(void *user, const struct search_poke *search_poke)
{
    struct worker *worker = user;
    struct arrival a = arrival_of(worker, search_poke);
    if (a.listener && forward_unopened(&a, search_poke->hops))
        return;
    if (a.listener)
        ++a.listener->counts.unknown;
    worker->env->unknown_poke(worker->env->user, search_poke);
}

static void on_search_idle(uv_idle_t *idle);

static void on_search_timer(uv_timer_t *timer)
{
    unknown_poke_search(timer->data);
}

static void on_search_idle(uv_idle_t *idle)
{
    struct worker *worker = idle->data;
    const struct key_search_calls calls = {.filter = filter,
                                           .key_units = kdnet_key_filter_key_cost(worker->shared.crypto),
                                           .open = try_row,
                                           .unknown = no_key,
                                           .user = worker};
    uint64_t from_us = worker_now_us();
    cpu_budget_pass(&worker->cpu_budget, from_us, worker->idle_us);
    worker->idle_us = 0;
    size_t units = cpu_budget_units(&worker->cpu_budget);
    if (worker->key_search.count == 0 || units == 0 || worker->frozen) {
        (void)uv_idle_stop(idle);
        if (worker->key_search.count > 0)
            (void)uv_timer_start(&worker->search_timer, on_search_timer, WORKER_SEARCH_WAIT_MS, 0);
        return;
    }
    uint64_t opened = worker->key_search.opened, unknown = worker->key_search.unknown;
    size_t done = key_search_work(&worker->key_search, &worker->targets, units, &calls);
    opened = worker->key_search.opened - opened;
    unknown = worker->key_search.unknown - unknown;
    cpu_budget_judge(&worker->cpu_budget, opened, opened + unknown);
    cpu_budget_spent(&worker->cpu_budget, done, worker_now_us() - from_us);
}

void unknown_poke_search(struct worker *worker)
{
    if (worker->key_search.count > 0 && !uv_is_active((uv_handle_t *)&worker->search_timer))
        (void)uv_idle_start(&worker->search_idle, on_search_idle);
}

/* Whether the row's key opens a poke. Without its session, which would answer. */
static bool key_opens(struct worker *worker, const struct target *row, const struct search_poke *poke)
{
    uint8_t plain[KEY_SEARCH_PAYLOAD];
    struct kdnet_datagram datagram;
    struct kdnet_keys keys;
    if (!kdnet_session_may_open(targets_session(row), poke->payload, poke->length))
        return false;
    kdnet_keys_init(&keys, kdnet_session_key(targets_session(row)));
    int code = kdnet_datagram_open(worker->shared.crypto, keys.control.bytes, &keys.hmac, poke->payload, poke->length,
                                   plain, &datagram);
    kdnet_keys_clear(&keys);
    return code == KDNET_OK;
}

const struct target *unknown_poke_owner(struct worker *worker, const struct search_poke *poke)
{
    size_t looks = 0;
    for (uint32_t id = 0; id < worker->targets.ids && looks < WORKER_OWNER_LOOK; ++id) {
        const struct target *row = targets_row(&worker->targets, id);
        if (!row || targets_may_be(row, &poke->source, poke->local_port))
            continue; /* its key was tried before */
        ++looks;
        if (key_opens(worker, row, poke))
            return row;
    }
    return NULL;
}
