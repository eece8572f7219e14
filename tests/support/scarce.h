/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scarce: allocations that fail when a test wants it. Programs that link kdnetd_test_scarce get its malloc, calloc,
 * realloc and strdup in the code that is linked into them; shared libraries keep the system's. Thread: any.
 */
#ifndef TESTS_SUPPORT_SCARCE_H
#define TESTS_SUPPORT_SCARCE_H

#include <stdbool.h>
#include <stddef.h>

/* The allocation with this number, counted from 0 and from now, fails; and `rest` of them after it. */
void scarce_begin(size_t number, size_t rest);

/* From now on no allocation fails. Returns whether any has failed. */
bool scarce_end(void);

/* As realloc, and never fails by scarce. For libraries that are part of the program. */
void *scarce_spared(void *old, size_t size);

/*
 * Does `work` with its first allocation failing, then with its second, and so on until none fails. So each way out of
 * `work` that memory can cause is taken once. `work` asserts what its caller may rely on; it is told whether memory
 * failed by scarce_failed(). Returns how often memory failed.
 */
size_t scarce_each(void (*work)(void *user), void *user);
bool scarce_failed(void);

#endif
