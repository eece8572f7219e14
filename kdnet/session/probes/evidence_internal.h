/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evidence_internal: how evidence is collected at a break: evidence.c (values), module_list.c (other images than the
 * kernel). Not for callers.
 */
#ifndef KDNET_EVIDENCE_INTERNAL_H
#define KDNET_EVIDENCE_INTERNAL_H

#include "kdnet/session/evidence.h"
#include "kdnet/session/break_handler_internal.h"
#include "kdnet/session/probes/probe_internal.h"

#define KDNET_MODULES_MAX 8U
#define KDNET_WALK_MAX    512U /* images that are looked at; a server has some 200 */
#define KDNET_ONCE_MAX    8U
#define KDNET_ONCE_TEXTS  192U

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

/* An image that reads are of, besides the kernel. */
struct kdnet_module {
    char name[KDNET_READ_MODULE_SIZE];
    uint64_t base; /* 0: not found */
    bool pdb_tried, pdb_known;
    struct kdnet_pdb pdb;
};

/* What evidence has learnt of one boot: values that are asked once, and images. */
struct kdnet_boot_cache {
    uint32_t version; /* of the reads */
    size_t once_count;
    struct kdnet_value once[KDNET_ONCE_MAX];
    uint8_t once_read[KDNET_ONCE_MAX]; /* index of the read */
    uint16_t texts_length;
    char texts[KDNET_ONCE_TEXTS];
    size_t module_count;
    struct kdnet_module *modules; /* KDNET_MODULES_MAX; NULL: none were wanted yet */
};

/* The reads, while they are those that this break began with; NULL: none, or others came with a reload. */
const struct kdnet_reads *kdnet_evidence_probe_reads(const struct kdnet_session *session);

/* --- module_list.c --- */

/* Asks for the next thing that is not known of the images that reads are of; false: nothing is left to ask. */
bool kdnet_module_list_next(struct kdnet_session *session);

/* A reply to a question of kdnet_module_list_next; length 0: unreadable. */
enum kdnet_probe_outcome kdnet_module_list_take(struct kdnet_session *session, const uint8_t *data, size_t length);

/* The image of a read; NULL: it has not been looked for. */
struct kdnet_module *kdnet_module_list_find(const struct kdnet_session *session, const char *name);

#endif
