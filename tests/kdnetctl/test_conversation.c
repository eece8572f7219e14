/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "service/kdnetctl/conversation.h"
#include "tests/kdnetctl/frames.h"

static void both_directions_are_one_conversation(void **state)
{
    (void)state;
    struct conversations *table = conversations_new(10);
    struct kdnet_address target = frames_ipv4(7, 51111), host = frames_ipv4(1, 50000), other = frames_ipv4(7, 51112);
    assert_null(conversations_find(table, &target, &host));
    struct conversation *made = conversations_add(table, &target, &host);
    assert_non_null(made);
    assert_ptr_equal(conversations_find(table, &host, &target), made);
    assert_ptr_equal(conversations_add(table, &host, &target), made);
    assert_null(conversations_find(table, &other, &host)); /* another port is another conversation */
    assert_int_equal(conversations_count(table), 1);
    conversations_free(table);
}

static void the_longest_silent_one_goes_when_the_table_is_full(void **state)
{
    (void)state;
    struct conversations *table = conversations_new(3);
    struct kdnet_address host = frames_ipv4(1, 50000), targets[4];
    for (uint8_t i = 0; i < 4; ++i)
        targets[i] = frames_ipv6((uint8_t)(10 + i), 50000);
    for (size_t i = 0; i < 3; ++i)
        conversations_add(table, &targets[i], &host)->machine = KDNET_MACHINE_X64;
    assert_non_null(conversations_find(table, &targets[0], &host)); /* now 1 is the oldest */
    struct conversation *made = conversations_add(table, &targets[3], &host);
    assert_int_equal(made->machine, KDNET_MACHINE_UNKNOWN); /* nothing is left of the one before */
    assert_int_equal(conversations_count(table), 3);
    assert_null(conversations_find(table, &targets[1], &host));
    assert_non_null(conversations_find(table, &targets[0], &host));
    assert_non_null(conversations_find(table, &targets[2], &host));
    conversations_free(table);
}

static void many_more_than_fit_leave_the_newest(void **state)
{
    (void)state;
    enum { LIMIT = 1000, ADDED = 50000 };
    struct conversations *table = conversations_new(LIMIT);
    struct kdnet_address host = frames_ipv4(1, 50000);
    for (unsigned port = 1; port <= ADDED; ++port) {
        struct kdnet_address target = frames_ipv4(7, (uint16_t)port);
        assert_non_null(conversations_add(table, &target, &host));
    }
    assert_int_equal(conversations_count(table), LIMIT);
    for (unsigned port = 1; port <= ADDED; ++port) {
        struct kdnet_address target = frames_ipv4(7, (uint16_t)port);
        assert_int_equal(conversations_find(table, &target, &host) != NULL, port > ADDED - LIMIT);
    }
    conversations_free(table);
}

static void make_key(uint8_t out[static KDNET_AES_KEY_LENGTH], uint8_t value)
{
    memset(out, value, KDNET_AES_KEY_LENGTH);
}

static void responses_cannot_push_out_the_key_in_force(void **state)
{
    (void)state;
    struct conversation conversation = {0};
    uint8_t aes[KDNET_AES_KEY_LENGTH];
    make_key(aes, 1);
    conversation_add_data_key(&conversation, aes, 0);
    conversation_use_data_key(&conversation, 0);
    for (uint8_t i = 2; i < 100; ++i) {
        make_key(aes, i);
        conversation_add_data_key(&conversation, aes, 0);
        assert_int_equal(conversation.data_keys[0].aes[0], 1);
        assert_int_equal(conversation.data_keys[1].aes[0], i); /* the newest is tried next */
    }
    assert_int_equal(conversation.data_key_count, CONVERSATION_DATA_KEYS);
}

static void key_that_opens_is_tried_first_from_then_on(void **state)
{
    (void)state;
    struct conversation conversation = {0};
    uint8_t aes[KDNET_AES_KEY_LENGTH];
    for (uint8_t i = 1; i <= 3; ++i) {
        make_key(aes, i);
        conversation_add_data_key(&conversation, aes, i);
    }
    conversation_use_data_key(&conversation, 2);
    assert_int_equal(conversation.data_keys[0].aes[0], 2);
    assert_int_equal(conversation.data_keys[1].aes[0], 1);
    assert_int_equal(conversation.data_keys[2].aes[0], 3);
    assert_int_equal(conversation.key, 2);
}

static void repeated_response_changes_nothing(void **state)
{
    (void)state;
    struct conversation conversation = {0};
    uint8_t aes[KDNET_AES_KEY_LENGTH];
    make_key(aes, 1);
    conversation_add_data_key(&conversation, aes, 0);
    conversation_add_data_key(&conversation, aes, 0);
    assert_int_equal(conversation.data_key_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_directions_are_one_conversation),
        cmocka_unit_test(the_longest_silent_one_goes_when_the_table_is_full),
        cmocka_unit_test(many_more_than_fit_leave_the_newest),
        cmocka_unit_test(responses_cannot_push_out_the_key_in_force),
        cmocka_unit_test(key_that_opens_is_tried_first_from_then_on),
        cmocka_unit_test(repeated_response_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
