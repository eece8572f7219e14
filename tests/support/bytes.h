/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes: what tests of decoders need again and again: exact copies, hexadecimal, truncations, bit flips.
 *
 * Uses cmocka to fail a test. Copies are heap blocks of exactly the length asked for, so that AddressSanitizer sees
 * each read behind the end.
 */
#ifndef TESTS_SUPPORT_BYTES_H
#define TESTS_SUPPORT_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* A heap copy of exactly `length` bytes, never NULL; the caller frees it. `bytes` may be NULL when length is 0. */
uint8_t *bytes_copy(const void *bytes, size_t length);

/* Reads pairs of hexadecimal digits, blanks between them ignored; fails the test on anything else or when there are not
 * exactly `length` bytes. */
void bytes_from_hex(const char *text, uint8_t *out, size_t length);

/* Sees one variant of some bytes: a heap copy of exactly `length` bytes; `at` says how it differs. */
typedef void bytes_check(const uint8_t *bytes, size_t length, size_t at, void *context);

/* Calls check with the first 0, 1, … length-1 bytes; `at` is the length. */
void bytes_each_truncation(const void *bytes, size_t length, bytes_check *check, void *context);

/* Calls check with each of the length * 8 copies that differ in one bit; `at` is the byte that differs. */
void bytes_each_bit_flip(const void *bytes, size_t length, bytes_check *check, void *context);

#endif
