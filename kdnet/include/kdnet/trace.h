/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace: where a crash came from: the address that its bug check names, the image at that address, and the stack of the
 * processor that crashed. A session traces crashes when kdnet_session_shared has a trace_cache.
 */
#ifndef KDNET_PUBLIC_TRACE_H
#define KDNET_PUBLIC_TRACE_H

#include "kdnet/header.h"
#include "kdnet/kernel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

KDNET_HEADER_BEGIN

#define KDNET_IMAGE_NAME_SIZE 40
#define KDNET_TRACE_FRAMES    16U
#define KDNET_TRACE_IMAGES    8U
#define KDNET_TRACE_NO_IMAGE  UINT8_MAX
#define KDNET_TRACE_NAME_SIZE 64

/* An image loaded in the machine's memory. */
struct kdnet_image_place {
    char name[KDNET_IMAGE_NAME_SIZE]; /* e.g. "examplenic.sys"; printable ASCII, lower case, truncated to the array */
    uint64_t base;
    uint32_t size;
    uint32_t stamp;   /* TimeDateStamp */
    uint16_t machine; /* enum kdnet_machine */
};

struct kdnet_trace_frame {
    uint64_t address;
    uint8_t image; /* index into kdnet_trace.image, or KDNET_TRACE_NO_IMAGE */
};

/* The public symbol at or before an address. */
struct kdnet_trace_name {
    uint32_t offset;
    char text[KDNET_TRACE_NAME_SIZE]; /* empty: unknown */
};

/* What is known of a crash's cause. */
struct kdnet_trace {
    uint64_t address; /* address that the bug check names; 0: none */
    uint8_t address_image;
    uint8_t frame_count, image_count;
    bool cut; /* more frames may exist: the read budget was used up */
    struct kdnet_trace_frame frame[KDNET_TRACE_FRAMES];
    struct kdnet_image_place image[KDNET_TRACE_IMAGES]; /* [0] is the kernel */
    struct kdnet_pdb pdb;                               /* of image[pdb_image] */
    uint8_t pdb_image;                                  /* the blamed image, or KDNET_TRACE_NO_IMAGE */
    struct kdnet_trace_name address_name,
        frame_name[KDNET_TRACE_FRAMES]; /* filled in by the caller, who knows symbols */
};

/* Returns the image that a crash is blamed on, and the address in it; NULL: none. */
const struct kdnet_image_place *kdnet_trace_blames(const struct kdnet_trace *trace, uint64_t *address);

/*
 * Cache of facts about images that several machines run, shared by all sessions of a thread. It saves later machines
 * most round trips. About 310 KiB. Returns NULL when out of memory; free(NULL) does nothing.
 */
struct kdnet_trace_cache *kdnet_trace_cache_new(void);
void kdnet_trace_cache_free(struct kdnet_trace_cache *cache);

KDNET_HEADER_END

#endif
