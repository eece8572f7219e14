/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace: where a crash came from: the address that its bug check names, the image that it lies in, and the stack of the
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

/* An image in memory. */
struct kdnet_image_place {
    char name[KDNET_IMAGE_NAME_SIZE]; /* "examplenic.sys": printable ASCII, lower case, cut when longer */
    uint64_t base;
    uint32_t size;
    uint32_t stamp;   /* TimeDateStamp */
    uint16_t machine; /* enum kdnet_machine */
};

struct kdnet_trace_frame {
    uint64_t address;
    uint8_t image; /* in `image`, or KDNET_TRACE_NO_IMAGE */
};

/* The public symbol that an address lies at or behind. */
struct kdnet_trace_name {
    uint32_t offset;
    char text[KDNET_TRACE_NAME_SIZE]; /* empty: not known */
};

/* What is known of a crash's cause. */
struct kdnet_trace {
    uint64_t address; /* 0: none */
    uint8_t address_image;
    uint8_t frame_count, image_count;
    bool cut; /* there may be more frames: the budget was used up */
    struct kdnet_trace_frame frame[KDNET_TRACE_FRAMES];
    struct kdnet_image_place image[KDNET_TRACE_IMAGES]; /* [0] is the kernel */
    struct kdnet_pdb pdb;                               /* of image[pdb_image] */
    uint8_t pdb_image;                                  /* the image that is blamed, or KDNET_TRACE_NO_IMAGE */
    struct kdnet_trace_name address_name, frame_name[KDNET_TRACE_FRAMES]; /* filled by who knows symbols */
};

/* Where a crash is blamed on: the address and its image; NULL: nowhere. */
const struct kdnet_image_place *kdnet_trace_blames(const struct kdnet_trace *trace, uint64_t *address);

/*
 * What machines have told of images that others run, too, for all sessions of a thread: it spares the next machine most
 * round trips. About 220 KiB. NULL when memory is out; free(NULL) is fine.
 */
struct kdnet_trace_cache *kdnet_trace_cache_new(void);
void kdnet_trace_cache_free(struct kdnet_trace_cache *cache);

KDNET_HEADER_END

#endif
