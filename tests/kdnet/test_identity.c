/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/error.h"
#include "kdnet/session/identity.h"

static const char key_text[] = "1m770ts6ru0p.3671pemyie4i.2b8djy3wt5et.1p99ir125v4q";
static const struct kdnet_bugcheck d1 = {0xd1, {0xffffbeeb8da1658eU, 2, 0, 0xfffff800ee42c90bU}};

static void make_boot(uint8_t counter, uint8_t out[static KDNET_IDENTITY_LENGTH])
{
    struct kdnet_key key;
    uint8_t random[KDNET_RANDOM_LENGTH];
    assert_int_equal(kdnet_key_parse(key_text, sizeof key_text - 1, &key, NULL, NULL), KDNET_OK);
    for (size_t i = 0; i < sizeof random; ++i)
        random[i] = (uint8_t)(i < KDNET_COUNTER_LENGTH ? counter : i);
    kdnet_identity_boot(&key, random, out);
}

static void a_boot_is_the_key_and_the_random_without_its_counter(void **state)
{
    static const uint8_t wanted[] = {0x15, 0x51, 0x90, 0x32, 0xbe, 0x73, 0xd5, 0x8a};
    uint8_t boot[KDNET_IDENTITY_LENGTH];
    (void)state;
    make_boot(0, boot);
    assert_memory_equal(boot, wanted, sizeof wanted);
    make_boot(77, boot);
    assert_memory_equal(boot, wanted, sizeof wanted);
}

static void a_crash_is_its_boot_and_its_bug_check(void **state)
{
    static const uint8_t wanted[] = {0x6a, 0xe1, 0xab, 0xba, 0xda, 0x9a, 0x67, 0x9d};
    uint8_t boot[KDNET_IDENTITY_LENGTH], crash[KDNET_IDENTITY_LENGTH];
    struct kdnet_bugcheck other = d1;
    (void)state;
    make_boot(0, boot);
    kdnet_identity_crash(boot, &d1, crash);
    assert_memory_equal(crash, wanted, sizeof wanted);
    ++other.parameters[3];
    kdnet_identity_crash(boot, &other, crash);
    assert_memory_not_equal(crash, wanted, sizeof wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_boot_is_the_key_and_the_random_without_its_counter),
        cmocka_unit_test(a_crash_is_its_boot_and_its_bug_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
