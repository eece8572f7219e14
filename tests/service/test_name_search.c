/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a request of libcurl leaves the thread behind that searches for a name; libcurl is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "service/runtime/name_search.h"

#include <curl/curl.h>

#include <cmocka.h>

#undef curl_easy_setopt /* macros that look at types */
#undef curl_easy_getinfo

static struct {
    long quick;         /* as it was set last */
    curl_off_t took_us; /* so long the search took; 0: it has not ended */
    long status;
} fake;

CURLcode __wrap_curl_easy_setopt(CURL *curl, CURLoption option, ...);
CURLcode __wrap_curl_easy_getinfo(CURL *curl, CURLINFO info, ...);

CURLcode __wrap_curl_easy_setopt(CURL *curl, CURLoption option, ...)
{
    va_list arguments;
    va_start(arguments, option);
    assert_ptr_equal(curl, &fake);
    assert_int_equal(option, CURLOPT_QUICK_EXIT);
    fake.quick = va_arg(arguments, long);
    va_end(arguments);
    return CURLE_OK;
}

CURLcode __wrap_curl_easy_getinfo(CURL *curl, CURLINFO info, ...)
{
    va_list arguments;
    va_start(arguments, info);
    assert_ptr_equal(curl, &fake);
    if (info == CURLINFO_NAMELOOKUP_TIME_T)
        *va_arg(arguments, curl_off_t *) = fake.took_us;
    else
        *va_arg(arguments, long *) = fake.status;
    va_end(arguments);
    return CURLE_OK;
}

/* Returns whether its thread would be left behind. */
static bool request(struct name_search *search, curl_off_t took_us, long status)
{
    fake.quick = -1;
    bool leaves = name_search_begin(search, &fake);
    assert_int_equal(fake.quick, leaves ? 1 : 0);
    fake.took_us = took_us;
    fake.status = status;
    name_search_end(search, &fake, leaves);
    return leaves;
}

/* Returns how many requests in a row leave a thread behind. */
static unsigned left_behind(struct name_search *search)
{
    unsigned count = 0;
    while (count < 100 && request(search, 0, 0))
        ++count;
    return count;
}

static void only_some_threads_in_a_row_are_left_behind(void **state)
{
    struct name_search search = {0};
    (void)state;
    assert_int_equal(left_behind(&search), NAME_SEARCH_LEFT);
}

static void a_search_that_was_waited_for_and_has_ended_lets_more_be_left_behind(void **state)
{
    struct name_search search = {0};
    (void)state;
    for (unsigned i = 0; i < 3; ++i)
        assert_int_equal(left_behind(&search), NAME_SEARCH_LEFT);
}

/* It was begun before so many were left behind. */
static void a_late_request_that_leaves_its_thread_counts(void **state)
{
    struct name_search search = {0};
    (void)state;
    bool leaves = name_search_begin(&search, &fake);
    for (unsigned i = 0; i < NAME_SEARCH_LEFT; ++i)
        assert_true(request(&search, 0, 0));
    fake.took_us = fake.status = 0;
    name_search_end(&search, &fake, leaves);
    assert_false(name_search_begin(&search, &fake));
}

static void a_name_that_is_found_ends_the_row(void **state)
{
    struct name_search search = {0};
    (void)state;
    for (unsigned i = 0; i < 10 * NAME_SEARCH_LEFT; ++i)
        assert_true(request(&search, i % NAME_SEARCH_LEFT == 0 ? 700 : 0, 0));
}

static void an_answer_over_a_connection_that_was_there_ends_it_too(void **state)
{
    struct name_search search = {0};
    (void)state;
    for (unsigned i = 0; i < 10 * NAME_SEARCH_LEFT; ++i)
        assert_true(request(&search, 0, i % NAME_SEARCH_LEFT == 0 ? 200 : 0));
}

static void who_ends_leaves_its_thread_in_any_case(void **state)
{
    struct name_search search = {0};
    (void)state;
    for (unsigned i = 0; i < NAME_SEARCH_LEFT; ++i)
        assert_true(request(&search, 0, 0));
    assert_false(name_search_begin(&search, &fake));
    assert_int_equal(fake.quick, 0);
    name_search_leave(&fake);
    assert_int_equal(fake.quick, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_some_threads_in_a_row_are_left_behind),
        cmocka_unit_test(a_search_that_was_waited_for_and_has_ended_lets_more_be_left_behind),
        cmocka_unit_test(a_late_request_that_leaves_its_thread_counts),
        cmocka_unit_test(a_name_that_is_found_ends_the_row),
        cmocka_unit_test(an_answer_over_a_connection_that_was_there_ends_it_too),
        cmocka_unit_test(who_ends_leaves_its_thread_in_any_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
