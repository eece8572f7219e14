/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP's shared state: the clock, notes to its thread, troubles, ownership. */
#include "config/characters.h"
#include "service/http/state_internal.h"
#include "service/http/system.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const troubles[HTTP_TROUBLES] = {"http", "http_socket", "http_tls", "http_tokens"};

uint64_t http_now_ms(void)
{
    return uv_hrtime() / 1000000;
}

bool http_read_needs_token(const struct endpoint *endpoint)
{
    const struct settings *settings = &endpoint->http->settings;
    if (endpoint->local)
        return false;
    return settings->read_told ? settings->read_needs_token : !endpoint->loopback;
}

/* Notes. */

bool http_post(struct http *http, struct note *note)
{
    note->next = NULL;
    uv_mutex_lock(&http->lock);
    bool open = !http->closed;
    if (open) {
        if (http->last_note)
            http->last_note->next = note;
        else
            http->first_note = note;
        http->last_note = note;
        if (!http->woken)
            system_wake(http->wake);
        http->woken = true;
    }
    uv_mutex_unlock(&http->lock);
    return open;
}

bool http_open_notes(struct http *http)
{
    uv_mutex_lock(&http->lock);
    struct note *note = http->first_note;
    http->first_note = http->last_note = NULL;
    http->woken = false;
    uv_mutex_unlock(&http->lock);
    bool some = note != NULL;
    for (struct note *next = NULL; note; note = next) {
        next = note->next;
        note->open(note, http);
    }
    return some;
}

/* Troubles. */

bool http_set_trouble(struct http *http, enum http_trouble trouble, const char *name, const char *why)
{
    struct http_degraded *at = &http->trouble[trouble];
    uv_mutex_lock(&http->lock);
    bool other = strcmp(at->why, why ? why : "") != 0;
    if (why && at->why[0] == '\0')
        at->since_us = call_now_us();
    (void)snprintf(at->what, sizeof at->what, "%s", troubles[trouble]);
    (void)snprintf(at->name, sizeof at->name, "%s", name);
    (void)snprintf(at->why, sizeof at->why, "%s", why ? why : "");
    characters_mend(at->why);
    uv_mutex_unlock(&http->lock);
    return other;
}

/* Counts owners, which keep the struct alive. */

void http_begin_act(struct http *http)
{
    uv_mutex_lock(&http->lock);
    ++http->owners;
    uv_mutex_unlock(&http->lock);
}

void http_end_act(struct http *http)
{
    uv_mutex_lock(&http->lock);
    bool last = --http->owners == 0;
    uv_mutex_unlock(&http->lock);
    if (!last)
        return;
    uv_mutex_destroy(&http->lock);
    free(http);
}
