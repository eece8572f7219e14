/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_check: whether an image lies where other machines had it, by one short read of its header. In a storm most
 * machines are asked nothing more.
 *
 * Use: zeros, then kdnet_trace_check_next and kdnet_trace_check_take in turn.
 */
#ifndef KDNET_TRACE_CHECK_H
#define KDNET_TRACE_CHECK_H

#include "kdnet/crash/trace_search.h"

#define KDNET_TRACE_CHECK_SIZE 84U /* from the PE signature to SizeOfImage */

enum kdnet_trace_check_result {
    KDNET_TRACE_CHECK_FOUND,
    KDNET_TRACE_CHECK_OTHER,   /* something else is there */
    KDNET_TRACE_CHECK_MISSING, /* the header is paged out */
};

struct kdnet_trace_check {
    unsigned tried;
    uint64_t address;
    struct kdnet_image_place image; /* the image being looked for */
};

/* Where to read KDNET_TRACE_CHECK_SIZE bytes next; false: nobody has told where such an address lies. */
bool kdnet_trace_check_next(struct kdnet_trace_check *check, const struct kdnet_trace_cache *cache,
                            enum kdnet_machine machine, uint64_t address, uint64_t *want);

/* Takes the bytes of the read; length 0: unreadable. */
enum kdnet_trace_check_result kdnet_trace_check_take(const struct kdnet_trace_check *check, const uint8_t *data,
                                                     size_t length);

/* The trace of a machine that is asked no more than that; check: found; NULL: nothing was. */
void kdnet_trace_of_parameters(const struct kdnet_trace_start *start, const struct kdnet_trace_check *check,
                               struct kdnet_trace *out);

#endif
