/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <jansson.h>

#include "kdnet/error.h"
#include "kdnet/base/wire.h"
#include "service/kdnetctl/describe.h"
#include "tests/kdnetctl/frames.h"
#include "tests/support/bytes.h"
#include "tests/support/random.h"

static struct conversation conversation;
static struct out out;
static char line[200000];

/* The line for a body, in `line`. */
static void describe(bool json, uint8_t channel, bool from_host, const uint8_t *body, size_t length)
{
    static struct content content;
    struct capture_datagram captured = {.number = 12,
                                        .time_us = 1453631771474228,
                                        .relative_us = 2435,
                                        .from = from_host ? frames_ipv4(1, 50000) : frames_ipv6(7, 51111),
                                        .to = from_host ? frames_ipv6(7, 51111) : frames_ipv4(1, 50000),
                                        .length = length + 38,
                                        .wire_length = length + 38};
    struct opener_opened opened = {.result = OPENER_VERIFIED,
                                   .has_header = true,
                                   .version = 5,
                                   .channel = channel,
                                   .datagram = {.version = 5,
                                                .channel = channel,
                                                .from_host = from_host,
                                                .sequence = 77,
                                                .body = body,
                                                .body_length = length},
                                   .conversation = &conversation};
    FILE *stream = fmemopen(line, sizeof line, "w");
    assert_non_null(stream);
    memset(&content, 0xa5, sizeof content); /* what is not decoded must not be read */
    content_decode(&opened, &content);
    out_init(&out, stream, json);
    (json ? describe_json : describe_text)(&out, &captured, &opened, &content);
    assert_true(out_flush(&out));
    (void)fclose(stream);
}

static size_t make_packet(uint16_t type, const uint8_t *payload, size_t length, uint8_t out_body[static KDNET_BODY_MAX])
{
    struct kdnet_packet packet = {.type = type, .id = 0x80000002, .payload = payload, .payload_length = length};
    size_t body_length = 0;
    assert_int_equal(kdnet_packet_encode(&packet, out_body, KDNET_BODY_MAX, &body_length), KDNET_OK);
    return body_length;
}

static void describe_packet(bool json, bool from_host, uint16_t type, const uint8_t *payload, size_t length)
{
    uint8_t body[KDNET_BODY_MAX];
    size_t body_length = make_packet(type, payload, length, body);
    uint8_t *exact = bytes_copy(body, body_length);
    describe(json, KDNET_CHANNEL_DATA, from_host, exact, body_length);
    free(exact);
}

/* What jansson makes of the line: strict, no member twice. */
static json_t *parse(void)
{
    json_error_t error;
    json_t *root = json_loads(line, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        print_error("%s: %s\n", error.text, line);
    assert_non_null(root);
    return root;
}

/* A member by its path, "packet.id". */
static json_t *member(json_t *root, const char *path)
{
    char name[64];
    while (root && *path) {
        size_t length = strcspn(path, ".");
        assert_true(length < sizeof name);
        memcpy(name, path, length);
        name[length] = '\0';
        root = json_object_get(root, name);
        path += length + (path[length] == '.');
    }
    if (!root)
        print_error("no member: %s\n", line);
    assert_non_null(root);
    return root;
}

static void assert_text(json_t *root, const char *path, const char *expected)
{
    assert_string_equal(json_string_value(member(root, path)), expected);
}

static void assert_contains(const char *part)
{
    if (!strstr(line, part))
        print_error("not there: %s\n in: %s", part, line);
    assert_non_null(strstr(line, part));
}

static int forget(void **state)
{
    (void)state;
    memset(&conversation, 0, sizeof conversation);
    return 0;
}

static void poke_shows_who_and_whom(void **state)
{
    (void)state;
    struct kdnet_poke poke = {.random = {0xab}, .target = frames_ipv4(7, 51111), .host = frames_ipv4(1, 50000)};
    uint8_t body[KDNET_POKE_LENGTH];
    kdnet_poke_encode(&poke, body);
    describe(true, KDNET_CHANNEL_CONTROL, false, body, sizeof body);
    json_t *root = parse();
    assert_text(root, "kind", "poke");
    assert_text(root, "time", "2016-01-24T10:36:11.474228Z");
    assert_text(root, "from", "[2001:db8::7]:51111");
    assert_text(root, "direction", "target_to_host");
    assert_text(root, "channel", "control");
    assert_int_equal(json_integer_value(member(root, "sequence")), 77);
    assert_int_equal(json_integer_value(member(root, "version")), 5);
    assert_true(json_is_true(member(root, "verified")));
    assert_true(json_real_value(member(root, "relative")) == 0.002435);
    assert_text(root, "poke.target", "192.0.2.7:51111");
    assert_text(root, "poke.host", "192.0.2.1:50000");
    assert_true(json_is_null(member(root, "poke.connected")));
    assert_memory_equal(json_string_value(member(root, "poke.random")), "ab00", 4);
    json_decref(root);
    describe(false, KDNET_CHANNEL_CONTROL, false, body, sizeof body);
    assert_contains(
        "target [2001:db8::7]:51111 -> host 192.0.2.1:50000  v5 control #77  verified  poke: not connected");
}

static void small_bodies_have_their_names(void **state)
{
    (void)state;
    static const uint8_t break_in[1] = {KDNET_BREAK_IN_BYTE};
    uint8_t check[KDNET_CHECK_LENGTH];
    kdnet_check_encode((const uint8_t[]){192, 0, 2, 1}, check);
    describe(false, KDNET_CHANNEL_DATA, true, break_in, 1);
    assert_contains("break-in request");
    describe(false, KDNET_CHANNEL_DATA, false, check, sizeof check);
    assert_contains("connection check: host 192.0.2.1");
    describe(false, KDNET_CHANNEL_CONTROL, true, break_in, 0);
    assert_contains("empty control datagram");
    describe(false, KDNET_CHANNEL_DATA, true, (const uint8_t *)"what?", 5);
    assert_contains("not understood, 5 bytes: 776861743f |what?|");
}

static void exception_is_named(void **state)
{
    (void)state;
    struct kdnet_state_change change = {.new_state = KDNET_STATE_EXCEPTION,
                                        .processor = 3,
                                        .processor_count = 8,
                                        .program_counter = 0xfffff80000001234,
                                        .exception = {.code = 0xc0000005,
                                                      .address = 0xfffff80000001234,
                                                      .parameter_count = UINT32_MAX,
                                                      .parameters = {1, 0xdead}}};
    uint8_t payload[KDNET_STATE_CHANGE_FIXED];
    size_t length;
    assert_int_equal(kdnet_state_change_encode(&change, payload, sizeof payload, &length), KDNET_OK);
    describe_packet(false, false, KDNET_PACKET_STATE_CHANGE64, payload, length);
    assert_contains("HALTED: exception 0xc0000005 STATUS_ACCESS_VIOLATION, second chance, at 0xfffff80000001234, "
                    "parameters 0x1 0xdead");
    assert_contains("processor 3 of 8 [id 0x80000002]");
    describe_packet(true, false, KDNET_PACKET_STATE_CHANGE64, payload, length);
    json_t *root = parse();
    assert_text(root, "state_change.exception.name", "STATUS_ACCESS_VIOLATION");
    assert_text(root, "state_change.exception.code", "0xc0000005");
    assert_text(root, "state_change.program_counter", "0xfffff80000001234");
    assert_true(json_is_false(member(root, "state_change.exception.first_chance")));
    assert_int_equal(json_array_size(member(root, "state_change.exception.parameters")), KDNET_EXCEPTION_PARAMETERS);
    assert_text(root, "packet.checksum", "good");
    json_decref(root);
}

static void load_symbols_shows_the_path(void **state)
{
    (void)state;
    static const char path[] = "\\SystemRoot\\system32\\evil\x1b[2J.sys";
    struct kdnet_state_change change = {
        .new_state = KDNET_STATE_LOAD_SYMBOLS,
        .load_symbols = {.path_length = sizeof path, .base = 0xfffff80000000000, .image_size = 0x5000},
        .report = (const uint8_t *)path,
        .report_length = sizeof path};
    uint8_t payload[KDNET_STATE_CHANGE_FIXED + sizeof path];
    size_t length;
    assert_int_equal(kdnet_state_change_encode(&change, payload, sizeof payload, &length), KDNET_OK);
    describe_packet(false, false, KDNET_PACKET_STATE_CHANGE64, payload, length);
    assert_contains("load symbols \"\\SystemRoot\\system32\\evil\\x1b[2J.sys\" at 0xfffff80000000000, size 0x5000");
    change.load_symbols = (struct kdnet_load_symbols){.base = UINT64_MAX, .unload = true};
    assert_int_equal(kdnet_state_change_encode(&change, payload, sizeof payload, &length), KDNET_OK);
    describe_packet(true, false, KDNET_PACKET_STATE_CHANGE64, payload, length);
    json_t *root = parse();
    assert_true(json_is_true(member(root, "state_change.load_symbols.shutdown")));
    json_decref(root);
}

static void command_string_and_other_forms_are_shown(void **state)
{
    static const char strings[] = "acme!trace\0.echo \033hello";
    uint8_t payload[KDNET_STATE_CHANGE_SIZE + sizeof strings] = {0};
    (void)state;
    kdnet_put_le32(payload, KDNET_STATE_COMMAND_STRING | KDNET_STATE_ALTERNATE);
    memcpy(payload + KDNET_STATE_CHANGE_SIZE, strings, sizeof strings);
    describe_packet(false, false, KDNET_PACKET_STATE_CHANGE64, payload, sizeof payload);
    assert_contains("command string \"acme!trace\" \".echo \\x1bhello\", alternate form");
    describe_packet(true, false, KDNET_PACKET_STATE_CHANGE64, payload, sizeof payload);
    json_t *root = parse();
    assert_text(root, "state_change.new_state", "command_string");
    assert_text(root, "state_change.command_string.name", "acme!trace");
    assert_true(json_is_true(member(root, "state_change.alternate")));
    json_decref(root);
    memset(payload, 0, sizeof payload);
    kdnet_put_le32(payload, KDNET_STATE_EXCEPTION);
    kdnet_put_le32(payload + 16, 0x80123456U);
    kdnet_put_le32(payload + 20, 0xc0000005U);
    describe_packet(true, false, KDNET_PACKET_STATE_CHANGE32, payload, KDNET_STATE_CHANGE32_FIXED);
    root = parse();
    assert_text(root, "state_change.exception.name", "STATUS_ACCESS_VIOLATION");
    assert_text(root, "state_change.program_counter", "0xffffffff80123456");
    json_decref(root);
}

static void describe_manipulate(bool json, bool from_host, const struct kdnet_manipulate *manipulate)
{
    uint8_t payload[KDNET_PACKET_PAYLOAD_MAX];
    size_t length;
    assert_int_equal(kdnet_manipulate_encode(manipulate, payload, sizeof payload, &length), KDNET_OK);
    describe_packet(json, from_host, KDNET_PACKET_MANIPULATE, payload, length);
}

static void memory_is_whole_in_json_and_limited_in_text(void **state)
{
    (void)state;
    uint8_t memory[100];
    memset(memory, 'A', sizeof memory);
    struct kdnet_manipulate read = {.api = KDNET_API_READ_VIRTUAL_MEMORY,
                                    .u.memory = {.address = 0xfffff80000001000, .count = 200, .actual = 100},
                                    .data = memory,
                                    .data_length = sizeof memory};
    describe_manipulate(false, false, &read);
    assert_contains("ReadVirtualMemory reply, 0x00000000 STATUS_SUCCESS, 100 of 200 bytes at 0xfffff80000001000: "
                    "4141414141414141 ");
    assert_contains(" ... |AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA|");
    assert_null(strstr(line, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    describe_manipulate(true, false, &read);
    json_t *root = parse();
    assert_int_equal(json_string_length(member(root, "manipulate.data")), 200);
    assert_text(root, "manipulate.address", "0xfffff80000001000");
    assert_int_equal(json_integer_value(member(root, "manipulate.actual")), 100);
    json_decref(root);
}

static void request_and_reply_are_told_apart(void **state)
{
    (void)state;
    struct kdnet_manipulate request = {.api = KDNET_API_CONTINUE2,
                                       .return_status = KDNET_STATUS_PENDING,
                                       .u.go_on.status = KDNET_DBG_EXCEPTION_NOT_HANDLED};
    describe_manipulate(false, true, &request);
    assert_contains("Continue2 request: 0x80010001 DBG_EXCEPTION_NOT_HANDLED");
    assert_null(strstr(line, "STATUS_PENDING"));
    request.api = 0x3999;
    describe_manipulate(false, false, &request);
    assert_contains("manipulate 0x3999 reply, 0x00000103 STATUS_PENDING");
    describe_manipulate(true, false, &request);
    json_t *root = parse();
    assert_true(json_is_null(member(root, "manipulate.api")));
    assert_text(root, "manipulate.api_number", "0x3999");
    json_decref(root);
}

static void registers_are_shown_once_the_machine_is_known(void **state)
{
    (void)state;
    uint8_t context[KDNET_CONTEXT_MAX] = {0};
    const struct kdnet_machine_layout *layout = kdnet_machine_layout(KDNET_MACHINE_X64);
    kdnet_machine_set_pc(layout, context, 0xfffff80000001235);
    kdnet_machine_set_argument(layout, context, 4);
    struct kdnet_manipulate get = {.api = KDNET_API_GET_CONTEXT, .data = context, .data_length = layout->context_size};
    struct kdnet_manipulate version = {
        .api = KDNET_API_GET_VERSION,
        .u.version = {.major = 0xf, .minor = 9600, .machine = KDNET_MACHINE_X64, .kernel_base = 0xfffff80000000000}};
    describe_manipulate(false, false, &get);
    assert_null(strstr(line, "first argument"));
    describe_manipulate(false, true, &version); /* a request says nothing of the machine */
    describe_manipulate(false, false, &get);
    assert_null(strstr(line, "first argument"));
    describe_manipulate(false, false, &version);
    assert_contains("NT kernel, build 9600, x64");
    describe_manipulate(false, false, &get);
    assert_contains("PC 0xfffff80000001235, first argument 0x4 (x64)");
    get.data_length -= 1;
    describe_manipulate(false, false, &get);
    assert_null(strstr(line, "first argument"));
}

static void debug_text_is_escaped_and_bug_checks_are_named(void **state)
{
    (void)state;
    static const char text[] =
        "\n*** Fatal System Error: 0x000000e2\n                       (0x0000000000000001,0x0000000000000002,"
        "0x0000000000000003,0x0000000000000004)\n\n\x1b]0;owned\a\xff";
    struct kdnet_debug_io io = {
        .api = KDNET_DEBUG_IO_PRINT, .length = sizeof text - 1, .text = text, .text_length = sizeof text - 1};
    uint8_t payload[512];
    size_t length;
    assert_int_equal(kdnet_debug_io_encode(&io, payload, sizeof payload, &length), KDNET_OK);
    describe_packet(false, false, KDNET_PACKET_DEBUG_IO, payload, length);
    assert_contains("\\n\\n\\x1b]0;owned\\x07\\xff\", BUG CHECK 0x000000e2 MANUALLY_INITIATED_CRASH");
    describe_packet(true, false, KDNET_PACKET_DEBUG_IO, payload, length);
    json_t *root = parse();
    assert_text(root, "debug_io.bugcheck.name", "MANUALLY_INITIATED_CRASH");
    assert_int_equal(json_array_size(member(root, "debug_io.bugcheck.parameters")), 4);
    json_decref(root);
}

static void answer_to_a_prompt_has_its_own_length(void **state)
{
    (void)state;
    struct kdnet_debug_io io = {
        .api = KDNET_DEBUG_IO_GET_STRING, .length = 40, .read_length = 1, .text = "g junk", .text_length = 6};
    uint8_t payload[64];
    size_t length;
    assert_int_equal(kdnet_debug_io_encode(&io, payload, sizeof payload, &length), KDNET_OK);
    describe_packet(false, true, KDNET_PACKET_DEBUG_IO, payload, length);
    assert_contains("answer to the prompt \"g\" [");
    kdnet_put_le32(payload + 12, UINT32_MAX);
    describe_packet(false, true, KDNET_PACKET_DEBUG_IO, payload, length);
    assert_contains("answer to the prompt \"g junk\" [");
}

static void file_questions_show_path_and_answer(void **state)
{
    (void)state;
    static const uint8_t path[] = {'\\', 0, 'a', 0, 0x1b, 0, 0, 0, 'x', 0};
    struct kdnet_file_io io = {.api = KDNET_FILE_IO_CREATE, .data = path, .data_length = sizeof path};
    uint8_t payload[128];
    size_t length;
    assert_int_equal(kdnet_file_io_encode(&io, payload, sizeof payload, &length), KDNET_OK);
    describe_packet(false, false, KDNET_PACKET_FILE_IO, payload, length);
    assert_contains("file create \"\\a\\x1b\" [");
    io = (struct kdnet_file_io){.api = KDNET_FILE_IO_CREATE, .status = KDNET_STATUS_NO_SUCH_FILE};
    assert_int_equal(kdnet_file_io_encode(&io, payload, sizeof payload, &length), KDNET_OK);
    describe_packet(false, true, KDNET_PACKET_FILE_IO, payload, length);
    assert_contains("file create answer, 0xc000000f STATUS_NO_SUCH_FILE");
}

static void bad_checksum_is_said(void **state)
{
    (void)state;
    uint8_t body[KDNET_BODY_MAX];
    size_t length = make_packet(KDNET_PACKET_DEBUG_IO, (const uint8_t *)"0123456789abcdefgh", 18, body);
    body[12] ^= 1;
    describe(false, KDNET_CHANNEL_DATA, false, body, length);
    assert_contains("BAD CHECKSUM");
    describe(true, KDNET_CHANNEL_DATA, false, body, length);
    json_t *root = parse();
    assert_text(root, "packet.checksum", "bad");
    json_decref(root);
}

static void unverified_datagram_says_why(void **state)
{
    (void)state;
    struct capture_datagram captured = {
        .number = 1, .from = frames_ipv4(7, 1), .to = frames_ipv4(1, 2), .length = 5, .wire_length = 5};
    struct opener_opened opened = {.result = OPENER_ERROR, .error = KDNET_ERR_SHORT};
    for (int json = 0; json < 2; ++json) {
        FILE *stream = fmemopen(line, sizeof line, "w");
        out_init(&out, stream, json != 0);
        (json ? describe_json : describe_text)(&out, &captured, &opened, NULL);
        assert_true(out_flush(&out));
        (void)fclose(stream);
        assert_contains(kdnet_error_text(KDNET_ERR_SHORT));
    }
    json_t *root = parse();
    assert_true(json_is_false(member(root, "verified")));
    assert_true(json_is_null(member(root, "direction")));
    json_decref(root);
}

static void assert_line_is_harmless(void)
{
    size_t length = strlen(line);
    assert_true(length > 0 && line[length - 1] == '\n');
    for (size_t i = 0; i + 1 < length; ++i)
        assert_true((unsigned char)line[i] >= 0x20 && line[i] != 0x7f);
}

/* Random contents for every type, random enough to be taken for the real ones: api numbers and lengths are near. */
static void whatever_a_machine_says_makes_one_harmless_line(void **state)
{
    (void)state;
    static const uint32_t heads[] = {0x3030, 0x3031, 0x3032, 0x13031, 0x3130, 0x3132, 0x3146, 0x315f,
                                     0x3136, 0x313c, 0x3230, 0x3231,  0x3430, 0x3431, 0};
    static const uint16_t types[] = {0, 1, 2, 2, 2, 3, 7, 7, 7, 9, 11, 11, 99};
    struct test_random random;
    test_random_init(&random);
    for (size_t round = 0; round < 4000; ++round) {
        uint8_t payload[1500];
        size_t length = test_random_below(&random, round % 2 ? sizeof payload : 300);
        test_random_fill(&random, payload, length);
        if (length >= 4)
            kdnet_put_le32(payload, heads[test_random_below(&random, sizeof heads / sizeof heads[0])]);
        if (length >= 36 && round % 3)
            kdnet_put_le32(payload + 32, (uint32_t)test_random_below(&random, 400));
        conversation.machine = round % 4 == 0   ? KDNET_MACHINE_X64
                               : round % 4 == 1 ? KDNET_MACHINE_ARM64
                               : round % 4 == 2 ? KDNET_MACHINE_X86
                                                : KDNET_MACHINE_UNKNOWN;
        uint16_t type = types[test_random_below(&random, sizeof types / sizeof types[0])];
        describe_packet(false, round % 5 == 0, type, payload, length);
        assert_line_is_harmless();
        describe_packet(true, round % 5 == 0, type, payload, length);
        assert_line_is_harmless();
        json_decref(parse());
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, forget)
    const struct CMUnitTest tests[] = {
        TEST(poke_shows_who_and_whom),
        TEST(small_bodies_have_their_names),
        TEST(exception_is_named),
        TEST(load_symbols_shows_the_path),
        TEST(command_string_and_other_forms_are_shown),
        TEST(memory_is_whole_in_json_and_limited_in_text),
        TEST(request_and_reply_are_told_apart),
        TEST(registers_are_shown_once_the_machine_is_known),
        TEST(debug_text_is_escaped_and_bug_checks_are_named),
        TEST(answer_to_a_prompt_has_its_own_length),
        TEST(file_questions_show_path_and_answer),
        TEST(bad_checksum_is_said),
        TEST(unverified_datagram_says_why),
        TEST(whatever_a_machine_says_makes_one_harmless_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
