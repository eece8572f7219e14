/* SPDX-License-Identifier: Apache-2.0 */
/* evidence_state_internal: how evidence is collected at a break: evidence.c (values), module_list.c (other images). Not
 * for callers. */
#ifndef KDNET_EVIDENCE_STATE_INTERNAL_H
#define KDNET_EVIDENCE_STATE_INTERNAL_H

#include "kdnet/kernel/image_identity.h"
#include "kdnet/kernel/loaded_image.h"
#include "kdnet/session/boot_cache_internal.h"
#include "kdnet/session/state_internal.h"

#define KDNET_WALK_MAX 512U /* most images that are visited; a server has some 200 */

/* Progress of one value. */
enum kdnet_unit_stage {
    KDNET_UNIT_WAITS, /* waits for its image or symbol */
    KDNET_UNIT_READ,  /* `address` is to be read */
    KDNET_UNIT_DONE,  /* the value's state has the result */
};

struct kdnet_unit {
    uint64_t address;
    uint32_t length;
    uint8_t stage;
    uint8_t step; /* pointers taken so far */
    bool buffer;  /* of a UNICODE_STRING whose structure has been read */
    bool more;    /* the machine has more text than was read */
    bool alone;   /* read by itself, because the read with its neighbours failed */
};

enum kdnet_evidence_asks {
    KDNET_ASKS_VALUES,
    KDNET_ASKS_LIST,     /* PsLoadedModuleList itself */
    KDNET_ASKS_ENTRY,    /* an image's entry */
    KDNET_ASKS_NAME,     /* an image's name */
    KDNET_ASKS_IDENTITY, /* of an image that was found */
};

/* Evidence of one break. `evidence` is the first member: the event takes over the whole allocation. */
struct kdnet_evidence_probe {
    struct kdnet_evidence evidence;
    struct kdnet_unit unit[KDNET_READS_MAX];
    enum kdnet_evidence_asks asks; /* purpose of the request in flight */
    uint64_t head, at, mark;       /* of the image list; `mark` is an earlier entry, to detect a loop */
    unsigned walked;
    bool walk_over;
    struct kdnet_loaded_image image; /* whose name is read */
    struct kdnet_module *module;     /* whose identity is read */
    struct kdnet_image_way way;      /* to the identity */
};

/* Returns the reads that this break began with; NULL: none, or a reload has replaced them. */
const struct kdnet_reads *kdnet_evidence_probe_reads(const struct kdnet_session *session);

#endif
