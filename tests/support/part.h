/* SPDX-License-Identifier: Apache-2.0 */
/*
 * part: of a great many cases a sanitizer sees one in so many: it slows each down, and all run the same code.
 */
#ifndef TESTS_SUPPORT_PART_H
#define TESTS_SUPPORT_PART_H

#ifdef __SANITIZE_ADDRESS__
#define TEST_ONE_IN(many) (many)
#else
#define TEST_ONE_IN(many) 1U
#endif

#endif
