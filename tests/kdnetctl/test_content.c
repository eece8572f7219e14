/* SPDX-License-Identifier: Apache-2.0 */
/* What the body of an authentic datagram is, and the names that decode's JSON has for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/error.h"
#include "service/kdnetctl/content.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct conversation conversation;

static void decode(bool from_host, uint8_t channel, const uint8_t *body, size_t length, struct content *out)
{
    struct opener_opened opened = {
        .result = OPENER_VERIFIED,
        .datagram = {.channel = channel, .from_host = from_host, .body = body, .body_length = length},
        .conversation = &conversation};
    memset(out, 0xee, sizeof *out); /* what a decoder leaves out shows */
    content_decode(&opened, out);
}

static void each_kind_of_body_has_its_name(void **state)
{
    static const struct {
        const char *name;
        bool from_host;
        uint8_t channel;
        size_t length;
        uint8_t body[KDNET_CHECK_LENGTH];
    } examples[] = {
        {"empty_control", true, KDNET_CHANNEL_CONTROL, 0, {0}},
        {"unknown", true, KDNET_CHANNEL_CONTROL, 1, {0}},
        {"unknown", false, KDNET_CHANNEL_CONTROL, 1, {0}},
        {"connection_check", false, KDNET_CHANNEL_DATA, KDNET_CHECK_LENGTH, {[8] = 1, 0, 0, 127}},
        {"break_in", true, KDNET_CHANNEL_DATA, 1, {KDNET_BREAK_IN_BYTE}},
        {"unknown", true, KDNET_CHANNEL_DATA, 1, {KDNET_BREAK_IN_BYTE + 1}},
        {"unknown", true, KDNET_CHANNEL_DATA, 0, {0}},
    };
    struct content content;
    (void)state;
    for (size_t i = 0; i < COUNT(examples); ++i) {
        decode(examples[i].from_host, examples[i].channel, examples[i].body, examples[i].length, &content);
        print_message("%u: %s\n", (unsigned)i, content_kind_name(content.kind));
        assert_string_equal(content_kind_name(content.kind), examples[i].name);
        assert_int_equal(content.payload, CONTENT_NO_PAYLOAD);
    }
}

static void a_packet_is_decoded_as_its_type_says(void **state)
{
    static const uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const struct {
        enum content_payload payload;
        bool control;
        uint16_t type;
        uint16_t length;
    } examples[] = {
        {CONTENT_NO_PAYLOAD, true, KDNET_PACKET_ACK, 0},
        {CONTENT_OTHER_PAYLOAD, true, KDNET_PACKET_RESET, sizeof bytes},
        {CONTENT_OTHER_PAYLOAD, true, KDNET_PACKET_MANIPULATE, sizeof bytes},
        {CONTENT_OTHER_PAYLOAD, false, KDNET_PACKET_TRACE_IO, sizeof bytes},
        {CONTENT_OTHER_PAYLOAD, false, KDNET_PACKET_STATE_CHANGE64, sizeof bytes}, /* too short, as those below */
        {CONTENT_OTHER_PAYLOAD, false, KDNET_PACKET_STATE_CHANGE32, sizeof bytes},
        {CONTENT_OTHER_PAYLOAD, false, KDNET_PACKET_MANIPULATE, sizeof bytes},
        {CONTENT_OTHER_PAYLOAD, false, KDNET_PACKET_DEBUG_IO, sizeof bytes},
        {CONTENT_OTHER_PAYLOAD, false, KDNET_PACKET_FILE_IO, sizeof bytes},
    };
    struct content content;
    (void)state;
    for (size_t i = 0; i < COUNT(examples); ++i) {
        uint8_t body[KDNET_PACKET_HEADER + sizeof bytes];
        size_t length = 0;
        const struct kdnet_packet packet = {.control = examples[i].control,
                                            .type = examples[i].type,
                                            .id = KDNET_PACKET_FIRST_ID,
                                            .payload = bytes,
                                            .payload_length = examples[i].length};
        assert_int_equal(kdnet_packet_encode(&packet, body, sizeof body, &length), KDNET_OK);
        decode(false, KDNET_CHANNEL_DATA, body, length, &content);
        assert_string_equal(content_kind_name(content.kind), "packet");
        assert_true(content.checksum_good);
        assert_int_equal(content.payload, examples[i].payload);
        assert_null(content.path);
        assert_null(content.context);
        assert_false(content.has_bugcheck);
    }
}

static void a_number_of_no_kind_is_unknown(void **state)
{
    (void)state;
    assert_string_equal(content_kind_name(CONTENT_POKE), "poke");
    assert_string_equal(content_kind_name(CONTENT_RESPONSE), "response");
    assert_string_equal(content_kind_name((enum content_kind)(CONTENT_PACKET + 1)), "unknown");
}

static void states_are_named_in_both_their_forms(void **state)
{
    (void)state;
    for (uint32_t form = 0; form <= KDNET_STATE_ALTERNATE; form += KDNET_STATE_ALTERNATE) {
        assert_string_equal(content_state_name(KDNET_STATE_EXCEPTION | form), "exception");
        assert_string_equal(content_state_name(KDNET_STATE_LOAD_SYMBOLS | form), "load_symbols");
        assert_string_equal(content_state_name(KDNET_STATE_COMMAND_STRING | form), "command_string");
        assert_string_equal(content_state_name(0x3033 | form), "unknown");
    }
}

static void a_continue_is_named(void **state)
{
    (void)state;
    assert_string_equal(content_continue_name(0x00010002), "DBG_CONTINUE");
    assert_string_equal(content_continue_name(0x00010001), "DBG_EXCEPTION_HANDLED");
    assert_string_equal(content_continue_name(0x80010001), "DBG_EXCEPTION_NOT_HANDLED");
    assert_string_equal(content_continue_name(0xc000007f), "STATUS_DISK_FULL");
    assert_null(content_continue_name(0xdeadbeef));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_body_has_its_name),
        cmocka_unit_test(a_packet_is_decoded_as_its_type_says),
        cmocka_unit_test(a_number_of_no_kind_is_unknown),
        cmocka_unit_test(states_are_named_in_both_their_forms),
        cmocka_unit_test(a_continue_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
