/* SPDX-License-Identifier: Apache-2.0 */
/* Messages by which collectors show each other datagrams that went astray: each comes out as it went in, and nothing
 * else is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "service/fleet/strays.h"
#include "tests/support/random.h"

#define ROUNDS 20000U

static struct address place(uint8_t last, uint16_t port)
{
    return (struct address){.ip = {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = last}, .port = port};
}

static void what_is_shown_comes_out_as_it_went_in(void **state)
{
    static const size_t lengths[] = {1, 54, 1334, STRAYS_DATAGRAM_MAX};
    uint8_t payload[STRAYS_DATAGRAM_MAX], data[STRAYS_SIZE];
    char collector[CONFIG_NAME_SIZE];
    struct stray out;
    (void)state;
    for (size_t i = 0; i < sizeof payload; ++i)
        payload[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; ++i) {
        struct stray in = {
            .machine = place(7, 51111), .local = place(10, 50000), .payload = payload, .length = lengths[i]};
        size_t length = strays_encode(&in, "c.1", data);
        assert_true(length > lengths[i] && strays_decode(data, length, collector, &out));
        assert_string_equal(collector, "c.1");
        assert_true(!out.kept && out.told == 0 && out.target[0] == '\0' && out.length == lengths[i]);
        assert_true(address_equal(&out.machine, &in.machine) && address_equal(&out.local, &in.local));
        assert_memory_equal(out.payload, payload, lengths[i]);
    }
}

static void a_word_names_the_target(void **state)
{
    uint8_t data[STRAYS_SIZE];
    char collector[CONFIG_NAME_SIZE], longest[CONFIG_NAME_SIZE];
    struct stray in = {.kept = true, .machine = place(7, 51111), .local = place(10, 50000)}, out;
    (void)state;
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    memcpy(in.target, longest, sizeof in.target);
    size_t length = strays_encode(&in, longest, data);
    assert_true(length > 0 && strays_decode(data, length, collector, &out));
    assert_true(out.kept && out.told == 0 && out.length == 0);
    assert_string_equal(out.target, longest);
    assert_string_equal(collector, longest);
    in.told = 0x89abcdefU;
    length = strays_encode(&in, "c1", data);
    assert_true(length > 0 && strays_decode(data, length, collector, &out));
    assert_true(out.kept && out.told == in.told && out.length == 0);
    assert_false(strays_decode(data, length - 1, collector, &out));
    memset(data + length - 4, 0, 4); /* of no break */
    assert_false(strays_decode(data, length, collector, &out));
    length = strays_encode(&in, "c1", data);
    assert_true(strays_decode(data, length, collector, &out));
    assert_string_equal(out.target, longest);
}

static void nothing_too_long_or_empty_is_sent(void **state)
{
    static const uint8_t payload[STRAYS_DATAGRAM_MAX + 1];
    uint8_t data[STRAYS_SIZE];
    (void)state;
    assert_int_equal(strays_encode(&(struct stray){.payload = payload, .length = sizeof payload}, "c1", data), 0);
    assert_int_equal(strays_encode(&(struct stray){.payload = payload, .length = 0}, "c1", data), 0);
}

/* Each message cut short, and with bytes that differ: parsed within its bounds, which the sanitizers watch. */
static void other_messages_are_refused(void **state)
{
    static const uint8_t payload[54] = {1};
    uint8_t whole[STRAYS_SIZE], data[STRAYS_SIZE];
    char collector[CONFIG_NAME_SIZE];
    struct test_random random;
    struct stray out;
    (void)state;
    test_random_init(&random);
    size_t length = strays_encode(&(struct stray){.payload = payload, .length = sizeof payload}, "c1", whole);
    for (size_t i = 0; i <= length - sizeof payload; ++i)
        assert_false(strays_decode(whole, i, collector, &out));
    for (unsigned i = 0; i < ROUNDS; ++i) {
        memcpy(data, whole, length);
        for (size_t changes = 1 + test_random_below(&random, 4); changes > 0; --changes)
            test_random_fill(&random, data + test_random_below(&random, length), 1);
        if (!strays_decode(data, test_random_below(&random, length + 1), collector, &out))
            continue;
        assert_true(strlen(collector) < CONFIG_NAME_SIZE && strlen(out.target) < CONFIG_NAME_SIZE);
        assert_true(out.kept == (out.length == 0) && (out.kept || out.told == 0) && out.length <= sizeof payload + 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_shown_comes_out_as_it_went_in),
        cmocka_unit_test(a_word_names_the_target),
        cmocka_unit_test(nothing_too_long_or_empty_is_sent),
        cmocka_unit_test(other_messages_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
