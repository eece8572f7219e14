/* SPDX-License-Identifier: Apache-2.0 */
/* What AddressSanitizer keeps of freed memory, and of who freed it, is most of a session's time: little is enough, for
 * an input frees little. The environment's ASAN_OPTIONS still count. */
#include "tests/fuzz/fuzz.h"

const char *__asan_default_options(void); /* NOLINT(bugprone-reserved-identifier): AddressSanitizer calls it */

const char *__asan_default_options(void)
{
    return "quarantine_size_mb=1:thread_local_quarantine_size_kb=64:malloc_context_size=1:max_malloc_fill_size=0";
}
