/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A halted target that has the key and says anything: records of an operation byte, a length byte and that many bytes,
 * sealed as the target would. Whatever it says, the session stays bounded, and serves the target's next boot.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/session/puppet.h"

#include <string.h>

#define ADDRESS     0xfffff80011112222U
#define SECOND_US   UINT64_C(1000000)
#define STEPS_MAX   5000U /* deadlines in two minutes */
#define ANSWERS_MAX 12U   /* datagrams for one */
#define READS_MAX   16U   /* in a run */
#define INPUT_MAX   512U  /* a block of its structures */

enum operation { BODY, PACKET, REPLY, CONTROL, WAIT, POKE, OPERATIONS };

/* The base of each of its structures is the same block of 512 bytes that the input ends with. */
struct rest {
    const uint8_t *bytes;
    size_t length;
};
static struct rest rest;
static unsigned reads; /* answered; fuzz_evidence has the long walks */

static bool answers_from_input(struct puppet *p, struct kdnet_manipulate *reply, uint8_t *data)
{
    (void)p;
    if (puppet_version(reply)) {
        reply->u.version.debugger_data_list = 0xfffff80012350000U;
        return true;
    }
    size_t length = rest.length;
    if (reply->api != KDNET_API_READ_VIRTUAL_MEMORY || length == 0 || ++reads > READS_MAX)
        return reply->api != KDNET_API_CONTINUE && reply->api != KDNET_API_CONTINUE2;
    if (length > reply->u.memory.count)
        length = reply->u.memory.count;
    memcpy(data, rest.bytes, length);
    reply->u.memory.actual = (uint32_t)length;
    reply->data_length = length;
    return true;
}

/* Lets time pass; a deadline that does not move would never end. */
static void wait_bounded(struct puppet *p, uint64_t us)
{
    uint64_t until_us = p->now_us + us;
    for (unsigned steps = 0; kdnet_session_deadline(p->session) <= until_us; ++steps) {
        FUZZ_CHECK(steps < STEPS_MAX);
        if (kdnet_session_deadline(p->session) > p->now_us)
            p->now_us = kdnet_session_deadline(p->session);
        kdnet_session_expire(p->session, p->now_us);
        puppet_drain(p);
    }
    p->now_us = until_us;
}

static void say_reply(struct puppet *p, const uint8_t *bytes, size_t length)
{
    uint8_t payload[KDNET_MANIPULATE_SIZE + 256] = {0};
    static const uint16_t apis[] = {KDNET_API_GET_VERSION, KDNET_API_READ_VIRTUAL_MEMORY, KDNET_API_GET_CONTEXT,
                                    KDNET_API_SET_CONTEXT};
    if (length == 0)
        return;
    memcpy(payload, bytes, length);
    kdnet_put_le32(payload, apis[bytes[0] % 4]);
    (void)puppet_data(p, KDNET_PACKET_MANIPULATE, payload, KDNET_MANIPULATE_SIZE + length);
}

static void say(struct puppet *p, enum operation operation, const uint8_t *bytes, size_t length)
{
    struct puppet_bytes sealed;
    switch (operation) {
    case BODY:
        puppet_make_body(p, bytes, length, &sealed);
        (void)puppet_give_bytes(p, &sealed);
        break;
    case PACKET:
        if (length > 0)
            (void)puppet_data(p, bytes[0] % 16, bytes + 1, length - 1);
        break;
    case REPLY:
        say_reply(p, bytes, length);
        break;
    case CONTROL:
        if (length > 0)
            (void)puppet_control(p, KDNET_PACKET_ACK + bytes[0] % 4, KDNET_PACKET_FIRST_ID + bytes[length - 1]);
        break;
    case WAIT:
        wait_bounded(p, length > 0 ? bytes[0] * 20000U : 0);
        break;
    default:
        (void)puppet_poke(p);
        break;
    }
}

static void play(struct puppet *p, const uint8_t *data, size_t size)
{
    while (size >= 2) {
        size_t length = data[1] < size - 2 ? data[1] : size - 2;
        enum operation operation = (enum operation)(data[0] % OPERATIONS);
        unsigned sent = p->sent_count;
        p->replies = (data[0] & 0x80) == 0;
        p->acks = (data[0] & 0x40) == 0;
        rest = (struct rest){.bytes = data, .length = size};
        say(p, operation, data + 2, length);
        FUZZ_CHECK(operation == WAIT || p->replies || p->sent_count - sent <= ANSWERS_MAX);
        data += 2 + length;
        size -= 2 + length;
    }
}

/* Nothing of what was said keeps the session from its work. */
static void expect_service(struct puppet *p)
{
    p->replies = p->acks = true;
    p->answer = NULL;
    puppet_new_boot(p, 201);
    puppet_connect(p);
    p->now_us += SECOND_US;
    puppet_connect(p);
    FUZZ_CHECK(kdnet_session_is_connected(p->session));
    unsigned continues = p->continue_count;
    puppet_break(p, 0xc0000005, ADDRESS);
    for (unsigned i = 0; i < 120 && (p->continue_count == continues || kdnet_session_is_halted(p->session)); ++i)
        wait_bounded(p, SECOND_US);
    FUZZ_CHECK(p->continue_count > continues);
    FUZZ_CHECK(!kdnet_session_is_halted(p->session));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct puppet *p = puppet_again();
    p->answer = answers_from_input;
    p->knows_rva = true;
    if (size > INPUT_MAX)
        size = INPUT_MAX;
    reads = 0;
    rest = (struct rest){.bytes = data, .length = size};
    puppet_connect(p);
    p->replies = false;
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    play(p, data, size);
    wait_bounded(p, 120 * SECOND_US);
    expect_service(p);
    return 0;
}
