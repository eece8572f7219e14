/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/windows/spared.h"

#include <sqlite3.h>

#define HEAD 16 /* bytes ahead of each block: its size, which SQLite asks for */

static void *resize(void *old, int size)
{
    char *block = scarce_spared(old ? (char *)old - HEAD : NULL, (size_t)size + HEAD);
    if (!block)
        return NULL;
    memcpy(block, &size, sizeof size);
    return block + HEAD;
}

static void *new (int size)
{
    return resize(NULL, size);
}

static void release(void *old)
{
    free(old ? (char *)old - HEAD : NULL);
}

static int size_of(void *old)
{
    int size = 0;
    if (old)
        memcpy(&size, (char *)old - HEAD, sizeof size);
    return size;
}

static int round_up(int size)
{
    return (size + 7) & ~7;
}

static int begin(void *user)
{
    (void)user;
    return SQLITE_OK;
}

static void end(void *user)
{
    (void)user;
}

__attribute__((constructor)) static void spare(void)
{
    static const sqlite3_mem_methods methods = {.xMalloc = new,
                                                .xFree = release,
                                                .xRealloc = resize,
                                                .xSize = size_of,
                                                .xRoundup = round_up,
                                                .xInit = begin,
                                                .xShutdown = end};
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK)
        abort();
}
