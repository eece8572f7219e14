/* SPDX-License-Identifier: Apache-2.0 */
/* mistakes: texts that are wrong, and what must be said of each. Included once, by tests of config/. */
#ifndef TESTS_CONFIG_MISTAKES_H
#define TESTS_CONFIG_MISTAKES_H

#include "setup.h"

static inline void expect_each(struct fixture *f, const struct wrong_text *texts, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        load_yaml(f, texts[i].text);
        expect_mistake(f, texts[i].line);
    }
}

#define EXPECT_EACH(state, texts) expect_each(*(state), texts, sizeof(texts) / sizeof(texts)[0])

#endif
