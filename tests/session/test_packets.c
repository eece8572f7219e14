/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every packet that a target can send has its right answer, or the machine would wait for ever: the table in
 * kdnet/README.md, row by row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/wire/file_io.h"
#include "tests/session/puppet.h"

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define SECOND_US      UINT64_C(1000000)
#define INVALID_HANDLE 0xc0000008U

/* A puppet that is connected, whose first packet has been acknowledged. */
static struct puppet *connected(void)
{
    struct puppet *p = puppet_new();
    puppet_connect(p);
    puppet_print(p, "here\n");
    return p;
}

/* The n-th packet of the session of that type after `from`; NULL: there is none. */
static const struct puppet_packet *packet_of(const struct puppet *p, unsigned from, bool control, uint16_t type)
{
    for (unsigned i = from; i < p->packet_count && i < PUPPET_KEEP; ++i)
        if (p->packet[i].control == control && p->packet[i].type == type)
            return &p->packet[i];
    return NULL;
}

/* Gives a data packet; returns the number of packets that the session had sent before. */
static unsigned give(struct puppet *p, uint16_t type, const uint8_t *payload, size_t length)
{
    unsigned before = p->packet_count;
    uint32_t id = p->next_id;
    assert_int_equal(puppet_data(p, type, payload, length), KDNET_OK);
    const struct puppet_packet *ack = packet_of(p, before, true, KDNET_PACKET_ACK);
    assert_non_null(ack);
    assert_int_equal(ack->id, id);
    return before;
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static void expect_file_answer(struct puppet *p, unsigned before, uint32_t api, uint32_t status)
{
    const struct puppet_packet *answer = packet_of(p, before, false, KDNET_PACKET_FILE_IO);
    assert_non_null(answer);
    assert_int_equal(answer->length, KDNET_FILE_IO_SIZE);
    assert_int_equal(kdnet_get_le32(answer->start), api);
    assert_int_equal(kdnet_get_le32(answer->start + 4), status);
}

static void a_file_question_of_any_kind_and_length_is_answered(void **state)
{
    static const struct {
        uint32_t api, status;
    } kinds[] = {
        {KDNET_FILE_IO_CREATE, KDNET_STATUS_NO_SUCH_FILE},
        {KDNET_FILE_IO_READ, INVALID_HANDLE},
        {KDNET_FILE_IO_WRITE, INVALID_HANDLE},
        {KDNET_FILE_IO_CLOSE, INVALID_HANDLE},
        {0x3434, INVALID_HANDLE},
        {0, INVALID_HANDLE},
    };
    static const size_t lengths[] = {64, 200, KDNET_PACKET_PAYLOAD_MAX, 63, 8, 4};
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); ++i)
        for (size_t j = 0; j < COUNT(lengths); ++j) {
            struct puppet *p = connected();
            uint8_t payload[KDNET_PACKET_PAYLOAD_MAX];
            memset(payload, 0x33, sizeof payload);
            kdnet_put_le32(payload, kinds[i].api);
            unsigned before = give(p, KDNET_PACKET_FILE_IO, payload, lengths[j]);
            expect_file_answer(p, before, kinds[i].api, kinds[i].status);
            const struct puppet_packet *answer = packet_of(p, before, false, KDNET_PACKET_FILE_IO);
            if (lengths[j] >= KDNET_FILE_IO_SIZE) /* the rest goes back as it came [cap frame 238] */
                assert_memory_equal(answer->start + 8, payload + 8, KDNET_FILE_IO_SIZE - 8);
            puppet_free(p);
        }
    struct puppet *p = connected();
    expect_file_answer(p, give(p, KDNET_PACKET_FILE_IO, (const uint8_t *)"", 0), 0, INVALID_HANDLE);
    puppet_free(p);
}

/* --- prints and prompts ------------------------------------------------------------------------------------------- */

static void a_prompt_gets_the_letter_that_goes_on(void **state)
{
    static const struct {
        const char *text;
        char answer;
    } prompts[] = {
        {"Break repeatedly, break Once, Ignore, terminate Process or terminate Thread (boipt)? ", 'i'},
        {"Break, Ignore, Terminate Process or Terminate Thread (BITX)? ", 'I'},
        {"(Gg) ", 'G'},
        {"break or continue? (bc) ", 'c'},
        {"break once? (bo) ", 'o'},
        {"delete the disk? (yn) ", 'n'},
        {"(a) or (b)? ", 'i'}, /* none of the letters is known to go on */
        {"no letters at all", 'i'},
        {"", 'i'},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(prompts); ++i) {
        struct puppet *p = connected();
        uint8_t payload[KDNET_PACKET_PAYLOAD_MAX];
        size_t length;
        struct kdnet_debug_io io = {.api = KDNET_DEBUG_IO_GET_STRING, .text = prompts[i].text, .read_length = 8};
        io.text_length = strlen(io.text);
        io.length = (uint32_t)io.text_length;
        assert_int_equal(kdnet_debug_io_encode(&io, payload, sizeof payload, &length), KDNET_OK);
        unsigned before = give(p, KDNET_PACKET_DEBUG_IO, payload, length);
        const struct puppet_packet *answer = packet_of(p, before, false, KDNET_PACKET_DEBUG_IO);
        assert_non_null(answer);
        assert_int_equal(answer->length, KDNET_DEBUG_IO_HEADER + 1);
        assert_int_equal(kdnet_get_le32(answer->start), KDNET_DEBUG_IO_GET_STRING);
        assert_int_equal(kdnet_get_le32(answer->start + 12), 1); /* LengthOfStringRead */
        assert_int_equal(answer->start[16], prompts[i].answer);
        puppet_free(p);
    }
}

/* A prompt whose header is cut still waits: it gets an empty answer. A print never gets one. */
static void a_prompt_that_is_cut_is_answered_and_a_print_is_not(void **state)
{
    (void)state;
    for (size_t length = 4; length <= KDNET_DEBUG_IO_HEADER; ++length) {
        uint8_t payload[KDNET_DEBUG_IO_HEADER] = {0};
        struct puppet *p = connected();
        kdnet_put_le32(payload, KDNET_DEBUG_IO_GET_STRING);
        unsigned before = give(p, KDNET_PACKET_DEBUG_IO, payload, length);
        const struct puppet_packet *answer = packet_of(p, before, false, KDNET_PACKET_DEBUG_IO);
        assert_non_null(answer);
        assert_int_equal(answer->length, KDNET_DEBUG_IO_HEADER); /* it has room for no letter */
        kdnet_put_le32(payload, KDNET_DEBUG_IO_PRINT);
        before = give(p, KDNET_PACKET_DEBUG_IO, payload, length);
        assert_null(packet_of(p, before, false, KDNET_PACKET_DEBUG_IO));
        puppet_free(p);
    }
}

/* --- what wants only its ACK -------------------------------------------------------------------------------------- */

static void other_types_get_their_ack_and_nothing_more(void **state)
{
    static const uint16_t types[] = {
        KDNET_PACKET_UNUSED, KDNET_PACKET_POLL_BREAK_IN, KDNET_PACKET_TRACE_IO, KDNET_PACKET_CONTROL_REQUEST, 12, 255,
        UINT16_MAX};
    static const size_t lengths[] = {0, 1, 16, 64, KDNET_PACKET_PAYLOAD_MAX};
    static const uint8_t payload[KDNET_PACKET_PAYLOAD_MAX];
    (void)state;
    for (size_t i = 0; i < COUNT(types); ++i)
        for (size_t j = 0; j < COUNT(lengths); ++j) {
            struct puppet *p = connected();
            unsigned before = give(p, types[i], payload, lengths[j]);
            assert_int_equal(p->packet_count, before + 1);
            assert_false(kdnet_session_is_halted(p->session));
            puppet_free(p);
        }
}

/* --- state changes ------------------------------------------------------------------------------------------------ */

/* Whatever it is and however it is cut, the machine stands still: it is continued, with one result. */
static void a_state_change_of_any_kind_and_length_is_continued(void **state)
{
    static const uint32_t states[] = {0x3030, 0x3031, 0x3032, 0x13030, 0x13031, 0x13032, 0x3033, 0, UINT32_MAX};
    static const size_t lengths[] = {KDNET_PACKET_PAYLOAD_MAX, 240, 192, 191, 104, 103, 32, 4, 0};
    static const uint16_t types[] = {KDNET_PACKET_STATE_CHANGE64, KDNET_PACKET_STATE_CHANGE32};
    (void)state;
    for (size_t type = 0; type < COUNT(types); ++type)
        for (size_t i = 0; i < COUNT(states); ++i)
            for (size_t j = 0; j < COUNT(lengths); ++j) {
                uint8_t payload[KDNET_PACKET_PAYLOAD_MAX] = {0};
                struct puppet *p = connected();
                kdnet_put_le32(payload, states[i]);
                (void)give(p, types[type], payload, lengths[j]);
                puppet_wait(p, 10 * SECOND_US, true);
                if (p->continue_count == 0 || kdnet_session_is_halted(p->session))
                    fail_msg("type %u, state %x, %zu bytes: not continued", types[type], (unsigned)states[i],
                             lengths[j]);
                assert_true(puppet_events(p, KDNET_EVENT_CRASH_STATUS) <= 1);
                puppet_free(p);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_question_of_any_kind_and_length_is_answered),
        cmocka_unit_test(a_prompt_gets_the_letter_that_goes_on),
        cmocka_unit_test(a_prompt_that_is_cut_is_answered_and_a_print_is_not),
        cmocka_unit_test(other_types_get_their_ack_and_nothing_more),
        cmocka_unit_test(a_state_change_of_any_kind_and_length_is_continued),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
