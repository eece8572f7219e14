/* SPDX-License-Identifier: Apache-2.0 */
/* evidence_state_internal: how evidence is collected at a break: evidence.c (values), module_list.c (other images). Not
 * for callers. */
#ifndef KDNET_EVIDENCE_STATE_INTERNAL_H
#define KDNET_EVIDENCE_STATE_INTERNAL_H

#include "kdnet/session/boot_cache_internal.h"
#include "kdnet/session/state_internal.h"

#define KDNET_WALK_MAX 512U /* images that are looked at; a server has some 200 */

/* Where one value stands. */
enum kdnet_unit_stage {
    KDNET_UNIT_WAITS, /* for its image or symbol */
    KDNET_UNIT_READ,  /* `address` is to be read */
    KDNET_UNIT_DONE,  /* its value's state says what came of it */
};

struct kdnet_unit {
    uint64_t address;
    uint32_t length;
    uint8_t stage;
    uint8_t step; /* pointers taken so far */
    bool buffer;  /* of a UNICODE_STRING whose structure has been read */
    bool more;    /* it is longer than what is read of it */
    bool alone;   /* did not come with its neighbours: read by itself */
};

enum kdnet_evidence_asks {
    KDNET_ASKS_VALUES,
    KDNET_ASKS_LIST,     /* PsLoadedModuleList itself */
    KDNET_ASKS_ENTRY,    /* an image in it */
    KDNET_ASKS_NAME,     /* its name */
    KDNET_ASKS_IDENTITY, /* of an image that was found */
};

/* For one break. The evidence is its first member: the event that tells it takes the whole over. */
struct kdnet_evidence_probe {
    struct kdnet_evidence evidence;
    struct kdnet_unit unit[KDNET_READS_MAX];
    enum kdnet_evidence_asks asks; /* what the request under way is for */
    uint64_t head, at, mark;       /* of the list; `mark` is an entry that a loop comes back to */
    unsigned walked;
    bool walk_over;
    struct kdnet_loaded_image image; /* whose name is read */
    struct kdnet_module *module;     /* whose identity is read */
    struct kdnet_image_way way;      /* to it */
};

/* The reads, while they are those that this break began with; NULL: none, or others came with a reload. */
const struct kdnet_reads *kdnet_evidence_probe_reads(const struct kdnet_session *session);

#endif
