/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refused: calls of the system that are refused when a test wants it. Programs that link kdnetd_test_refused get its
 * socket, open, read and so on (refused.c has them all) in the code that is linked into them; shared libraries keep the
 * system's. Those that link kdnetd_test_refused_uv get libuv's locks, threads, handles and files instead, in the same
 * count (refused_uv.c). Thread: one; with libuv's, any, one test at a time.
 */
#ifndef TESTS_SUPPORT_REFUSED_H
#define TESTS_SUPPORT_REFUSED_H

#include <stdbool.h>
#include <stddef.h>

/* The call with this number, counted from 0 and from now, says `error` of errno, and does nothing. */
void refused_begin(size_t number, int error);

/* From now on no call is refused. Returns the name of the call that was, or NULL. */
const char *refused_end(void);

/* Counts a call; true: it is the one to be refused. For wraps of others than the system, as refused_uv.c has them. */
bool refused_now(const char *name, int *error);

/* The name of the call that was refused since refused_begin, or NULL. */
const char *refused_call(void);
bool refused_is(const char *name);

/*
 * Does `work` with its first call of the system refused, then with its second, and so on until none is refused. So each
 * way out of `work` that the system can cause is taken once. `work` asserts what its caller may rely on. Returns how
 * often a call was refused. No descriptor is left open, or it aborts.
 */
size_t refused_each(int error, void (*work)(void *user), void *user);

#endif
