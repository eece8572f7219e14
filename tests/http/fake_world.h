/* SPDX-License-Identifier: Apache-2.0 */
/* fake_world: machines, crashes and events that are made up, behind http_ops and the store's questions. */
#ifndef TESTS_HTTP_FAKE_WORLD_H
#define TESTS_HTTP_FAKE_WORLD_H

#include "service/http/http.h"
#include "service/store/store_read.h"

#include <stdbool.h>
#include <stddef.h>

struct fake_world {
    size_t targets, crashes;
    size_t newer; /* crashes that came after the start */
    bool no_store, ready;
    const char *scene; /* "calm", "storm" or "hostile" */
};

extern struct fake_world fake_world;
extern const struct http_ops fake_ops;
extern struct store *const fake_store;

void fake_make(void);
void fake_clear(void);
void fake_publish(struct http *http, size_t count);
void fake_crash(struct http *http);
void fake_set_stuck(const char *name); /* "none": no loop is */

#endif
