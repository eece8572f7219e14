/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_images: the memory reads of a trace, and the search for the image at an address: first guessed from other
 * machines, then looked up in the machine's own list. Used by trace.c only.
 */
#ifndef KDNET_CRASH_TRACE_IMAGES_H
#define KDNET_CRASH_TRACE_IMAGES_H

#include "kdnet/crash/trace_search.h"

#define KDNET_TRACE_IMAGE_SIZE_MAX 0x40000000U /* bytes: a larger SizeOfImage is no image */

/* Whether the machine's pointers have 64 bits. */
bool kdnet_trace_is_wide(const struct kdnet_trace_search *search);

/* A pointer of the machine, of 8 or 4 bytes; of 4: as an address of 64 bits. */
uint64_t kdnet_trace_pointer(const struct kdnet_trace_search *search, const uint8_t *bytes);

/* Reads memory of the machine. OK, NEEDS (the search's blocks need a block first), or END (unreadable). */
enum kdnet_unwind_result kdnet_trace_read(struct kdnet_trace_search *search, uint64_t address, uint8_t *out,
                                          size_t length);

/* Takes the block that was asked for from the machine; length 0: unreadable. */
void kdnet_trace_take_block(struct kdnet_trace_search *search, const uint8_t *data, size_t length);

/* Takes the block that was asked for from the cache, or leaves user memory unread. False: the machine has to be
 * asked. */
bool kdnet_trace_give_known(struct kdnet_trace_search *search);

/* Returns the kernel of a machine; its size is 0 until two other machines with this kernel have shown it. */
struct kdnet_image_place kdnet_trace_kernel_place(const struct kdnet_trace_start *start);

/* Gets an image's header: from this machine's memory when it was read, else from two other machines, else by a read. */
enum kdnet_unwind_result kdnet_trace_header(struct kdnet_trace_search *search, const struct kdnet_image_place *image,
                                            struct kdnet_image_header *out);

/* Returns the index in the trace of the image that contains an address; KDNET_TRACE_NO_IMAGE: none. */
uint8_t kdnet_trace_find_image(const struct kdnet_trace *trace, uint64_t address);

/* Adds an image and returns its index; KDNET_TRACE_NO_IMAGE: the trace is full. */
uint8_t kdnet_trace_add_image(struct kdnet_trace *trace, const struct kdnet_image_place *image);

/* Tells other machines that the walk for the last address was in vain, if it was. */
void kdnet_trace_end_walk(struct kdnet_trace_search *search);

/* Like kdnet_trace_find_image, and also searches for images that the trace does not have yet. END: unknown. */
enum kdnet_unwind_result kdnet_trace_locate(struct kdnet_trace_search *search, uint64_t address, uint8_t *image);

#endif
