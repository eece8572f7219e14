/* SPDX-License-Identifier: Apache-2.0 */
/*
 * late: put before a program (LD_PRELOAD), does at the very end of its process what KDNETD_LATE says:
 *
 * tell: says on standard error whether OpenSSL can still be used, as threads of libraries do that nobody waits for;
 * hang: never ends.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *wanted;

static void end(void)
{
    while (strcmp(wanted, "hang") == 0)
        (void)pause();
    (void)fprintf(stderr, "late: OpenSSL is %s\n", OPENSSL_init_crypto(0, NULL) == 1 ? "there" : "gone");
}

/* Registered before what the program and its libraries register, and so called after it. */
__attribute__((constructor)) static void begin(void)
{
    wanted = getenv("KDNETD_LATE"); // NOLINT(concurrency-mt-unsafe): there is one thread yet
    if (wanted)
        (void)atexit(end);
}
