/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/refused.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_size_t asked, first = SIZE_MAX;
static int error_of_it;
static const char *_Atomic refused;

void refused_begin(size_t number, int error)
{
    refused = NULL;
    asked = 0;
    error_of_it = error;
    first = number;
}

const char *refused_end(void)
{
    first = SIZE_MAX;
    return refused;
}

const char *refused_call(void)
{
    return refused;
}

bool refused_is(const char *name)
{
    return refused && strcmp(refused, name) == 0;
}

static size_t count_descriptors(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder)) // NOLINT(concurrency-mt-unsafe)
        ++count;
    if (folder)
        (void)closedir(folder);
    return count;
}

size_t refused_each(int error, void (*work)(void *user), void *user)
{
    size_t number = 0, before = count_descriptors();
    for (bool any = true; any; number += any) {
        refused_begin(number, error);
        work(user);
        const char *call = refused_end();
        any = call != NULL;
        if (count_descriptors() == before)
            continue;
        (void)fprintf(stderr, "a descriptor is left open, or closed twice, where %s is refused\n",
                      call ? call : "nothing");
        abort();
    }
    return number;
}

bool refused_now(const char *name, int *error)
{
    size_t number = first;
    if (number == SIZE_MAX || atomic_fetch_add(&asked, 1) != number)
        return false;
    refused = name;
    *error = error_of_it;
    return true;
}
