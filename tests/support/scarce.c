/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/scarce.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

/* Allocations are counted from `first` on; those from `first` to `last` fail. */
static atomic_size_t asked, first = SIZE_MAX, last;
static atomic_bool failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

void scarce_begin(size_t number, size_t rest)
{
    failed = false;
    asked = 0;
    last = number + rest;
    first = number;
}

bool scarce_end(void)
{
    first = SIZE_MAX;
    return failed;
}

bool scarce_failed(void)
{
    return failed;
}

void *scarce_spared(void *old, size_t size)
{
    return __real_realloc(old, size);
}

size_t scarce_each(void (*work)(void *user), void *user)
{
    size_t number = 0;
    for (bool any = true; any; number += any) {
        scarce_begin(number, 0);
        work(user);
        any = scarce_end();
    }
    return number;
}

static bool is_out(void)
{
    if (first == SIZE_MAX)
        return false;
    size_t at = atomic_fetch_add(&asked, 1);
    bool out = at >= first && at <= last;
    if (out)
        failed = true;
    return out;
}

void *__wrap_malloc(size_t size)
{
    return is_out() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_out() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return is_out() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return is_out() ? NULL : __real_strdup(text);
}
