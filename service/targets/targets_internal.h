/* SPDX-License-Identifier: Apache-2.0 */
/* targets_internal: shared by table.c, address_index.c and key_groups.c. Not for others. */
#ifndef SERVICE_TARGETS_INTERNAL_H
#define SERVICE_TARGETS_INTERNAL_H

#include "service/targets/targets.h"

#define TARGETS_PLACES    2 /* a row may have: live, candidate */
#define TARGETS_SLOTS_MIN 64

/* Home slot in open addressing. A table has as many slots as needed, not a power of two: there are millions. */
static inline size_t targets_home(uint64_t hash, size_t slot_count)
{
    return (size_t)(((hash ^ hash >> 32) & UINT32_MAX) * slot_count >> 32);
}

static inline size_t targets_after(size_t at, size_t slot_count)
{
    return at + 1 < slot_count ? at + 1 : 0;
}

/* address_index.c: makes room in the index for this many rows; false: out of memory, unchanged. */
bool targets_reserve_endpoints(struct targets *targets, size_t rows);
void targets_forget_endpoints(struct targets *targets, struct target *target);

/* address_index.c: frees the members that few rows need, when unused. */
void targets_drop_more(struct target *target);

/* key_groups.c: adds the row to its port's group, when it may be anywhere; false: out of memory. */
bool targets_enlist(struct targets *targets, struct target *target);
void targets_delist(struct targets *targets, struct target *target);
void targets_mark_seen(struct targets *targets, struct target *target);
void key_groups_clear(struct targets *targets);

#endif
