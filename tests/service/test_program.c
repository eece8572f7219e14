/* SPDX-License-Identifier: Apache-2.0 */
/* What program_start promises for the end of the process: this one's own end is looked at, and fails it. */
#include "service/platform/program.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A thread of a library may be freeing its certificates just now. */
static void look_at_end(void)
{
    if (OPENSSL_init_crypto(0, NULL) == 1)
        return;
    (void)fputs("OpenSSL is gone before the process has ended\n", stderr);
    _Exit(1);
}

static void openssl_is_used(void **state)
{
    unsigned char bytes[8];
    (void)state;
    assert_int_equal(RAND_bytes(bytes, sizeof bytes), 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(openssl_is_used)};
    if (atexit(look_at_end) != 0) /* before OpenSSL's own, and so called after it */
        return 1;
    program_start(&argc, &argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
