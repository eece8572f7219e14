/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_images: what a trace reads of a machine's memory, and the image that an address lies in: guessed from where
 * other machines had it, then looked for in the machine's own list. Used by trace.c alone.
 */
#ifndef KDNET_CRASH_TRACE_IMAGES_H
#define KDNET_CRASH_TRACE_IMAGES_H

#include "kdnet/crash/trace_search.h"

#define KDNET_TRACE_IMAGE_SIZE_MAX 0x40000000U /* bytes: what says that it is larger is no image */

/* Whether the machine's pointers have 64 bits. */
bool kdnet_trace_is_wide(const struct kdnet_trace_search *search);

/* A pointer of the machine, of 8 or 4 bytes; of 4: as an address of 64 bits. */
uint64_t kdnet_trace_pointer(const struct kdnet_trace_search *search, const uint8_t *bytes);

/* Memory of the machine. OK, NEEDS (the search's blocks want a block first), or END (it cannot be read). */
enum kdnet_unwind_result kdnet_trace_read(struct kdnet_trace_search *search, uint64_t address, uint8_t *out,
                                          size_t length);

/* The block that is wanted, as the machine told it; length 0: it cannot be read. */
void kdnet_trace_take_block(struct kdnet_trace_search *search, const uint8_t *data, size_t length);

/* Gives the block that is wanted, as other machines have told it. False: this machine has to be asked. */
bool kdnet_trace_give_known(struct kdnet_trace_search *search);

/* The place in the trace of the image that an address lies in; KDNET_TRACE_NO_IMAGE: none that the trace has. */
uint8_t kdnet_trace_find_image(const struct kdnet_trace *trace, uint64_t address);

/* Its place; KDNET_TRACE_NO_IMAGE: the trace is full. */
uint8_t kdnet_trace_add_image(struct kdnet_trace *trace, const struct kdnet_image_place *image);

/* The same as find_image, and looks for an image that the trace has not yet. END: none is known. */
enum kdnet_unwind_result kdnet_trace_locate(struct kdnet_trace_search *search, uint64_t address, uint8_t *image);

#endif
