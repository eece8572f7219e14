/* SPDX-License-Identifier: Apache-2.0 */
/* The front: nothing waits, and one look-up serves all. */
#include "service/symbols/remembered.h"
#include "service/symbols/symbols.h"
#include "tests/symbols/front.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void first_question_is_pending_and_the_next_has_the_answer(void **state)
{
    uint32_t rva = 0;
    (void)state;
    open_symbols();
    assert_int_equal(find("nt!Public", &rva), SYMBOLS_PENDING);
    run_until(1);
    assert_int_equal(ended_answer, SYMBOLS_FOUND);
    assert_int_equal(find("Public", &rva), SYMBOLS_FOUND);
    assert_int_equal(rva, 0x1010);
    assert_int_equal(find("Gone", &rva), SYMBOLS_PENDING);
    run_until(2);
    assert_int_equal(find("Gone", &rva), SYMBOLS_ABSENT);
    assert_int_equal(ended_count, 2);
    close_symbols();
}

static void ten_thousand_machines_cause_one_lookup(void **state)
{
    uint32_t rva = 0;
    (void)state;
    open_symbols();
    for (int i = 0; i < 10000; ++i)
        assert_int_equal(find("Public", &rva), SYMBOLS_PENDING);
    run_until(1);
    for (int i = 0; i < 10000; ++i)
        assert_int_equal(find("Public", &rva), SYMBOLS_FOUND);
    assert_int_equal(stats().lookups, 1);
    close_symbols();
    assert_int_equal(ended_count, 1);
}

static void names_that_are_wanted_are_looked_up_together(void **state)
{
    static const char *const names[] = {"Gone", "nt!Public", "Public", "Other"};
    uint32_t rva = 0;
    (void)state;
    open_symbols();
    for (int i = 0; i < 1000; ++i)
        symbols_want(symbols, 0, &kernel, names, 4);
    assert_int_equal(find("Public", &rva), SYMBOLS_PENDING);
    run_until(1);
    assert_int_equal(ended_answer, SYMBOLS_ABSENT); /* of the first */
    assert_int_equal(find("Gone", &rva), SYMBOLS_ABSENT);
    assert_int_equal(find("Other", &rva), SYMBOLS_ABSENT);
    assert_int_equal(find("Public", &rva), SYMBOLS_FOUND);
    assert_int_equal(rva, 0x1010);
    symbols_want(symbols, 0, &kernel, names, 4); /* all are known */
    close_symbols();
    assert_int_equal(ended_count, 1);
}

static void names_of_an_image_without_a_file_have_no_symbols(void **state)
{
    static const char *const names[] = {"Gone", "Public", "a b"};
    uint32_t rva = 0;
    (void)state;
    open_symbols();
    kernel.age = 9;
    symbols_want(symbols, 0, &kernel, names, 3);
    run_until(1);
    assert_int_equal(ended_answer, SYMBOLS_NO_SYMBOLS);
    for (size_t i = 0; i < 3; ++i)
        assert_int_equal(find(names[i], &rva), SYMBOLS_NO_SYMBOLS);
    close_symbols();
    assert_int_equal(ended_count, 1);
}

#define ASKERS 4

static void ask_for_ever(void *done)
{
    enum symbols_answer answer = SYMBOLS_PENDING;
    uint32_t rva = 0;
    while (answer == SYMBOLS_PENDING) {
        enum kdnet_source source;
        char text[SYMBOL_TRAIL_SIZE];
        answer = symbols_find(symbols, 0, &kernel, "Public", &rva, &source);
        symbols_explain(symbols, &kernel, "Public", text, sizeof text);
        uv_sleep(1);
    }
    *(unsigned *)done = answer == SYMBOLS_FOUND && rva == 0x1010;
}

static void any_thread_may_ask(void **state)
{
    uv_thread_t threads[ASKERS];
    unsigned done[ASKERS] = {0};
    (void)state;
    open_symbols();
    for (size_t i = 0; i < ASKERS; ++i)
        assert_int_equal(uv_thread_create(&threads[i], ask_for_ever, &done[i]), 0);
    run_until(1);
    for (size_t i = 0; i < ASKERS; ++i) {
        assert_int_equal(uv_thread_join(&threads[i]), 0);
        assert_int_equal(done[i], 1);
    }
    close_symbols();
    assert_int_equal(ended_count, 1);
}

static void without_a_file_there_are_no_symbols_and_it_is_told_why(void **state)
{
    uint32_t rva = 0;
    char text[SYMBOL_TRAIL_SIZE];
    (void)state;
    open_symbols();
    kernel.age = 9;
    assert_int_equal(find("Public", &rva), SYMBOLS_PENDING);
    symbols_explain(symbols, &kernel, "nt!Public", text, sizeof text);
    assert_string_equal(text, "a look-up is under way");
    run_until(1);
    assert_int_equal(ended_answer, SYMBOLS_NO_SYMBOLS);
    assert_non_null(strstr(ended_trail, "has no file for this image"));
    assert_int_equal(find("Public", &rva), SYMBOLS_NO_SYMBOLS);
    symbols_explain(symbols, &kernel, "nt!Public", text, sizeof text);
    assert_string_equal(text, ended_trail);
    assert_int_equal(stats().lookups, 1);
    close_symbols();
}

static void no_symbols_is_asked_again_after_a_while(void **state)
{
    uint32_t rva = 0;
    (void)state;
    options.retry_s = 1;
    open_symbols();
    kernel.age = 9;
    assert_int_equal(find("Public", &rva), SYMBOLS_PENDING);
    run_until(1);
    uint64_t start = uv_hrtime();
    while (find("Public", &rva) == SYMBOLS_NO_SYMBOLS) {
        uv_sleep(20);
        assert_true(uv_hrtime() - start < 60000000000U);
    }
    run_until(2);
    close_symbols();
}

static void strange_name_of_a_file_does_not_spoil_a_kernel(void **state)
{
    uint32_t rva = 0;
    (void)state;
    open_symbols();
    (void)snprintf(kernel.name, sizeof kernel.name, "liar.pdb");
    assert_int_equal(find("Public", &rva), SYMBOLS_PENDING);
    run_until(1);
    assert_int_equal(find("Public", &rva), SYMBOLS_NO_SYMBOLS);
    (void)snprintf(kernel.name, sizeof kernel.name, "ntkrnlmp.pdb");
    assert_int_equal(find("Public", &rva), SYMBOLS_PENDING);
    run_until(2);
    assert_int_equal(find("Public", &rva), SYMBOLS_FOUND);
    (void)snprintf(kernel.name, sizeof kernel.name, "liar.pdb");
    assert_int_equal(find("Public", &rva), SYMBOLS_FOUND); /* the GUID is what counts */
    close_symbols();
}

static void storm_of_kernels_is_bounded(void **state)
{
    uint32_t rva = 0;
    unsigned pending = 0;
    (void)state;
    open_symbols();
    for (uint32_t i = 0; i < 5000; ++i) {
        kernel.age = i + 100;
        pending += find("Public", &rva) == SYMBOLS_PENDING;
    }
    assert_int_equal(pending, SYMBOLS_WAITING_MAX);
    assert_int_equal(stats().turned_away, 5000 - pending);
    run_until(pending);
    close_symbols();
}

static void closing_forgets_what_waits(void **state)
{
    uint32_t rva = 0;
    (void)state;
    open_symbols();
    for (uint32_t i = 0; i < 100; ++i) {
        kernel.age = i + 100;
        (void)find("Public", &rva);
    }
    close_symbols();
    assert_int_equal(ended_count, 0);
}

static void question_that_nobody_may_ask_is_no_symbols(void **state)
{
    uint32_t rva = 0;
    char longest[REMEMBERED_NAME_SIZE + 1];
    (void)state;
    open_symbols();
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    assert_int_equal(find("", &rva), SYMBOLS_NO_SYMBOLS);
    assert_int_equal(find("nt!", &rva), SYMBOLS_NO_SYMBOLS);
    assert_int_equal(find("a b", &rva), SYMBOLS_NO_SYMBOLS);
    assert_int_equal(find("a\nb", &rva), SYMBOLS_NO_SYMBOLS);
    assert_int_equal(find(longest, &rva), SYMBOLS_NO_SYMBOLS);
    close_symbols();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOOP(first_question_is_pending_and_the_next_has_the_answer),
        WITH_LOOP(ten_thousand_machines_cause_one_lookup),
        WITH_LOOP(names_that_are_wanted_are_looked_up_together),
        WITH_LOOP(names_of_an_image_without_a_file_have_no_symbols),
        WITH_LOOP(any_thread_may_ask),
        WITH_LOOP(without_a_file_there_are_no_symbols_and_it_is_told_why),
        WITH_LOOP(no_symbols_is_asked_again_after_a_while),
        WITH_LOOP(strange_name_of_a_file_does_not_spoil_a_kernel),
        WITH_LOOP(storm_of_kernels_is_bounded),
        WITH_LOOP(closing_forgets_what_waits),
        WITH_LOOP(question_that_nobody_may_ask_is_no_symbols),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
