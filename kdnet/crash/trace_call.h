/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_call: who called what is no code: a null or wild pointer to a function. The callee has no image and no unwind
 * data, but it has not touched its stack either: the return address is where a call puts it.
 */
#ifndef KDNET_CRASH_TRACE_CALL_H
#define KDNET_CRASH_TRACE_CALL_H

#include "kdnet/crash/trace_search.h"

/*
 * Replaces a frame that stands in user space, with a stack of the kernel's, by its caller's. The return address counts
 * only when it lies in an image, right behind an instruction that calls.
 *
 * Returns OK, NEEDS, or END when the frame is no such frame.
 */
enum kdnet_unwind_result kdnet_trace_caller_of_nothing(struct kdnet_trace_search *search, struct kdnet_frame *frame);

#endif
