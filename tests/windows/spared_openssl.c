/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/windows/spared.h"

#include <openssl/crypto.h>

static void *new (size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return spared_new(size);
}

static void *resize(void *old, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return scarce_spared(old, size);
}

static void release(void *old, const char *file, int line)
{
    (void)file, (void)line;
    free(old);
}

__attribute__((constructor)) static void spare(void)
{
    if (CRYPTO_set_mem_functions(new, resize, release) != 1)
        abort();
}
