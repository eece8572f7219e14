/* SPDX-License-Identifier: Apache-2.0 */
#include "service/runtime/json_memory.h"

#include <stdlib.h>

#include <jansson.h>

static _Thread_local unsigned failures;

static void *allocate(size_t size)
{
    void *memory = malloc(size);
    failures += memory == NULL;
    return memory;
}

void json_memory_watch(void)
{
    json_set_alloc_funcs(allocate, free);
}

void json_memory_failed(void)
{
    ++failures;
}

unsigned json_memory_failures(void)
{
    return failures;
}
