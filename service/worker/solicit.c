/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/send.h"
#include "service/worker/solicit.h"

/* Asks one machine to poke at once; a connected one only when its session wants that. Returns whether it was asked. */
bool solicit_poke(struct target *row, const struct arrival *a)
{
    struct kdnet_outgoing out;
    if (row->handed_over || !targets_may_be(row, a->source, a->listener->local.port))
        return false;
    bool made = kdnet_session_is_connected(targets_session(row))
                    ? kdnet_session_next_control(targets_session(row), &out)
                    : kdnet_session_solicit_poke(targets_session(row), a->version, &out) == KDNET_OK;
    if (!made)
        return false;
    send_outgoing(row, a->listener, a->source, &out);
    ++a->listener->counts.solicited;
    return true;
}

/* How many pokes this datagram may solicit: together never longer than itself, and not all the time. */
size_t solicit_allowance(struct worker *worker, const struct arrival *a)
{
    uint64_t *last = &worker->solicited_us[address_hash(a->source, worker->seed) % WORKER_SOLICIT_SLOTS];
    if (*last != 0 && a->now_us - *last < WORKER_SOLICIT_GAP_US)
        return 0;
    *last = a->now_us;
    return (size_t)bucket_take(&worker->solicits, a->length / WORKER_SOLICIT_COST, a->now_us);
}

/* Rows with this configured IP: all of them when they are few, in turn when many machines share an address. */
void solicit_configured(struct worker *worker, const struct arrival *a, size_t allowance)
{
    uint32_t first = targets_with_ip(&worker->targets, a->source->ip);
    size_t count = 0, at = 0;
    for (struct target *row = targets_row(&worker->targets, first); row && count < WORKER_EXPIRE_MAX;
         row = targets_row(&worker->targets, row->next_same_ip))
        ++count;
    size_t skip = count > allowance ? worker->solicit_turn++ * allowance % count : 0;
    for (struct target *row = targets_row(&worker->targets, first); row && at < count && allowance > 0;
         row = targets_row(&worker->targets, row->next_same_ip))
        if (at++ >= skip && solicit_poke(row, a))
            --allowance;
}

/* Rows of a group, in turn. Returns how many were asked. */
static size_t solicit_group(struct worker *worker, const struct arrival *a, const struct key_group *group, bool seen,
                            size_t allowance)
{
    size_t looks = seen ? group->count - group->unseen : group->unseen, asked = 0;
    if (looks > WORKER_SOLICIT_LOOK)
        looks = WORKER_SOLICIT_LOOK;
    for (; looks > 0 && asked < allowance; --looks) {
        size_t at = key_group_next(group, seen, worker->solicit_turn % group->count);
        if (at == group->count)
            at = key_group_next(group, seen, 0);
        worker->solicit_turn = at + 1;
        struct target *row = targets_row(&worker->targets, group->ids[at]);
        asked += row && solicit_poke(row, a);
    }
    return asked;
}

/* Rows whose address is not known, in turn. */
void solicit_rows(const struct arrival *a, size_t allowance)
{
    struct worker *worker = a->listener->worker;
    uint16_t port = a->listener->local.port;
    for (unsigned i = 0; i < 6 && allowance > 0; ++i) {
        const struct key_group *group = key_groups_find(&worker->targets, i % 2 == 0 ? port : 0, i >= 4);
        if (group)
            allowance -= solicit_group(worker, a, group, i >= 2, allowance);
    }
}
