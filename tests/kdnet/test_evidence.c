/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kdnet/session/evidence.h"

#include <cmocka.h>

static struct kdnet_evidence evidence;
static uint8_t letters[KDNET_TEXT_MAX];

static int setup(void **state)
{
    (void)state;
    memset(&evidence, 0, sizeof evidence);
    memset(letters, 'x', sizeof letters);
    return 0;
}

static void expect(size_t i, enum kdnet_value_state state, size_t length)
{
    assert_string_equal(kdnet_value_state_name((enum kdnet_value_state)evidence.value[i].state),
                        kdnet_value_state_name(state));
    assert_int_equal(evidence.value[i].text_length, length);
}

static void a_text_that_ends_is_known(void **state)
{
    (void)state;
    letters[7] = '\0';
    kdnet_evidence_text(&evidence, 0, letters, sizeof letters, false, true);
    expect(0, KDNET_VALUE_KNOWN, 7);
    kdnet_evidence_text(&evidence, 1, letters, 7, false, false);
    expect(1, KDNET_VALUE_KNOWN, 7);
    kdnet_evidence_text(&evidence, 2, letters + 7, 1, false, true);
    expect(2, KDNET_VALUE_KNOWN, 0);
}

static void a_text_without_an_end_in_what_was_read_is_cut(void **state)
{
    (void)state;
    kdnet_evidence_text(&evidence, 0, letters, sizeof letters, false, true);
    expect(0, KDNET_VALUE_CUT, sizeof letters);
    kdnet_evidence_text(&evidence, 1, letters, sizeof letters, true, true);
    expect(1, KDNET_VALUE_CUT, sizeof letters / 2 * 3);
}

static void a_text_that_finds_no_room_is_not_told_as_known(void **state)
{
    size_t i = 0, left = KDNET_TEXTS_MAX % KDNET_TEXT_MAX;
    (void)state;
    for (; i < KDNET_TEXTS_MAX / KDNET_TEXT_MAX; ++i)
        kdnet_evidence_text(&evidence, i, letters, sizeof letters, false, false);
    expect(i - 1, KDNET_VALUE_KNOWN, sizeof letters);
    kdnet_evidence_text(&evidence, i, letters, sizeof letters, false, false);
    expect(i++, KDNET_VALUE_CUT, left);
    kdnet_evidence_text(&evidence, i, letters, sizeof letters, false, false);
    expect(i++, KDNET_VALUE_NO_ROOM, 0);
    letters[0] = '\0';
    kdnet_evidence_text(&evidence, i, letters, sizeof letters, false, true);
    expect(i, KDNET_VALUE_KNOWN, 0);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_text_that_ends_is_known),
        TEST(a_text_without_an_end_in_what_was_read_is_cut),
        TEST(a_text_that_finds_no_room_is_not_told_as_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
