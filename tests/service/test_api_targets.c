/* SPDX-License-Identifier: Apache-2.0 */
/* Which targets the API's questions find: by name, state, label, and a part of a name, an address or a label. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/service/captured_log.h"
#include "tests/service/fake_server.h"

#include <cmocka.h>

static struct {
    char names[128]; /* of those that were told, each with a space behind it */
    unsigned most;   /* then it ends */
    struct http_target last;
    char labels[256], address[80];
} told;

static int setup(void **state)
{
    struct snapshot web = {.state = TARGET_HELD, .has_address = true};
    (void)state;
    captured_begin();
    fake_begin(1, "listen: [\"127.0.0.1:50000\"]\nstore: none\nhttp: none\nhttp_socket: none\ntargets:\n"
                  "  - {name: DB-1, key: 1.2.3.4, labels: {rack: B7, site: oslo, city: München}}\n"
                  "  - {name: web-17, key: 1.2.3.5, labels: {rack: b8, city: ΛΆΡΙΣΑ МОСКВА}}\n"
                  "  - {name: web-18, key: 1.2.3.6}\n");
    assert_true(observe_init(&fake.server->observe, &fake.server->publisher, &fake.server->config));
    struct snapshots *snapshots = fake.server->observe.snapshots = snapshots_new();
    assert_true(reload_first(fake.server));
    (void)captured_end();
    assert_true(address_parse("192.0.2.17:9", &web.address));
    assert_true(snapshots_publish(snapshots, snapshots_find(snapshots, "web-17"), &web, 1000000));
    snapshots_note_hold(snapshots, snapshots_find(snapshots, "web-17"), 2000000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    captured_begin();
    fake_end();
    (void)captured_end();
    return 0;
}

static bool tell(void *user, const struct http_target *target)
{
    (void)user;
    (void)strcat(strcat(told.names, target->name), " ");
    told.last = *target;
    (void)snprintf(told.labels, sizeof told.labels, "%s", target->labels);
    (void)snprintf(told.address, sizeof told.address, "%s", target->address ? target->address : "");
    return --told.most > 0;
}

/* Returns how many match; told.names has those that were told. */
static size_t ask(const struct http_target_query *query)
{
    struct http_ops ops;
    told.names[0] = '\0';
    if (told.most == 0)
        told.most = 100;
    api_ops(&fake.server->api, &ops);
    size_t count = ops.targets(ops.user, query, tell, NULL);
    told.most = 0;
    return count;
}

static void all_come_by_name_from_where_the_page_before_ended(void **state)
{
    (void)state;
    assert_int_equal(ask(&(struct http_target_query){.limit = 10}), 3);
    assert_string_equal(told.names, "DB-1 web-17 web-18 ");
    assert_int_equal(ask(&(struct http_target_query){.limit = 1, .after = "DB-1"}), 3);
    assert_string_equal(told.names, "web-17 ");
    assert_int_equal(ask(&(struct http_target_query){.limit = 0}), 3);
    assert_string_equal(told.names, "");
    told.most = 2; /* who is told ends it */
    assert_int_equal(ask(&(struct http_target_query){.limit = 10}), 3);
    assert_string_equal(told.names, "DB-1 web-17 ");
}

static void one_is_found_by_its_name_with_all_that_is_known(void **state)
{
    (void)state;
    assert_int_equal(ask(&(struct http_target_query){.limit = 1, .name = "web-17"}), 1);
    assert_int_equal(told.last.state, HTTP_STATE_HELD);
    assert_int_equal(told.last.since_us, 1000000);
    assert_int_equal(told.last.held_until_us, 2000000);
    assert_string_equal(told.address, "192.0.2.17:9");
    assert_string_equal(told.labels, "{\"city\":\"ΛΆΡΙΣΑ МОСКВА\",\"rack\":\"b8\"}");
    assert_null(told.last.boot);
    assert_null(told.last.crash);
    assert_int_equal(ask(&(struct http_target_query){.limit = 1, .name = "DB-1"}), 1);
    assert_int_equal(told.last.state, HTTP_STATE_NEVER_SEEN);
    assert_int_equal(told.last.worker, -1);
    assert_int_equal(ask(&(struct http_target_query){.limit = 1, .name = "web-1"}), 0);
}

static void states_and_labels_are_matched_whole(void **state)
{
    const struct http_label rack = {"rack", "B7"}, other = {"rack", "b7"};
    (void)state;
    assert_int_equal(ask(&(struct http_target_query){.limit = 10, .states = 1U << HTTP_STATE_HELD}), 1);
    assert_string_equal(told.names, "web-17 ");
    assert_int_equal(ask(&(struct http_target_query){.limit = 10, .labels = &rack, .label_count = 1}), 1);
    assert_string_equal(told.names, "DB-1 ");
    assert_int_equal(ask(&(struct http_target_query){.limit = 10, .labels = &other, .label_count = 1}), 0);
}

static void a_part_is_found_in_either_case_in_names_addresses_and_labels(void **state)
{
    static const struct {
        const char *part, *names;
    } cases[] = {
        {"db", "DB-1 "},
        {"WEB-1", "web-17 web-18 "},
        {"OSLO", "DB-1 "},
        {"B", "DB-1 web-17 web-18 "},
        {"192.0.2.17", "web-17 "},
        {"2.17:9", "web-17 "},
        {"rack", ""},
        {"web-19", ""},
        {"eb-18", "web-18 "},
        {"17x", ""},
        {"MÜNCHEN", "DB-1 "},
        {"ü", "DB-1 "},
        {"ÜNch", "DB-1 "},
        {"mÜnchem", ""},
        {"u", ""},
        {"λάρισα москва", "web-17 "},
        {"МОСКВА", "web-17 "},
        {"москвы", ""},
        {"\xC3", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        (void)ask(&(struct http_target_query){.limit = 10, .substring = cases[i].part});
        assert_string_equal(told.names, cases[i].names);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_come_by_name_from_where_the_page_before_ended),
        TEST(one_is_found_by_its_name_with_all_that_is_known),
        TEST(states_and_labels_are_matched_whole),
        TEST(a_part_is_found_in_either_case_in_names_addresses_and_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
