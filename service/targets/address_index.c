/* SPDX-License-Identifier: Apache-2.0 */
/* The index of rows by the address that their datagrams come from. */
#include "kdnet/base/prefetch.h"
#include "service/targets/targets_internal.h"

#include <stdlib.h>
#include <string.h>

#define LOOKS_AHEAD 4U /* places on the way of a look-up that targets_prefetch compares */

enum { LIVE, CANDIDATE };

struct address targets_address(const struct target_endpoint *endpoint)
{
    struct address address = {.scope = endpoint->scope, .port = endpoint->port};
    memcpy(address.ip, endpoint->ip, sizeof address.ip);
    return address;
}

static size_t home_of(const struct targets *targets, const struct address *address, uint16_t local_port)
{
    uint64_t hash = address_hash(address, targets->seed) + (uint64_t)local_port * 0x9e3779b97f4a7c15U;
    return targets_home(hash, targets->slot_count);
}

static size_t home_of_endpoint(const struct targets *targets, const struct target_endpoint *endpoint)
{
    struct address address = targets_address(endpoint);
    return home_of(targets, &address, endpoint->local_port);
}

static uint16_t via_of(const struct target *target, unsigned which)
{
    return which == LIVE ? target->via : target->more->candidate_via;
}

static void set_via(struct target *target, unsigned which, uint16_t via)
{
    if (which == LIVE)
        target->via = via;
    else
        target->more->candidate_via = via;
}

static struct target_endpoint *place_of(struct target *target, unsigned which)
{
    if (which == LIVE)
        return &target->live;
    return target->more ? &target->more->candidate : NULL;
}

static struct target *row_in(const struct targets *targets, uint32_t slot)
{
    return targets_known(targets, (slot - 1) / TARGETS_PLACES);
}

static struct target_endpoint *endpoint_in(const struct targets *targets, uint32_t slot)
{
    return place_of(row_in(targets, slot), (slot - 1) % TARGETS_PLACES);
}

static void slot_insert(struct targets *targets, uint32_t slot)
{
    size_t at = home_of_endpoint(targets, endpoint_in(targets, slot));
    while (targets->slots[at] != 0)
        at = targets_after(at, targets->slot_count);
    targets->slots[at] = slot;
    ++targets->slots_used;
}

/* Distance from one slot to another. */
static size_t steps(const struct targets *targets, size_t from, size_t to)
{
    return to >= from ? to - from : to + targets->slot_count - from;
}

/* Closes the gap at `at` by moving up later entries that may move (Knuth, algorithm 6.4R). */
static void slot_close_gap(struct targets *targets, size_t at)
{
    size_t next = at;
    for (;;) {
        targets->slots[at] = 0;
        size_t home = 0;
        do {
            next = targets_after(next, targets->slot_count);
            if (targets->slots[next] == 0)
                return;
            home = home_of_endpoint(targets, endpoint_in(targets, targets->slots[next]));
        } while (steps(targets, home, next) < steps(targets, at, next));
        targets->slots[at] = targets->slots[next];
        at = next;
    }
}

static bool is_used(const struct target_endpoint *endpoint)
{
    return endpoint && endpoint->listener;
}

/* A configured IP address stays when nothing is live there. */
static void clear_endpoint(struct target *target, unsigned which)
{
    struct target_endpoint *endpoint = place_of(target, which);
    struct address configured = targets_configured(target);
    memset(endpoint, 0, sizeof *endpoint);
    if (which == LIVE && target->has_address) {
        memcpy(endpoint->ip, configured.ip, sizeof endpoint->ip);
        target->elsewhere = false;
    }
    targets_drop_more(target);
}

void targets_drop_more(struct target *target)
{
    const struct target_more *more = target->more;
    if (!more || is_used(&more->candidate) || more->moved_us != 0 || more->warned_us != 0 || more->ring ||
        target->elsewhere)
        return;
    free(target->more);
    target->more = NULL;
}

static void forget(struct targets *targets, struct target *target, unsigned which)
{
    const struct target_endpoint *endpoint = place_of(target, which);
    if (!is_used(endpoint))
        return;
    uint32_t slot = target->id * TARGETS_PLACES + which + 1;
    size_t at = home_of_endpoint(targets, endpoint);
    while (targets->slots[at] != slot)
        at = targets_after(at, targets->slot_count);
    slot_close_gap(targets, at);
    --targets->slots_used;
    clear_endpoint(target, which);
}

void targets_forget_endpoints(struct targets *targets, struct target *target)
{
    forget(targets, target, LIVE);
    forget(targets, target, CANDIDATE);
}

void targets_forget_listener(struct targets *targets, const struct listener *listener)
{
    for (uint32_t id = 0; id < targets->ids; ++id) {
        struct target *target = targets_row(targets, id);
        for (unsigned which = 0; target && which < TARGETS_PLACES; ++which) {
            const struct target_endpoint *endpoint = place_of(target, which);
            if (is_used(endpoint) && endpoint->listener == listener)
                forget(targets, target, which);
        }
    }
}

void targets_pass_listener(struct targets *targets, const struct listener *from, struct listener *to, uint16_t via,
                           uint16_t then)
{
    for (uint32_t id = 0; id < targets->ids; ++id) {
        struct target *target = targets_row(targets, id);
        for (unsigned which = 0; target && which < TARGETS_PLACES; ++which) {
            struct target_endpoint *endpoint = place_of(target, which);
            if (!is_used(endpoint) || endpoint->listener != from ||
                (via != TARGETS_ANY_VIA && via_of(target, which) != via))
                continue;
            endpoint->listener = to;
            if (then != TARGETS_ANY_VIA)
                set_via(target, which, then);
        }
    }
}

bool targets_reserve_endpoints(struct targets *targets, size_t rows)
{
    /* Two in five slots are used while each row has one place, four in five when each has a candidate, too. */
    size_t wanted = rows * TARGETS_PLACES * 5 / 4 + TARGETS_SLOTS_MIN;
    if (wanted <= targets->slot_count)
        return true;
    if (targets->slot_count > 0)
        wanted += wanted / 8; /* a reload added some rows: the next one need not move all rows again */
    uint32_t *old = targets->slots;
    size_t old_count = targets->slot_count;
    uint32_t *slots = calloc(wanted, sizeof *slots);
    if (!slots)
        return false;
    targets->slots = slots;
    targets->slot_count = wanted;
    targets->slots_used = 0;
    for (size_t i = 0; i < old_count; ++i)
        if (old[i] != 0)
            slot_insert(targets, old[i]);
    free(old);
    return true;
}

static bool is_endpoint(const struct target_endpoint *endpoint, const struct address *address, uint16_t local_port)
{
    return is_used(endpoint) && endpoint->local_port == local_port && endpoint->port == address->port &&
           endpoint->scope == address->scope && address_same_ip(address, endpoint->ip);
}

size_t targets_at(const struct targets *targets, const struct address *address, uint16_t local_port,
                  struct target *out[static TARGETS_SHARE_MAX])
{
    return targets_at_home(targets, address, local_port, (struct targets_home){.slot_count = 0}, out);
}

size_t targets_at_home(const struct targets *targets, const struct address *address, uint16_t local_port,
                       struct targets_home home, struct target *out[static TARGETS_SHARE_MAX])
{
    size_t count = 0;
    if (targets->slot_count == 0)
        return 0;
    for (size_t at = home.slot_count == targets->slot_count ? home.at : home_of(targets, address, local_port);
         targets->slots[at] != 0 && count < TARGETS_SHARE_MAX; at = targets_after(at, targets->slot_count)) {
        struct target *target = row_in(targets, targets->slots[at]);
        const struct target_endpoint *endpoint = place_of(target, (targets->slots[at] - 1) % TARGETS_PLACES);
        if (!is_endpoint(endpoint, address, local_port))
            continue;
        out[count++] = target;
        if (endpoint == &target->live && count > 1) {
            out[count - 1] = out[0];
            out[0] = target;
        }
    }
    return count;
}

/* The row that the look-up will probably find; NULL: none. A place is often not at its home, but behind it. */
static const struct target *probable_row(const struct targets *targets, const struct address *address,
                                         uint16_t local_port, size_t at)
{
    const struct target *row = NULL;
    for (unsigned i = 0; i < LOOKS_AHEAD && targets->slots[at] != 0; ++i) {
        row = row_in(targets, targets->slots[at]);
        if (is_endpoint(&row->live, address, local_port))
            break;
        at = targets_after(at, targets->slot_count);
    }
    return row;
}

size_t targets_prefetch(const struct targets *targets, const struct address *const *addresses, size_t count,
                        uint16_t local_port, struct targets_home homes[static TARGETS_AHEAD],
                        const struct target *rows[static TARGETS_AHEAD])
{
    size_t found = 0;
    if (targets->slot_count == 0 || count > TARGETS_AHEAD) {
        memset(homes, 0, TARGETS_AHEAD * sizeof *homes);
        return 0;
    }
    for (size_t i = 0; i < count; ++i) {
        homes[i] = (struct targets_home){.at = home_of(targets, addresses[i], local_port),
                                         .slot_count = targets->slot_count};
        kdnet_prefetch(&targets->slots[homes[i].at]);
    }
    for (size_t i = 0; i < count; ++i)
        if (targets->slots[homes[i].at] != 0)
            kdnet_prefetch(&row_in(targets, targets->slots[homes[i].at])->more); /* and what lies behind it */
    for (size_t i = 0; i < count; ++i) {
        rows[found] = probable_row(targets, addresses[i], local_port, homes[i].at);
        if (rows[found])
            ++found;
    }
    return found;
}

static void set_endpoint(struct targets *targets, struct target *target, unsigned which, const struct address *address,
                         struct listener *listener, uint16_t local_port)
{
    struct target_endpoint *endpoint = place_of(target, which);
    *endpoint = (struct target_endpoint){
        .scope = address->scope, .port = address->port, .local_port = local_port, .listener = listener};
    set_via(target, which, address->via);
    memcpy(endpoint->ip, address->ip, sizeof endpoint->ip);
    slot_insert(targets, target->id * TARGETS_PLACES + which + 1);
}

struct target_more *targets_more(struct target *target)
{
    if (!target->more)
        target->more = calloc(1, sizeof *target->more);
    return target->more;
}

void targets_set_candidate(struct targets *targets, struct target *target, const struct address *address,
                           struct listener *listener, uint16_t local_port)
{
    struct target *others[TARGETS_SHARE_MAX];
    if (is_endpoint(&target->live, address, local_port) ||
        is_endpoint(place_of(target, CANDIDATE), address, local_port))
        return;
    if (targets_at(targets, address, local_port, others) == TARGETS_SHARE_MAX)
        forget(targets, others[TARGETS_SHARE_MAX - 1], CANDIDATE);
    forget(targets, target, CANDIDATE);
    if (targets_more(target))
        set_endpoint(targets, target, CANDIDATE, address, listener, local_port);
}

/* The row was seen elsewhere, but not surely: another machine may have sent with its address. */
static void demote(struct targets *targets, struct target *target)
{
    struct target_endpoint endpoint = target->live;
    struct address address = targets_address(&endpoint);
    address.via = target->via;
    forget(targets, target, CANDIDATE);
    forget(targets, target, LIVE);
    if (targets_more(target))
        set_endpoint(targets, target, CANDIDATE, &address, endpoint.listener, endpoint.local_port);
}

/* Rows already at the place become candidates; room is made for one more. */
static void take_over(struct targets *targets, const struct target *target, const struct address *address,
                      uint16_t local_port)
{
    struct target *others[TARGETS_SHARE_MAX];
    size_t count = targets_at(targets, address, local_port, others);
    bool among = false;
    for (size_t i = 0; i < count; ++i)
        among = among || others[i] == target;
    if (count == TARGETS_SHARE_MAX && !among)
        forget(targets, others[--count], CANDIDATE);
    for (size_t i = 0; i < count; ++i)
        if (is_endpoint(&others[i]->live, address, local_port))
            demote(targets, others[i]);
}

static bool is_configured(const struct target *target, const struct address *address)
{
    struct address configured = targets_configured(target);
    return address_same_ip(address, configured.ip);
}

/* The row is about to become live at another IP address than its configured one, which `live` holds until then. */
static bool note_elsewhere(struct target *target)
{
    struct target_more *more = targets_more(target);
    if (!more)
        return false;
    memcpy(more->configured, target->live.ip, sizeof more->configured);
    target->elsewhere = true;
    return true;
}

bool targets_set_live(struct targets *targets, struct target *target, const struct address *address,
                      struct listener *listener, uint16_t local_port)
{
    if (is_endpoint(&target->live, address, local_port)) {
        target->live.listener = listener;
        target->via = address->via;
        return false;
    }
    bool elsewhere = target->has_address && !is_configured(target, address);
    if (elsewhere && !targets_more(target))
        return false;
    take_over(targets, target, address, local_port);
    if (is_endpoint(place_of(target, CANDIDATE), address, local_port))
        forget(targets, target, CANDIDATE);
    forget(targets, target, LIVE);
    if (elsewhere && !note_elsewhere(target))
        return false;
    set_endpoint(targets, target, LIVE, address, listener, local_port);
    targets_mark_seen(targets, target);
    return true;
}

bool targets_is_live(const struct target *target)
{
    return is_used(&target->live);
}

const struct target_endpoint *targets_destination(const struct target *target)
{
    if (is_used(&target->live))
        return &target->live;
    return target->more && is_used(&target->more->candidate) ? &target->more->candidate : NULL;
}

struct address targets_route(const struct target *target)
{
    const struct target_endpoint *endpoint = targets_destination(target);
    struct address address = targets_address(endpoint);
    address.via = via_of(target, endpoint == &target->live ? LIVE : CANDIDATE);
    return address;
}
