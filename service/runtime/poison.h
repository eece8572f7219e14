/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poison: marks unused parts of a memory chunk, so that AddressSanitizer finds a use after free there as in malloc's
 * memory; no effect without it.
 */
#ifndef SERVICE_POISON_H
#define SERVICE_POISON_H

#include <stddef.h>

#ifdef __SANITIZE_ADDRESS__ /* gcc */
#define POISON_WORKS 1
#elif defined __has_feature /* clang */
#if __has_feature(address_sanitizer)
#define POISON_WORKS 1
#endif
#endif

#ifdef POISON_WORKS
#include <sanitizer/asan_interface.h>
#endif

static inline void poison(const void *from, size_t length)
{
#ifdef POISON_WORKS
    __asan_poison_memory_region(from, length);
#else
    (void)from;
    (void)length;
#endif
}

static inline void unpoison(const void *from, size_t length)
{
#ifdef POISON_WORKS
    __asan_unpoison_memory_region(from, length);
#else
    (void)from;
    (void)length;
#endif
}

#endif
