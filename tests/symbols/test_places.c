/* SPDX-License-Identifier: Apache-2.0 */
/* Places that hang, are slow, or are asked for too much: they cost nobody else an answer. Nothing here waits for a real
 * disk or network: uv_fs_stat and uv_fs_open are wrapped (CMakeLists.txt), and the servers are functions. */
#include "service/symbols/identity.h"
#include "service/symbols/symbols.h"
#include "service/symbols/task.h"

#include "tests/symbols/folder.h"
#include "tests/symbols/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GUIDAGE     "8E3373D6124E747F0E72EF8E02E676B31"
#define PATIENCE_NS UINT64_C(60000000000)
#define LIMIT_MS    2000U /* until a folder hangs; one that does not is to be quicker on a busy computer, too */

static const struct tiny_symbol publics[] = {{"Public", 0x110e, 1, 0x10}, {NULL, 0, 0, 0}};

static uint8_t image[TINY_SIZE];
static struct kdnet_pdb kernel;
static uv_loop_t loop;
static struct symbols *symbols;
static struct symbols_options options;
static unsigned ended_count, place_count;
static char place_label[FOLDER_PATH], ended_trail[SYMBOL_TRAIL_SIZE];

/* --- a folder that hangs: whoever looks at a path with "hung" in it waits until it may go on */

static uv_mutex_t gate_lock;
static uv_cond_t gate_opened;
static bool gate_open;
static unsigned gate_passes; /* so many pass while it is closed */

int __wrap_uv_fs_stat(uv_loop_t *on, uv_fs_t *request, const char *name, uv_fs_cb done);
int __real_uv_fs_stat(uv_loop_t *on, uv_fs_t *request, const char *name, uv_fs_cb done);

static void wait_at_gate(void)
{
    uv_mutex_lock(&gate_lock);
    while (!gate_open && gate_passes == 0)
        uv_cond_wait(&gate_opened, &gate_lock);
    gate_passes -= !gate_open;
    uv_mutex_unlock(&gate_lock);
}

static void set_gate(bool open)
{
    uv_mutex_lock(&gate_lock);
    gate_open = open;
    uv_cond_broadcast(&gate_opened);
    uv_mutex_unlock(&gate_lock);
}

static void let_one_pass(void)
{
    uv_mutex_lock(&gate_lock);
    ++gate_passes;
    uv_cond_signal(&gate_opened);
    uv_mutex_unlock(&gate_lock);
}

int __wrap_uv_fs_stat(uv_loop_t *on, uv_fs_t *request, const char *name, uv_fs_cb done)
{
    if (strstr(name, "hung"))
        wait_at_gate();
    return __real_uv_fs_stat(on, request, name, done);
}

int __wrap_uv_fs_open(uv_loop_t *on, uv_fs_t *request, const char *name, int flags, int mode, uv_fs_cb done);
int __real_uv_fs_open(uv_loop_t *on, uv_fs_t *request, const char *name, int flags, int mode, uv_fs_cb done);

int __wrap_uv_fs_open(uv_loop_t *on, uv_fs_t *request, const char *name, int flags, int mode, uv_fs_cb done)
{
    if (strstr(name, "hung"))
        wait_at_gate();
    return __real_uv_fs_open(on, request, name, flags, mode, done);
}

/* --- a server that is slow: it answers when the gate is open */

#define FETCHES_MAX 64

static uint32_t fetched[FETCHES_MAX]; /* the ages of what was asked for */
static unsigned fetch_count;

static int slow_fetch(void *context, const char *name, const char *guidage, char *path, size_t size, char *reason,
                      size_t reason_size)
{
    (void)context;
    (void)name;
    (void)path;
    (void)size;
    uv_mutex_lock(&gate_lock);
    fetched[fetch_count++ % FETCHES_MAX] = (uint32_t)strtoul(guidage + 32, NULL, 16);
    uv_mutex_unlock(&gate_lock);
    wait_at_gate();
    (void)snprintf(reason, reason_size, "404");
    return 1;
}

static bool open_slow(void *user, const char *directory, const char *url, struct symbol_source *out,
                      char reason[static SYMBOL_REASON_SIZE])
{
    (void)user;
    (void)directory;
    (void)url;
    (void)reason;
    out->fetch = slow_fetch;
    return true;
}

static unsigned fetches(void)
{
    uv_mutex_lock(&gate_lock);
    unsigned count = fetch_count;
    uv_mutex_unlock(&gate_lock);
    return count;
}

/* How many fetches began before that one; FETCHES_MAX: it has not begun. */
static unsigned fetches_before(uint32_t age)
{
    unsigned at = 0;
    uv_mutex_lock(&gate_lock);
    while (at < FETCHES_MAX && (at >= fetch_count || fetched[at] != age))
        ++at;
    uv_mutex_unlock(&gate_lock);
    return at;
}

static bool was_fetched(uint32_t age)
{
    return fetches_before(age) < FETCHES_MAX;
}

/* --- */

static void on_ended(void *user, const struct kdnet_pdb *pdb, const char *symbol, enum symbols_answer answer,
                     const char *trail)
{
    (void)user;
    (void)pdb;
    (void)symbol;
    (void)answer;
    ++ended_count;
    (void)snprintf(ended_trail, sizeof ended_trail, "%s", trail);
}

static void on_place(void *user, const char *label, const char *reason)
{
    (void)user;
    (void)reason;
    ++place_count;
    (void)snprintf(place_label, sizeof place_label, "%s", label);
}

static void set_places(const char *text)
{
    static const struct symbol_path_options with_server = {.open_server = open_slow};
    struct symbol_path path;
    char reason[SYMBOL_REASON_SIZE];
    symbol_path_init(&path);
    assert_true(symbol_path_add(&path, text, &with_server, reason));
    assert_int_equal(symbols_set_places(symbols, &path), 0);
}

static int set_up(void **state)
{
    (void)state;
    struct tiny_pdb pdb = {.info_age = 1, .dbi_age = 1, .machine = 0x8664, .publics = publics, .sections = {0x1000}};
    kernel = (struct kdnet_pdb){.name = "ntkrnlmp.pdb"};
    assert_true(identity_parse(GUIDAGE, &kernel));
    memcpy(pdb.guid, kernel.guid, sizeof pdb.guid);
    (void)folder_make();
    size_t length = tiny_pdb_build(&pdb, image, NULL);
    folder_write("store/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pdb", image, length);
    folder_write("hung/x", "x", 1);
    folder_write("local/x", "x", 1);
    assert_int_equal(uv_loop_init(&loop), 0);
    options =
        (struct symbols_options){.ended = on_ended, .place = on_place, .local_limit_ms = LIMIT_MS, .patience_ms = 20};
    ended_count = place_count = fetch_count = 0;
    set_gate(false);
    assert_int_equal(symbols_open(&symbols, &loop, &options), 0);
    return 0;
}

static struct symbols_stats stats(void)
{
    struct symbols_stats out;
    symbols_stats(symbols, &out);
    return out;
}

static int tear_down(void **state)
{
    (void)state;
    symbols_close(symbols);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    set_gate(true);
    folder_remove();
    return 0;
}

static enum symbols_answer find_as(uint64_t machine, uint32_t age)
{
    enum kdnet_source source;
    struct kdnet_pdb other = kernel;
    uint32_t rva = 0;
    other.age = age;
    return symbols_find(symbols, machine, &other, "Public", &rva, &source);
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

/* Runs the loop until a condition holds. */
#define RUN_UNTIL(condition)                                                                                           \
    do {                                                                                                               \
        uv_timer_t tick;                                                                                               \
        uint64_t start = uv_hrtime();                                                                                  \
        (void)uv_timer_init(&loop, &tick);                                                                             \
        (void)uv_timer_start(&tick, on_tick, 5, 5);                                                                    \
        while (!(condition) && uv_hrtime() - start < PATIENCE_NS)                                                      \
            (void)uv_run(&loop, UV_RUN_ONCE);                                                                          \
        assert_true(condition);                                                                                        \
        uv_close((uv_handle_t *)&tick, NULL);                                                                          \
        (void)uv_run(&loop, UV_RUN_NOWAIT);                                                                            \
    } while (0)

static const char *two_places(const char *first, const char *second)
{
    static char text[2 * FOLDER_PATH];
    (void)snprintf(text, sizeof text, "%s;%s", folder_path(first), folder_path(second));
    return text;
}

static void a_folder_that_hangs_costs_nobody_the_answer_of_another(void **state)
{
    (void)state;
    set_places(two_places("hung", "store"));
    assert_int_equal(find_as(1, 1), SYMBOLS_PENDING);
    RUN_UNTIL(find_as(1, 1) == SYMBOLS_FOUND);
    RUN_UNTIL(place_count > 0); /* and it is told */
    assert_string_equal(place_label, folder_path("hung"));
    RUN_UNTIL(stats().hung == 2); /* the look-up, and the question whether it can be used */
    unsigned hung = (unsigned)stats().hung;
    for (uint32_t age = 2; age < 40; ++age) {
        unsigned before = ended_count;
        assert_int_equal(find_as(1, age), SYMBOLS_PENDING);
        RUN_UNTIL(ended_count > before);
        assert_non_null(strstr(ended_trail, "hung: not asked: an earlier look-up hangs in it"));
    }
    assert_int_equal(stats().hung, hung); /* no thread more */
    set_places(two_places("hung", "store"));
    assert_int_equal(find_as(1, 77), SYMBOLS_PENDING);
    RUN_UNTIL(find_as(1, 77) == SYMBOLS_NO_SYMBOLS);
    assert_int_equal(stats().hung, hung); /* nor after a reload */
    set_gate(true);
    RUN_UNTIL(stats().hung == 0);
    unsigned before = ended_count;
    assert_int_equal(find_as(1, 99), SYMBOLS_PENDING); /* it is asked again */
    RUN_UNTIL(ended_count > before);
    assert_non_null(strstr(ended_trail, "hung: has no file for this image"));
}

static void a_hung_folder_does_not_keep_the_end_waiting(void **state)
{
    (void)state;
    set_places(folder_path("hung"));
    assert_int_equal(find_as(1, 1), SYMBOLS_PENDING);
    RUN_UNTIL(stats().running == 1); /* tear_down: symbols_close comes back while the folder still hangs */
}

static const char *with_slow_server(void)
{
    static char text[2 * FOLDER_PATH];
    (void)snprintf(text, sizeof text, "srv*%s*http://slow;%s", folder_path("local"), folder_path("store"));
    return text;
}

/* Long before it would be given up. */
static void nor_does_a_hung_server(void **state)
{
    (void)state;
    set_places(with_slow_server());
    assert_int_equal(find_as(1, 7), SYMBOLS_PENDING);
    RUN_UNTIL(fetches() == 1);
    symbols_close(symbols);
    symbols = NULL;
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_true(tasks_hung() > 0); /* its thread is left alone */
    set_gate(true);
    RUN_UNTIL(tasks_hung() == 0);
}

/* What is on it is unknown, and nothing is written to it; what is looked up is known nevertheless. */
static void a_cache_file_that_hangs_keeps_no_look_up_waiting(void **state)
{
    char cache[FOLDER_PATH];
    (void)state;
    symbols_close(symbols);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    (void)snprintf(cache, sizeof cache, "%s", folder_path("hung/cache"));
    options.cache_file = cache;
    assert_int_equal(symbols_open(&symbols, &loop, &options), 0);
    set_places(folder_path("store"));
    assert_true(stats().opening);
    assert_int_equal(find_as(1, 1), SYMBOLS_PENDING);
    RUN_UNTIL(find_as(1, 1) == SYMBOLS_FOUND);
    assert_false(stats().opening);
    assert_int_equal(stats().cache_error, UV_ETIMEDOUT);
    assert_int_equal(stats().hung, 1);
    symbols_close(symbols);
    symbols = NULL;
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    set_gate(true);
    RUN_UNTIL(tasks_hung() == 0);
    assert_int_not_equal(access(cache, F_OK), 0);
}

static void an_image_whose_file_has_no_name_has_no_symbols(void **state)
{
    char text[SYMBOL_TRAIL_SIZE];
    (void)state;
    set_places(folder_path("store"));
    memcpy(kernel.name, "..", sizeof "..");
    assert_int_equal(find_as(1, 1), SYMBOLS_PENDING);
    RUN_UNTIL(ended_count == 1);
    assert_int_equal(find_as(1, 1), SYMBOLS_NO_SYMBOLS);
    assert_non_null(strstr(ended_trail, "the image names a PDB that is not a file's name"));
    kernel.age = 1;
    symbols_explain(symbols, &kernel, "Public", text, sizeof text);
    assert_non_null(strstr(text, "the image names a PDB that is not a file's name"));
}

static void a_slow_server_keeps_no_local_symbols_waiting(void **state)
{
    (void)state;
    set_places(with_slow_server());
    for (uint32_t i = 0; i < 300; ++i)
        assert_int_equal(find_as(i + 10, 1000 + i), SYMBOLS_PENDING);
    RUN_UNTIL(fetches() > 1);
    assert_int_equal(find_as(1, 1), SYMBOLS_PENDING);
    RUN_UNTIL(find_as(1, 1) == SYMBOLS_FOUND);
    assert_in_range(fetches(), 2, 4); /* a server has a few threads, and no more */
    set_gate(true);
    RUN_UNTIL(stats().running + stats().waiting == 0);
}

static void one_machine_takes_one_thread_of_a_server_and_others_have_theirs(void **state)
{
    (void)state;
    set_places(with_slow_server());
    for (uint32_t i = 0; i < 200; ++i)
        assert_int_equal(find_as(666, 1000 + i), SYMBOLS_PENDING);
    RUN_UNTIL(fetches() == 1);
    assert_int_equal(find_as(1, 5), SYMBOLS_PENDING);
    RUN_UNTIL(was_fetched(5)); /* at once, though 199 asked before */
    assert_int_equal(fetches(), 2);
    set_gate(true);
    RUN_UNTIL(stats().running + stats().waiting == 0);
}

static void one_machine_cannot_take_all_room_for_what_waits(void **state)
{
    (void)state;
    set_places(with_slow_server());
    for (uint32_t i = 0; i < 2 * SYMBOLS_WAITING_MAX; ++i)
        (void)find_as(666, 1000 + i);
    assert_int_equal(find_as(1, 1), SYMBOLS_PENDING);
    assert_int_equal(find_as(2, 5), SYMBOLS_PENDING);
    RUN_UNTIL(find_as(1, 1) == SYMBOLS_FOUND);
    set_gate(true);
    RUN_UNTIL(stats().running + stats().waiting == 0);
}

/* Whether a look-up has come to the server's turn. */
static bool is_at_server(uint32_t age)
{
    struct kdnet_pdb other = kernel;
    char text[SYMBOL_TRAIL_SIZE];
    other.age = age;
    symbols_explain(symbols, &other, "Public", text, sizeof text);
    return strstr(text, "symbols are being fetched from http://slow") != NULL;
}

static void who_waits_goes_before_who_only_wants(void **state)
{
    static const char *const names[] = {"Public"};
    struct kdnet_pdb other = kernel;
    (void)state;
    set_places(with_slow_server());
    for (uint32_t i = 0; i < 4; ++i)
        assert_int_equal(find_as(i + 100, 2000 + i), SYMBOLS_PENDING);
    RUN_UNTIL(fetches() == 4); /* all threads of the server */
    for (uint32_t i = 0; i < 50; ++i) {
        other.age = 1000 + i;
        symbols_want(symbols, i + 10, &other, names, 1);
    }
    assert_int_equal(find_as(1, 5), SYMBOLS_PENDING);
    RUN_UNTIL(is_at_server(5) && is_at_server(1049));
    let_one_pass();
    RUN_UNTIL(fetches() == 5);
    assert_int_equal(fetches_before(5), 4); /* before the fifty that came before it */
    set_gate(true);
    RUN_UNTIL(stats().running + stats().waiting == 0);
}

static void a_fetch_is_told_with_the_name_of_the_server(void **state)
{
    char text[SYMBOL_TRAIL_SIZE];
    (void)state;
    set_places(with_slow_server());
    assert_int_equal(find_as(1, 5), SYMBOLS_PENDING);
    RUN_UNTIL(fetches() == 1);
    assert_true(is_at_server(5));
    symbols_explain(symbols, &kernel, "nt!Public", text, sizeof text);
    assert_null(strstr(text, "http://slow"));
    set_gate(true);
    RUN_UNTIL(ended_count == 1);
    assert_false(is_at_server(5));
}

/* At a reload: what waits goes on in the new places, and is never said to have no symbols. */
static void other_places_take_over_what_is_being_looked_up(void **state)
{
    (void)state;
    set_places("srv*/nowhere*http://slow");
    assert_int_equal(find_as(1, 1), SYMBOLS_PENDING);
    RUN_UNTIL(fetches() == 1);
    set_places(folder_path("store"));
    assert_int_equal(find_as(1, 1), SYMBOLS_PENDING);
    enum symbols_answer answer = SYMBOLS_PENDING;
    RUN_UNTIL((answer = find_as(1, 1)) != SYMBOLS_PENDING);
    assert_int_equal(answer, SYMBOLS_FOUND);
    assert_non_null(strstr(ended_trail, "found"));
    assert_null(strstr(ended_trail, "slow"));
    set_places("/nowhere");
    assert_int_equal(find_as(1, 1), SYMBOLS_FOUND); /* what was proved stays */
    set_gate(true);
}

static void a_place_that_is_not_there_is_told_at_the_start(void **state)
{
    (void)state;
    set_places(two_places("store", "typo"));
    RUN_UNTIL(place_count == 1);
    assert_string_equal(place_label, folder_path("typo"));
    char text[2 * FOLDER_PATH];
    (void)snprintf(text, sizeof text, "srv*%s*http://slow;%s", folder_path("made"), folder_path("other"));
    set_places(text); /* the first is made by the server that keeps its files there */
    RUN_UNTIL(place_count == 2);
    assert_string_equal(place_label, folder_path("other"));
}

#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOOP(a_folder_that_hangs_costs_nobody_the_answer_of_another),
        WITH_LOOP(a_hung_folder_does_not_keep_the_end_waiting),
        WITH_LOOP(nor_does_a_hung_server),
        WITH_LOOP(a_cache_file_that_hangs_keeps_no_look_up_waiting),
        WITH_LOOP(an_image_whose_file_has_no_name_has_no_symbols),
        WITH_LOOP(a_slow_server_keeps_no_local_symbols_waiting),
        WITH_LOOP(one_machine_takes_one_thread_of_a_server_and_others_have_theirs),
        WITH_LOOP(one_machine_cannot_take_all_room_for_what_waits),
        WITH_LOOP(who_waits_goes_before_who_only_wants),
        WITH_LOOP(a_fetch_is_told_with_the_name_of_the_server),
        WITH_LOOP(other_places_take_over_what_is_being_looked_up),
        WITH_LOOP(a_place_that_is_not_there_is_told_at_the_start),
    };
    (void)uv_mutex_init(&gate_lock);
    (void)uv_cond_init(&gate_opened);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
