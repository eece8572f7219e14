/* SPDX-License-Identifier: Apache-2.0 */
/* trace_search: input and state of a trace. */
#ifndef KDNET_CRASH_TRACE_SEARCH_H
#define KDNET_CRASH_TRACE_SEARCH_H

#include "kdnet/crash/cause.h"
#include "kdnet/crash/trace_cache.h"
#include "kdnet/trace.h"
#include "kdnet/unwind/unwind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_TRACE_MODULES  256U /* most images of the kernel's list that are visited */
#define KDNET_TRACE_BLOCKS   60U  /* round trips allowed for the first two machines with a kernel, or with an image */
#define KDNET_TRACE_FAMILIAR 12U  /* of the others, also of those that crash at the same moment */
#define KDNET_TRACE_IN_STORM 3U   /* of any, while very many crash together */

struct kdnet_trace_start {
    enum kdnet_machine machine;
    struct kdnet_bugcheck bugcheck;
    uint64_t kernel_base, module_list; /* list: address of PsLoadedModuleList; 0: not known */
    uint16_t build;                    /* of the kernel; 0: unknown */
    uint64_t kernel_id;                /* id of the kernel among the cache's users, from its PDB; 0: unknown */
    bool frame_known;
    struct kdnet_frame frame;        /* where the processor stands */
    struct kdnet_trace_cache *cache; /* NULL: nothing is shared */
    uint64_t teller;                 /* identifies the machine among the users of the cache */
    uint64_t wait_until_us;          /* how long it may wait for what others are being asked */
    uint64_t now_us, claim_until_us; /* renewed for each question: when its claims lapse if no further one follows */
    bool storm;                      /* very many machines crash: only facts that cost one or two reads */
};

/* An image in the kernel's list. */
struct kdnet_trace_module {
    uint64_t base, name;
    uint64_t debug;       /* address of its non-paged debug info; 0: none */
    uint32_t size, stamp; /* stamp 0: the list does not say */
    uint16_t name_length;
};

/* State of one search. About 36 KiB. */
struct kdnet_trace_search {
    struct kdnet_trace_start start;
    struct kdnet_trace trace; /* valid at any time, as far as the search has come */
    unsigned asked, budget;
    bool waits; /* for others; kdnet_trace_next is to be called again later */
    enum {
        KDNET_TRACE_ADDRESS,
        KDNET_TRACE_KERNEL,
        KDNET_TRACE_CAUSE,
        KDNET_TRACE_RECORD,
        KDNET_TRACE_STACK,
        KDNET_TRACE_IDENTITY,
        KDNET_TRACE_DONE
    } stage;
    struct kdnet_frame frame;
    uint64_t walk;    /* the next entry of the list; 0: not begun */
    bool walked;      /* the list was walked to its end */
    bool code_read;   /* code of the image that may be blamed was read */
    uint64_t weighed; /* last address that the list was walked for */
    unsigned module_count;
    struct kdnet_trace_module module[KDNET_TRACE_MODULES];
    struct kdnet_blocks blocks;
};

#endif
