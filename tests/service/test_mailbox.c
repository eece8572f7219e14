/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "service/runtime/mailbox.h"

#include <cmocka.h>

#define POSTERS 4U
#define EACH    5000U

struct world {
    uv_loop_t loop;
    struct mailbox box;
    unsigned opened, last[POSTERS];
    bool in_order;
};

struct numbered {
    struct message message;
    unsigned poster, number;
};

static int setup(void **state)
{
    static struct world world;
    memset(&world, 0, sizeof world);
    world.in_order = true;
    if (uv_loop_init(&world.loop) != 0 || mailbox_init(&world.box, &world.loop, &world) != 0)
        return -1;
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    mailbox_close(&world->box);
    (void)uv_run(&world->loop, UV_RUN_DEFAULT);
    mailbox_clear(&world->box);
    return uv_loop_close(&world->loop);
}

static void handle_numbered(struct message *message, void *owner)
{
    struct numbered *numbered = (struct numbered *)message;
    struct world *world = owner;
    world->in_order = world->in_order && numbered->number == world->last[numbered->poster] + 1;
    world->last[numbered->poster] = numbered->number;
    ++world->opened;
    free(numbered);
}

static struct numbered *make(unsigned poster, unsigned number)
{
    struct numbered *numbered = malloc(sizeof *numbered);
    assert_non_null(numbered);
    *numbered = (struct numbered){.message.handle = handle_numbered, .poster = poster, .number = number};
    return numbered;
}

static void messages_are_opened_on_the_loop_in_their_order(void **state)
{
    struct world *world = *state;
    for (unsigned i = 1; i <= 3; ++i)
        mailbox_post(&world->box, &make(0, i)->message);
    assert_int_equal(world->opened, 0);
    (void)uv_run(&world->loop, UV_RUN_ONCE);
    assert_int_equal(world->opened, 3);
    assert_true(world->in_order);
    assert_false(mailbox_handle(&world->box));
}

static void what_may_be_lost_finds_no_room_beyond_its_limit(void **state)
{
    struct world *world = *state;
    struct numbered *third = make(0, 3);
    assert_true(mailbox_try_post(&world->box, &make(0, 1)->message, 2));
    assert_true(mailbox_try_post(&world->box, &make(0, 2)->message, 2));
    assert_false(mailbox_try_post(&world->box, &third->message, 2));
    mailbox_post(&world->box, &third->message); /* what must not be lost does */
    assert_true(mailbox_handle(&world->box));
    assert_int_equal(world->opened, 3);
    assert_true(world->in_order);
}

static void handle_and_post_again(struct message *message, void *owner)
{
    struct world *world = owner;
    message->handle = handle_numbered;
    mailbox_post(&world->box, message);
}

static void what_may_be_lost_finds_no_room_at_the_end(void **state)
{
    struct world *world = *state;
    struct numbered *second = make(0, 2);
    assert_true(mailbox_try_post(&world->box, &make(0, 1)->message, 3));
    mailbox_end(&world->box);
    assert_false(mailbox_try_post(&world->box, &second->message, 3));
    mailbox_post(&world->box, &second->message);
    assert_true(mailbox_handle(&world->box));
    assert_int_equal(world->opened, 2);
    assert_true(world->in_order);
}

static void a_message_may_post_itself_again(void **state)
{
    struct world *world = *state;
    struct numbered *one = make(0, 1);
    one->message.handle = handle_and_post_again;
    mailbox_post(&world->box, &one->message);
    assert_true(mailbox_handle(&world->box));
    assert_int_equal(world->opened, 0);
    assert_true(mailbox_handle(&world->box));
    assert_int_equal(world->opened, 1);
}

static void a_closed_box_takes_messages_and_wakes_nobody(void **state)
{
    struct world *world = *state;
    struct mailbox other;
    assert_int_equal(mailbox_init(&other, &world->loop, world), 0);
    mailbox_close(&other);
    mailbox_post(&other, &make(0, 1)->message);
    (void)uv_run(&world->loop, UV_RUN_NOWAIT);
    assert_int_equal(world->opened, 0);
    assert_true(mailbox_handle(&other));
    assert_int_equal(world->opened, 1);
    mailbox_clear(&other);
}

struct poster {
    uv_thread_t thread;
    struct world *world;
    unsigned number;
};

static void post_many(void *user)
{
    struct poster *poster = user;
    for (unsigned i = 1; i <= EACH; ++i) {
        struct numbered *numbered = malloc(sizeof *numbered);
        if (!numbered)
            abort();
        *numbered = (struct numbered){.message.handle = handle_numbered, .poster = poster->number, .number = i};
        mailbox_post(&poster->world->box, &numbered->message);
    }
}

static void many_threads_post_and_nothing_is_lost(void **state)
{
    struct world *world = *state;
    struct poster posters[POSTERS];
    for (unsigned i = 0; i < POSTERS; ++i) {
        posters[i] = (struct poster){.world = world, .number = i};
        assert_int_equal(uv_thread_create(&posters[i].thread, post_many, &posters[i]), 0);
    }
    while (world->opened < POSTERS * EACH)
        (void)uv_run(&world->loop, UV_RUN_ONCE);
    for (unsigned i = 0; i < POSTERS; ++i)
        (void)uv_thread_join(&posters[i].thread);
    assert_true(world->in_order);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_are_opened_on_the_loop_in_their_order), TEST(what_may_be_lost_finds_no_room_beyond_its_limit),
        TEST(what_may_be_lost_finds_no_room_at_the_end),      TEST(a_message_may_post_itself_again),
        TEST(a_closed_box_takes_messages_and_wakes_nobody),   TEST(many_threads_post_and_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
