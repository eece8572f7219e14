/* SPDX-License-Identifier: Apache-2.0 */
/* verdicts: the library's verdicts as texts: whether a text is one, and which of two says more about a crash. */
#ifndef CONFIG_VERDICTS_H
#define CONFIG_VERDICTS_H

#include "kdnet/verdict.h"

#include <string.h>

/* In messages and helps. */
#define VERDICTS_WORDS "written, failed, not_started or unknown"

/* Returns whether the text is a verdict, which is then in `out`. */
static inline bool verdicts_find(const char *text, enum kdnet_verdict *out)
{
#define VERDICTS_TEXT(name, text) text,
    static const char *const texts[] = {KDNET_VERDICT_MAP(VERDICTS_TEXT)};
#undef VERDICTS_TEXT
    for (size_t i = 0; text && i < sizeof texts / sizeof texts[0]; ++i)
        if (strcmp(texts[i], text) == 0) {
            *out = (enum kdnet_verdict)i;
            return true;
        }
    return false;
}

static inline bool verdicts_has(const char *text)
{
    enum kdnet_verdict verdict;
    return verdicts_find(text, &verdict);
}

/* written, failed > not_started > unknown > what is no verdict, or NULL. */
static inline unsigned verdicts_worth(const char *text)
{
    enum kdnet_verdict verdict;
    if (!verdicts_find(text, &verdict))
        return 0;
    return verdict == KDNET_VERDICT_UNKNOWN ? 1 : verdict == KDNET_VERDICT_NOT_STARTED ? 2 : 3;
}

#endif
