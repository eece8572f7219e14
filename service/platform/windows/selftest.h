/* SPDX-License-Identifier: Apache-2.0 */
/* selftest: properties of the service that only a real computer shows, one line each: ok, NOT and the remedy, or
 * cannot tell. */
#ifndef SERVICE_PLATFORM_WINDOWS_SELFTEST_H
#define SERVICE_PLATFORM_WINDOWS_SELFTEST_H

/* Returns 0: all is well, 1: something is not. */
int selftest_run(int argc, char **argv);

#endif
