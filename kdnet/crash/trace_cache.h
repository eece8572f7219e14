/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_cache: facts that machines have shown about images that other machines run, too: pieces of unwind data, and the
 * images that addresses with a certain page offset lay in. Saves the next machine most round trips.
 *
 * Any machine may lie about any image. So a fact is used only when two machines agree, and an image is assumed at an
 * address only when the machine itself shows the image's header there. Not thread-safe.
 */
#ifndef KDNET_TRACE_CACHE_H
#define KDNET_TRACE_CACHE_H

#include "kdnet/crash/cause.h"
#include "kdnet/crash/dump_log.h"
#include "kdnet/unwind/blocks.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_TRACE_PIECES   192U
#define KDNET_TRACE_HINTS    64U
#define KDNET_TRACE_KERNELS  8U
#define KDNET_TRACE_GROUPS   16U
#define KDNET_TRACE_WALKS    64U
#define KDNET_TRACE_EVERY_US UINT64_C(60000000) /* interval of traces for similar crashes in a storm */

/* A block of an image's constant memory. */
struct kdnet_trace_piece {
    uint32_t stamp, size; /* of the image */
    uint16_t machine;
    uint32_t rva;
    bool used, confirmed;
    uint64_t teller; /* first machine that showed the fact */
    uint8_t bytes[KDNET_BLOCK_SIZE];
};

/* An address was so far behind the base of this image. */
struct kdnet_trace_hint {
    uint64_t offset;
    struct kdnet_image_place image; /* `base` is unused */
    bool used, confirmed;
    uint64_t teller;
};

/* A kernel whose crashes were traced, and by which machines. */
struct kdnet_trace_kernel {
    uint32_t stamp, size;
    uint16_t machine;
    unsigned tellers; /* up to 2 */
    uint64_t teller[2];
};

/* Machines that walked the kernel's image list for an address with this page offset. */
struct kdnet_trace_walk {
    uint32_t stamp, size; /* of the kernel */
    uint16_t machine, place;
    uint8_t tellers; /* up to 2 */
    uint64_t teller[2];
};

/* Similar crashes, and when one of them was last traced in a storm. */
struct kdnet_trace_group {
    uint32_t code;
    uint16_t place; /* of the address in its page */
    uint64_t traced_us;
};

/* Zeros: nothing is known yet. */
struct kdnet_trace_cache {
    size_t next_piece, next_hint, next_kernel, next_group, next_walk;
    struct kdnet_trace_piece piece[KDNET_TRACE_PIECES];
    struct kdnet_trace_hint hint[KDNET_TRACE_HINTS];
    struct kdnet_trace_kernel kernel[KDNET_TRACE_KERNELS];
    struct kdnet_trace_group group[KDNET_TRACE_GROUPS];
    struct kdnet_trace_walk walk[KDNET_TRACE_WALKS];
    struct kdnet_dump_log_paths logs; /* believed only for where to look */
};

/* Returns a block of an image that two machines agree on; NULL: none. */
const uint8_t *kdnet_trace_cache_piece(const struct kdnet_trace_cache *cache, const struct kdnet_image_place *image,
                                       uint32_t rva);

/* A machine has told a whole block of an image. */
void kdnet_trace_cache_learn_piece(struct kdnet_trace_cache *cache, uint64_t teller,
                                   const struct kdnet_image_place *image, uint32_t rva, const uint8_t *bytes);

/* Gets the n-th image, from 0, that an address with this page offset lay in on two machines of this kind. `base` is
 * where the image would be. False: no more images. */
bool kdnet_trace_cache_guess(const struct kdnet_trace_cache *cache, enum kdnet_machine machine, uint64_t address,
                             unsigned n, struct kdnet_image_place *out);

void kdnet_trace_cache_learn_hint(struct kdnet_trace_cache *cache, uint64_t teller,
                                  const struct kdnet_image_place *image, uint64_t address);

/* Whether a crash may be traced in a storm: one a minute among similar crashes. */
bool kdnet_trace_cache_may_ask(struct kdnet_trace_cache *cache, const struct kdnet_bugcheck *bugcheck, uint64_t now_us);

/* Whether two other machines with this kernel were traced. */
bool kdnet_trace_cache_is_familiar(const struct kdnet_trace_cache *cache, const struct kdnet_image_place *kernel,
                                   uint64_t teller);
void kdnet_trace_cache_learn_kernel(struct kdnet_trace_cache *cache, const struct kdnet_image_place *kernel,
                                    uint64_t teller);

/* Whether two other machines with this kernel walked the image list for a similar address: a third walk would add
 * nothing. */
bool kdnet_trace_cache_is_walked(struct kdnet_trace_cache *cache, const struct kdnet_image_place *kernel,
                                 uint64_t address, uint64_t teller);
void kdnet_trace_cache_learn_walk(struct kdnet_trace_cache *cache, const struct kdnet_image_place *kernel,
                                  uint64_t address, uint64_t teller);

#endif
