/* SPDX-License-Identifier: Apache-2.0 */
#include "service/server/server_api_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t api_count_unknown(const struct api *api)
{
    uint64_t count = 0;
    for (size_t i = 0; api->unknown && i < UNKNOWN_SOURCES_ROWS; ++i)
        count += api->unknown[i].first_us > 0;
    return count;
}

static bool same_source(const struct api_unknown *a, const struct unknown_source *b)
{
    return a->first_us > 0 && a->listen_port == b->listen_port && address_same_ip(&a->source, b->source.ip);
}

/* Updates a row; another source in the same row starts anew. */
static struct api_unknown *renew_unknown(struct api *api, size_t at)
{
    const struct unknown_source *row = &api->server->unknown_sources.rows[at];
    struct api_unknown *to = &api->unknown[at];
    if (!row->used)
        return to;
    if (!same_source(to, row)) {
        free(to->hint);
        free(to->target);
        *to = (struct api_unknown){.listen_port = row->listen_port, .first_us = api_people_us(row->first_us)};
    }
    to->source = row->source;
    to->version = row->version;
    to->last_us = api_people_us(row->last_us);
    to->count = to->reported + row->count;
    return to;
}

void api_renew_unknowns(struct api *api)
{
    const struct unknown_sources *sources = &api->server->unknown_sources;
    for (size_t i = 0; i < UNKNOWN_SOURCES_ROWS; ++i) {
        if (!sources->rows[i].used)
            continue;
        if (!api->unknown)
            api->unknown = calloc(UNKNOWN_SOURCES_ROWS, sizeof *api->unknown);
        if (!api->unknown)
            return;
        (void)renew_unknown(api, i);
    }
}

void api_note_unknown(struct api *api, const struct unknown_source *source, const char *hint, const char *target)
{
    if (!api->status)
        return;
    uv_mutex_lock(&api->lock);
    api_renew_unknowns(api);
    for (size_t i = 0; api->unknown && i < UNKNOWN_SOURCES_ROWS; ++i) {
        struct api_unknown *to = &api->unknown[i];
        if (!same_source(to, source))
            continue;
        free(to->hint);
        free(to->target);
        to->hint = strdup(hint);
        to->target = target ? strdup(target) : NULL;
        to->reported += source->count;
        to->count = to->reported + api->server->unknown_sources.rows[i].count;
    }
    uv_mutex_unlock(&api->lock);
}

static int newest_first(const void *a, const void *b)
{
    uint64_t one = (*(const struct api_unknown *const *)a)->last_us,
             other = (*(const struct api_unknown *const *)b)->last_us;
    return one < other ? 1 : one > other ? -1 : 0;
}

/* The remedy is the hint's end, behind its last colon. */
static bool tell_unknown(const struct api_unknown *unknown, http_unknown_fn *each, void *user)
{
    char address[ADDRESS_TEXT_SIZE], hint[HTTP_DETAIL_SIZE] = "";
    const char *remedy = NULL;
    address_format_ip(&unknown->source, address);
    (void)snprintf(hint, sizeof hint, "%s", unknown->hint ? unknown->hint : "");
    for (char *at = strstr(hint, ": "); at; at = strstr(at + 1, ": "))
        remedy = at;
    if (remedy) {
        hint[remedy - hint] = '\0';
        remedy += 2;
    }
    const struct http_unknown told = {.address = address,
                                      .first_us = unknown->first_us,
                                      .last_us = unknown->last_us,
                                      .count = unknown->count,
                                      .version = unknown->version,
                                      .hint = api_text_or_null(hint),
                                      .remedy = remedy,
                                      .target = unknown->target};
    return each(user, &told);
}

size_t api_get_unknown(void *user, http_unknown_fn *each, void *each_user)
{
    struct api *api = user;
    const struct api_unknown *order[UNKNOWN_SOURCES_ROWS];
    size_t count = 0;
    uv_mutex_lock(&api->lock);
    for (size_t i = 0; api->unknown && i < UNKNOWN_SOURCES_ROWS; ++i)
        if (api->unknown[i].first_us > 0)
            order[count++] = &api->unknown[i];
    qsort(order, count, sizeof order[0], newest_first);
    for (size_t i = 0; i < count && tell_unknown(order[i], each, each_user); ++i)
        ;
    uv_mutex_unlock(&api->lock);
    return count;
}
