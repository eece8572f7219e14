/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_cache: facts that machines have shown about images that other machines run, too: pieces of unwind data,
 * headers, and the images that addresses with a certain page offset lay in. Saves the next machine most round trips.
 *
 * Any machine may lie about any image. So a fact is used only when two machines agree, and an image is assumed at an
 * address only when the machine itself shows the image's header there. Not thread-safe.
 */
#ifndef KDNET_TRACE_CACHE_H
#define KDNET_TRACE_CACHE_H

#include "kdnet/crash/cause.h"
#include "kdnet/crash/dump_log.h"
#include "kdnet/crash/trace_claims.h"
#include "kdnet/unwind/unwind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_TRACE_WAYS     8U /* places of an entry in its table, by its hash */
#define KDNET_TRACE_PIECES   256U
#define KDNET_TRACE_HEADERS  128U
#define KDNET_TRACE_HINTS    256U
#define KDNET_TRACE_KERNELS  32U
#define KDNET_TRACE_LABS     32U
#define KDNET_TRACE_GROUPS   256U
#define KDNET_TRACE_WALKS    128U
#define KDNET_TRACE_EVERY_US UINT64_C(60000000) /* interval of traces for similar crashes in a storm */

/* Certainty of an entry. Only facts from two machines are used. */
enum kdnet_trace_trust {
    KDNET_TRACE_FREE, /* no entry */
    KDNET_TRACE_TOLD,
    KDNET_TRACE_CONFIRMED,
};

/* A block of an image's constant memory. */
struct kdnet_trace_piece {
    uint8_t trust;    /* enum kdnet_trace_trust */
    uint16_t machine; /* of the image, and: */
    uint32_t stamp, size;
    uint32_t rva;
    uint64_t teller; /* first machine that showed the fact */
    uint8_t bytes[KDNET_BLOCK_SIZE];
};

/* An image's header. */
struct kdnet_trace_header {
    uint8_t trust;
    uint16_t machine;
    uint64_t teller;
    struct kdnet_image_header header;
};

/* An address was so far behind the base of this image. */
struct kdnet_trace_hint {
    uint8_t trust;
    uint64_t offset, teller;
    struct kdnet_image_place image; /* `base` is unused */
};

/* A kernel whose crashes were traced, and by which machines. */
struct kdnet_trace_kernel {
    uint32_t stamp, size; /* zeros: the header was unreadable */
    uint16_t machine;
    unsigned tellers; /* up to 2 */
    uint64_t id;      /* kdnet_trace_kernel_id */
    uint64_t teller[2];
};

/* The build string of the kernel with this id. */
struct kdnet_trace_lab {
    uint8_t trust;
    uint64_t id, teller;
    char text[KDNET_BUILD_LAB_SIZE];
};

/* Machines that walked the kernel's image list in vain for an address with this page offset. */
struct kdnet_trace_walk {
    uint8_t trust;
    uint16_t machine, place;
    uint32_t stamp, size; /* of the kernel */
    uint64_t teller;      /* the first */
    uint64_t second;
};

/* Similar crashes: results of their traces, and the last trace in a storm. */
struct kdnet_trace_group {
    uint8_t trust;  /* confirmed: two traces, by two machines, found no more than the parameters say */
    bool fruitful;  /* a trace found more than the parameters: the stack leads to another image */
    uint16_t place; /* of the address in its page */
    uint32_t code;
    uint64_t kernel;    /* id of the kernel */
    uint64_t teller;    /* of the first that found no more */
    uint64_t traced_us; /* 0: not in a storm */
};

/* Zeros: nothing is known yet. */
struct kdnet_trace_cache {
    unsigned turn; /* which of several entries gives way */
    size_t next_kernel;
    uint64_t found_us; /* when all machines without a known place may be traced in a storm again */
    struct kdnet_trace_piece piece[KDNET_TRACE_PIECES];
    struct kdnet_trace_header header[KDNET_TRACE_HEADERS];
    struct kdnet_trace_hint hint[KDNET_TRACE_HINTS];
    struct kdnet_trace_kernel kernel[KDNET_TRACE_KERNELS];
    struct kdnet_trace_group group[KDNET_TRACE_GROUPS];
    struct kdnet_trace_lab lab[KDNET_TRACE_LABS];
    struct kdnet_trace_walk walk[KDNET_TRACE_WALKS];
    struct kdnet_trace_claims claims; /* to kernels, and to addresses that nobody has placed */
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

/* kernel: of the machine. */
void kdnet_trace_cache_learn_hint(struct kdnet_trace_cache *cache, uint64_t teller,
                                  const struct kdnet_image_place *kernel, const struct kdnet_image_place *image,
                                  uint64_t address);

/* Returns an image's header that two machines agree on; NULL: unknown. */
const struct kdnet_image_header *kdnet_trace_cache_header(const struct kdnet_trace_cache *cache,
                                                          const struct kdnet_image_place *image);
void kdnet_trace_cache_learn_header(struct kdnet_trace_cache *cache, uint64_t teller, enum kdnet_machine machine,
                                    const struct kdnet_image_header *header);

/* How much a machine is asked. */
enum kdnet_trace_claimed {
    KDNET_TRACE_IN_FULL,
    KDNET_TRACE_LITTLE, /* two others were asked in full */
    KDNET_TRACE_BUSY,   /* others are being asked in full: little now, or later */
};

/* Returns how much this machine is to be asked about its kernel: two are asked in full, and a claim keeps the place of
 * one that is being asked. id: kdnet_trace_kernel_id. */
enum kdnet_trace_claimed kdnet_trace_cache_claim_kernel(struct kdnet_trace_cache *cache,
                                                        const struct kdnet_image_place *kernel, uint64_t id,
                                                        uint64_t teller, uint64_t now_us, uint64_t until_us);
void kdnet_trace_cache_learn_kernel(struct kdnet_trace_cache *cache, const struct kdnet_image_place *kernel,
                                    uint64_t id, uint64_t teller);

/* Gets size and time stamp of the kernel with this id, if two other machines agree: its header need not be read. */
bool kdnet_trace_cache_recall_kernel(const struct kdnet_trace_cache *cache, uint64_t id, uint64_t teller,
                                     struct kdnet_image_place *kernel);

/* Returns the build string of a kernel that two machines agree on; NULL: unknown. id: of its symbol file. */
const char *kdnet_trace_cache_lab(const struct kdnet_trace_cache *cache, uint64_t id);
void kdnet_trace_cache_learn_lab(struct kdnet_trace_cache *cache, uint64_t id, uint64_t teller,
                                 const char text[static KDNET_BUILD_LAB_SIZE]);

/* Whether two other machines with this kernel walked the image list in vain for a similar address: a third walk would
 * add nothing. */
bool kdnet_trace_cache_is_walked(const struct kdnet_trace_cache *cache, const struct kdnet_image_place *kernel,
                                 uint64_t address, uint64_t teller);
/* Returns how much this machine is to walk its image list for an address that nobody could place: two walk in full at
 * a time for addresses with the same page offset, and a claim keeps the place of one that walks. LITTLE:
 * kdnet_trace_cache_is_walked. */
enum kdnet_trace_claimed kdnet_trace_cache_claim_walk(struct kdnet_trace_cache *cache,
                                                      const struct kdnet_image_place *kernel, uint64_t address,
                                                      uint64_t teller, uint64_t now_us, uint64_t until_us);
/* The walk was in vain. */
void kdnet_trace_cache_learn_walk(struct kdnet_trace_cache *cache, const struct kdnet_image_place *kernel,
                                  uint64_t address, uint64_t teller);

/* Whether a crash may be traced in a storm: one a minute among similar crashes. kernel: its id. */
bool kdnet_trace_cache_may_ask(struct kdnet_trace_cache *cache, const struct kdnet_bugcheck *bugcheck, uint64_t kernel,
                               uint64_t now_us);

/* What is known of similar crashes. */
enum kdnet_trace_group_fact {
    KDNET_TRACE_GROUP_UNKNOWN,
    KDNET_TRACE_GROUP_PLAIN,    /* their traces found no more than their parameters say */
    KDNET_TRACE_GROUP_FRUITFUL, /* their stacks say more */
};
enum kdnet_trace_group_fact kdnet_trace_cache_group(const struct kdnet_trace_cache *cache,
                                                    const struct kdnet_bugcheck *bugcheck, uint64_t kernel);

/* Records the end of a whole trace. fruitful: the stack led to an image that the parameters do not name. */
void kdnet_trace_cache_learn_group(struct kdnet_trace_cache *cache, const struct kdnet_bugcheck *bugcheck,
                                   uint64_t kernel, uint64_t teller, bool fruitful);

/* Whether a machine with an unknown address may be traced in a storm: a burst, then one in each interval. Bug checks
 * may name another address on each machine. */
bool kdnet_trace_cache_may_find(struct kdnet_trace_cache *cache, uint64_t now_us);

#endif
