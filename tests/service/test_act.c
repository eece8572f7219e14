/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator does to a machine, and what a hint of where it was does: a worker whose loop a test turns, sockets
 * that hand on what is sent to a machine that answers, and a clock that a test sets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/platform/platform.h"
#include "service/targets/policies.h"
#include "service/worker/act.h"
#include "service/worker/ask.h"
#include "service/worker/handover.h"
#include "service/worker/listener.h"
#include "service/worker/pump.h"
#include "service/worker/route.h"
#include "service/worker/send.h"
#include "tests/service/captured_log.h"
#include "tests/service/fake_env.h"
#include "tests/session/puppet.h"

#include <cmocka.h>

#define S           UINT64_C(1000000)
#define BREAK_PLACE UINT64_C(0xfffff80012345678)
#define OF_MACHINE  256U /* datagrams to it that are kept */

static struct worker *const worker = &fake.workers[0];
static struct kdnetd_config config;
static struct policies policies;
static struct target *target;
static const struct address machine_at = {.ip = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 7}, .port = 9};

/* The clock. */

static uint64_t now_ns = UINT64_C(1000000000000); /* it never goes back */

uint64_t __wrap_uv_hrtime(void);

uint64_t __wrap_uv_hrtime(void)
{
    return now_ns;
}

/* The machine. Of the puppet only what it says is used. */

static struct puppet *machine;
static struct puppet_bytes to_machine[OF_MACHINE];
static size_t sent_count, taken_count;
static unsigned solicits, break_ins, continues;
static bool silent; /* it hears, and says nothing */

size_t __wrap_sender_send(struct sender *sender, uv_udp_t *udp, const struct sender_datagram *datagrams, size_t count,
                          int *error);

size_t __wrap_sender_send(struct sender *sender, uv_udp_t *udp, const struct sender_datagram *datagrams, size_t count,
                          int *error)
{
    (void)sender;
    (void)udp;
    (void)error;
    for (size_t i = 0; i < count; ++i) {
        assert_true(sent_count < OF_MACHINE);
        assert_true(address_equal(&datagrams[i].to, &machine_at));
        to_machine[sent_count].length = datagrams[i].length;
        memcpy(to_machine[sent_count++].payload, datagrams[i].payload, datagrams[i].length);
    }
    return count;
}

static void say(const struct puppet_bytes *bytes)
{
    struct receiver_datagram datagram = {.source = machine_at, .payload = bytes->payload, .length = bytes->length};
    if (!silent)
        route_batch(worker->listeners, &datagram, 1);
}

static void say_packet(const struct kdnet_packet *packet)
{
    struct puppet_bytes bytes;
    puppet_make_packet(machine, packet, &bytes);
    say(&bytes);
}

static void say_data(uint16_t type, const uint8_t *payload, size_t length)
{
    struct kdnet_packet packet = {.type = type, .id = machine->next_id, .payload = payload, .payload_length = length};
    machine->next_id += KDNET_PACKET_ID_STEP;
    say_packet(&packet);
}

/* Says its version, and refuses to read anything. */
static void answer(const struct kdnet_manipulate *request)
{
    uint8_t payload[KDNET_PACKET_PAYLOAD_MAX];
    size_t length;
    struct kdnet_manipulate reply = *request;
    reply.return_status = puppet_version(&reply) ? 0 : 0xc0000001;
    reply.data_length = 0;
    if (request->api == KDNET_API_CONTINUE || request->api == KDNET_API_CONTINUE2) {
        ++continues;
        return;
    }
    assert_int_equal(kdnet_manipulate_encode(&reply, payload, sizeof payload, &length), KDNET_OK);
    say_data(KDNET_PACKET_MANIPULATE, payload, length);
}

static void hear_packet(const struct kdnet_packet *packet)
{
    struct kdnet_manipulate request;
    if (packet->control && packet->type == KDNET_PACKET_RESET)
        say_packet(&(struct kdnet_packet){.control = true, .type = KDNET_PACKET_RESET, .id = machine->next_id});
    if (packet->control)
        return;
    say_packet(&(struct kdnet_packet){.control = true, .type = KDNET_PACKET_ACK, .id = packet->id});
    if (packet->type == KDNET_PACKET_MANIPULATE &&
        kdnet_manipulate_decode(packet->payload, packet->payload_length, &request) == KDNET_OK)
        answer(&request);
}

static void connect_machine(const uint8_t *response)
{
    struct puppet_bytes check;
    kdnet_data_key(&machine->key, response, machine->data_key);
    machine->data_sequence = 0;
    machine->connected = (struct kdnet_address){.ip = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1}, .port = 50000};
    puppet_make_check(machine, &check);
    say(&check);
}

static void hear(const struct puppet_bytes *bytes)
{
    uint8_t plain[KDNET_DATAGRAM_MAX];
    struct kdnet_datagram datagram;
    struct kdnet_packet packet;
    bool control = bytes->payload[5] == KDNET_CHANNEL_CONTROL;
    const uint8_t *key = control ? machine->keys.control.bytes : machine->data_key;
    if (kdnet_datagram_open(machine->crypto, key, &machine->keys.hmac, bytes->payload, bytes->length, plain,
                            &datagram) != KDNET_OK)
        return;
    solicits += control && datagram.body_length == 0;
    break_ins += !control && datagram.body_length == 1;
    if (control && datagram.body_length == KDNET_RESPONSE_LENGTH)
        connect_machine(datagram.body);
    else if (!control && kdnet_packet_decode(datagram.body, datagram.body_length, &packet) == KDNET_OK)
        hear_packet(&packet);
}

/* Until neither side has anything to say. */
static void settle(void)
{
    send_flush(worker);
    while (taken_count < sent_count) {
        hear(&to_machine[taken_count++]);
        send_flush(worker);
    }
    sent_count = taken_count = 0;
}

static void pass(uint64_t us)
{
    for (uint64_t until_ns = now_ns + us * 1000; now_ns < until_ns; now_ns += 50 * 1000000) {
        pump_expire(worker);
        settle();
    }
}

static void poke(void)
{
    struct puppet_bytes bytes;
    puppet_next_poke(machine, &bytes);
    say(&bytes);
    settle();
}

static void break_in(void)
{
    uint8_t payload[KDNET_STATE_CHANGE_SIZE], report[48];
    static const uint8_t int3[16] = {0xcc, 0xc3};
    size_t length;
    struct kdnet_state_change change = {.new_state = KDNET_STATE_EXCEPTION, .processor_count = 1, .report = report};
    change.program_counter = BREAK_PLACE;
    change.exception =
        (struct kdnet_exception){.code = KDNET_EXCEPTION_BREAKPOINT, .address = BREAK_PLACE, .first_chance = 1};
    change.report_length = kdnet_machine_report_encode(KDNET_MACHINE_X64, 0x400, int3, sizeof int3, report);
    assert_int_equal(kdnet_state_change_encode(&change, payload, sizeof payload, &length), KDNET_OK);
    say_data(KDNET_PACKET_STATE_CHANGE64, payload, length);
    settle();
}

static void open_listener(void)
{
    struct sockaddr_storage place = {.ss_family = AF_INET};
    const struct address local = {.ip = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1}, .port = 50000};
    uv_os_sock_t socket;
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, (struct sockaddr_in *)(void *)&place), 0);
    assert_int_equal(platform_udp_socket((const struct sockaddr *)&place, 0, &socket), 0);
    assert_int_equal(listener_open(worker, 1, &local, socket, false), 0);
}

static int setup(void **state)
{
    (void)state;
    sent_count = taken_count = 0;
    solicits = break_ins = continues = 0;
    silent = false;
    config_init(&config);
    for (int i = 0; i < CONFIG_BREAKS; ++i)
        config.policy.action[i] = CONFIG_ACTION_HOLD;
    policies_init(&policies);
    fake_begin(1);
    worker_configure(worker, &config);
    open_listener();
    machine = puppet_new();
    struct config_target configured = {.name = "web-17", .key = machine->key, .has_address = true};
    memcpy(configured.address.ip, machine_at.ip, sizeof configured.address.ip);
    assert_true(worker_reserve(worker, 1));
    target = targets_add(&worker->targets, &configured, false);
    assert_non_null(target);
    targets_begin_session(target, &worker->shared, policies_of(&policies, &config, &configured), &machine->key);
    assert_true(targets_index(&worker->targets));
    captured_begin();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)captured_end();
    fake_end();
    policies_clear(&policies);
    puppet_free(machine);
    config_clear(&config);
    return 0;
}

static void make_held(void)
{
    poke();
    break_in();
    pass(30 * S);
    assert_int_equal(act_state(target), TARGET_HELD);
}

static void a_machine_that_is_not_held_cannot_be_let_go(void **state)
{
    static const enum act acts[] = {ACT_RELEASE, ACT_TO_DEBUGGER, ACT_TAKE_BACK, ACT_REBOOT, ACT_READ, ACT_BREAK_IN};
    (void)state;
    assert_int_equal(act_state(target), TARGET_NEVER_SEEN);
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; ++i) {
        struct act_result result = act_on(worker, target, acts[i], 0);
        assert_int_equal(result.outcome, ACT_WRONG_STATE);
        assert_int_equal(result.state, TARGET_NEVER_SEEN);
    }
    poke();
    assert_int_equal(act_state(target), TARGET_CONNECTED);
    for (size_t i = 0; acts[i] != ACT_BREAK_IN; ++i)
        assert_int_equal(act_on(worker, target, acts[i], 0).state, TARGET_CONNECTED);
    assert_int_equal(break_ins, 0);
}

static void a_held_machine_is_let_go(void **state)
{
    (void)state;
    make_held();
    assert_int_equal(continues, 0);
    assert_int_equal(act_on(worker, target, ACT_TAKE_BACK, 0).outcome, ACT_WRONG_STATE);
    assert_int_equal(act_on(worker, target, ACT_RELEASE, 0).outcome, ACT_DONE);
    settle();
    assert_int_equal(continues, 1);
    assert_int_equal(act_on(worker, target, ACT_RELEASE, 0).outcome, ACT_WRONG_STATE);
}

static void a_held_machine_is_read_again_and_stays(void **state)
{
    (void)state;
    make_held();
    assert_int_equal(act_on(worker, target, ACT_READ, 0).outcome, ACT_UNDER_WAY);
    assert_int_equal(act_look(target).outcome, ACT_UNDER_WAY);
    assert_int_equal(act_on(worker, target, ACT_RELEASE, 0).state, TARGET_HALTED);
    settle();
    pass(30 * S);
    assert_int_equal(act_look(target).outcome, ACT_DONE);
    assert_int_equal(act_state(target), TARGET_HELD);
    assert_int_equal(continues, 0);
}

static void a_machine_of_another_debugger_is_left_alone_until_its_time_is_over(void **state)
{
    (void)state;
    make_held();
    assert_int_equal(act_on(worker, target, ACT_TO_DEBUGGER, 20 * S).outcome, ACT_DONE);
    assert_int_equal(act_state(target), TARGET_HANDED_OVER);
    settle();
    unsigned before = solicits;
    poke();
    pass(15 * S);
    assert_int_equal(machine->responses, 0);
    assert_int_equal(solicits, before);
    assert_int_equal(act_on(worker, target, ACT_BREAK_IN, 0).state, TARGET_HANDED_OVER);
    assert_int_equal(act_state(target), TARGET_HANDED_OVER);
    pass(6 * S);
    assert_int_equal(solicits, before + 1);
    assert_int_equal(act_state(target), TARGET_LOST);
    poke();
    assert_int_equal(act_state(target), TARGET_CONNECTED);
    assert_int_equal(continues, 0);
    const char *text = captured_end();
    assert_non_null(strstr(text, "target is handed over to another debugger"));
    assert_non_null(strstr(text, "target is taken back from another debugger"));
    captured_begin();
}

static void a_machine_is_taken_back(void **state)
{
    (void)state;
    make_held();
    assert_int_equal(act_on(worker, target, ACT_TO_DEBUGGER, 0).outcome, ACT_DONE);
    pass(ACT_HAND_OVER_US - 10 * S);
    assert_int_equal(act_state(target), TARGET_HANDED_OVER);
    unsigned before = solicits;
    assert_int_equal(act_on(worker, target, ACT_TAKE_BACK, 0).outcome, ACT_DONE);
    settle();
    assert_int_equal(solicits, before + 1);
    assert_int_equal(act_state(target), TARGET_LOST);
}

static void a_running_machine_is_stopped_once_a_minute(void **state)
{
    (void)state;
    worker->shared.break_in_allowed = true;
    poke();
    assert_int_equal(act_on(worker, target, ACT_BREAK_IN, 0).outcome, ACT_UNDER_WAY);
    settle();
    break_in();
    pass(30 * S);
    poke();
    assert_int_equal(act_look(target).outcome, ACT_DONE);
    assert_int_equal(continues, 1); /* whatever its policy says */
    struct act_result result = act_on(worker, target, ACT_BREAK_IN, 0);
    assert_int_equal(result.outcome, ACT_TOO_OFTEN);
    assert_in_range(result.wait_us, 25 * S, 35 * S);
    assert_non_null(strstr(captured_end(), "target is stopped to be read, as an operator wants it"));
    captured_begin();
}

/* A hint that it was there. */
static void ask_at(const struct address *local, const char *name, uint32_t row)
{
    struct ask *ask = calloc(1, sizeof *ask);
    assert_non_null(ask);
    ask->count = 1;
    ask->machines[0] = (struct ask_machine){.row = row, .machine = machine_at, .local = *local, .version = 5};
    (void)snprintf(ask->machines[0].name, sizeof ask->machines[0].name, "%s", name);
    ask_post(&fake.env, ask, 0);
    fake_turn();
    settle();
}

static void a_machine_that_is_not_heard_is_asked_where_it_was(void **state)
{
    (void)state;
    struct address local = worker->listeners->local, other = local;
    ++other.port;
    ask_at(&local, "web-18", target->id); /* the row is another one's now */
    ask_at(&other, "web-17", target->id); /* nobody listens there any more */
    assert_int_equal(solicits, 0);
    ask_at(&local, "web-17", target->id);
    assert_int_equal(solicits, 1);
    poke();
    assert_int_equal(act_state(target), TARGET_CONNECTED);
    ask_at(&local, "web-17", target->id); /* it is heard */
    assert_int_equal(solicits, 1);
    pass(4 * S);
    ask_at(&local, "web-17", target->id); /* it is not heard, for longer than a machine is silent */
    assert_int_equal(solicits, 2);
    target->handed_over = true;
    ask_at(&local, "web-17", target->id);
    assert_int_equal(solicits, 2);
    target->handed_over = false;
    ask_at(&local, "web-17", target->id);
    assert_int_equal(solicits, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_machine_that_is_not_held_cannot_be_let_go, setup, teardown),
        cmocka_unit_test_setup_teardown(a_held_machine_is_let_go, setup, teardown),
        cmocka_unit_test_setup_teardown(a_held_machine_is_read_again_and_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(a_machine_of_another_debugger_is_left_alone_until_its_time_is_over, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_machine_is_taken_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_running_machine_is_stopped_once_a_minute, setup, teardown),
        cmocka_unit_test_setup_teardown(a_machine_that_is_not_heard_is_asked_where_it_was, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
