/* SPDX-License-Identifier: Apache-2.0 */
#include "service/server/contains.h"
#include "service/server/server_api_internal.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEX_SIZE  (2 * SNAPSHOTS_ID_LENGTH + 1)
#define TEXT_SIZE 3072 /* of labels as JSON: 16 keys of 32 and values of 64 bytes, each of which may need an escape */

#define OTHER_HOST_US UINT64_C(300000000) /* how long another host's work on a machine is shown */

struct finding {
    struct server *server;
    uint64_t now_us; /* since 1970 */
    const struct http_target_query *query;
    http_target_fn *each;
    void *user;
    size_t total, told;
    bool ended;
};

/* Whether a text can be a part of an address. */
static bool is_of_address(const char *part)
{
    return part[strspn(part, "0123456789abcdefABCDEF.:[]%")] == '\0';
}

static bool has_label(const struct config_labels *labels, const struct http_label *wanted)
{
    for (const char *key = config_next_label(labels, NULL); key; key = config_next_label(labels, key))
        if (strcmp(key, wanted->key) == 0)
            return strcmp(key + strlen(key) + 1, wanted->value) == 0;
    return false;
}

static bool has_substring(const struct snapshot_view *view, const char *part)
{
    char address[ADDRESS_TEXT_SIZE];
    if (contains(view->name, part))
        return true;
    if (view->snapshot.has_address && is_of_address(part)) {
        address_format(&view->snapshot.address, address);
        if (contains(address, part))
            return true;
    }
    for (const char *key = config_next_label(view->labels, NULL); key; key = config_next_label(view->labels, key))
        if (contains(key + strlen(key) + 1, part))
            return true;
    return false;
}

static bool matches(const struct http_target_query *query, const struct snapshot_view *view)
{
    if (query->states != 0 && !(query->states >> view->snapshot.state & 1))
        return false;
    for (size_t i = 0; i < query->label_count; ++i)
        if (!has_label(view->labels, &query->labels[i]))
            return false;
    return !query->substring || has_substring(view, query->substring);
}

static void format_id(bool known, const uint8_t id[static SNAPSHOTS_ID_LENGTH], char out[static HEX_SIZE])
{
    out[0] = '\0';
    for (size_t i = 0; known && i < SNAPSHOTS_ID_LENGTH; ++i)
        (void)snprintf(out + 2 * i, 3, "%02x", id[i]);
}

static void format_labels(const struct config_labels *labels, char out[static TEXT_SIZE])
{
    json_t *object = json_object();
    for (const char *key = config_next_label(labels, NULL); key; key = config_next_label(labels, key))
        (void)json_object_set_new(object, key, json_string(key + strlen(key) + 1));
    size_t length = json_dumpb(object, out, TEXT_SIZE - 1, JSON_COMPACT);
    json_decref(object);
    if (length == 0 || length >= TEXT_SIZE)
        length = (size_t)snprintf(out, TEXT_SIZE, "{}");
    out[length] = '\0';
}

/* Returns the listener of that port: by its address when there is only one, the usual case. */
static const char *listener_of(struct server *server, uint16_t port, char out[static HTTP_ADDRESS_SIZE])
{
    struct api *api = &server->api;
    out[0] = '\0';
    uv_mutex_lock(&api->lock);
    for (size_t i = 0; i < api->port_count && port != 0; ++i) {
        const char *colon = strrchr(api->ports[i].address, ':');
        if (colon && strtoul(colon + 1, NULL, 10) == port) {
            memcpy(out, api->ports[i].address, HTTP_ADDRESS_SIZE);
            break;
        }
    }
    uv_mutex_unlock(&api->lock);
    return api_text_or_null(out);
}

static bool hand_on(struct finding *finding, const struct snapshot_view *view)
{
    const struct snapshot *snapshot = &view->snapshot;
    const struct snapshot_more *more = &view->more;
    bool other = more->other_host_us != 0 && more->other_host_us + OTHER_HOST_US > finding->now_us;
    char host[ADDRESS_TEXT_SIZE], address[ADDRESS_TEXT_SIZE], boot[HEX_SIZE], session[HEX_SIZE], labels[TEXT_SIZE],
        listener[HTTP_ADDRESS_SIZE];
    address_format(&snapshot->address, address);
    if (other)
        address_format(&more->other_host, host);
    format_id(snapshot->has_boot, snapshot->boot, boot);
    format_id(snapshot->has_session, snapshot->session, session);
    format_labels(view->labels, labels);
    const struct http_target target = {
        .name = view->name,
        .state = (enum http_state)snapshot->state,
        .since_us = snapshot->since_us,
        .last_seen_us = snapshot->last_seen_us,
        .held_until_us = snapshot->state == TARGET_HELD ? view->more.held_until_us : 0,
        .other_host_us = other ? more->other_host_us : 0,
        .other_host = other && more->other_host.port != 0 ? host : NULL,
        .address = snapshot->has_address ? address : NULL,
        .version = snapshot->version,
        .boot = api_text_or_null(boot),
        .session = api_text_or_null(session),
        .kernel = snapshots_kernel_text(finding->server->observe.snapshots, snapshot->kernel),
        .listener = listener_of(finding->server, snapshot->listener_port, listener),
        .worker = snapshot->stale || snapshot->state == TARGET_NEVER_SEEN ? -1 : snapshot->worker,
        .crash = api_text_or_null(view->more.crash),
        .crash_us = view->more.crash_us,
        .verdict = api_text_or_null(view->more.verdict),
        .labels = labels,
        .stale = snapshot->stale};
    return finding->each(finding->user, &target);
}

static bool on_view(void *user, const struct snapshot_view *view)
{
    struct finding *finding = user;
    const struct http_target_query *query = finding->query;
    if (!matches(query, view))
        return true;
    ++finding->total;
    if (finding->ended || finding->told >= query->limit || (query->after && strcmp(view->name, query->after) <= 0))
        return true; /* counted all the same */
    ++finding->told;
    finding->ended = !hand_on(finding, view);
    return true;
}

size_t api_get_targets(void *user, const struct http_target_query *query, http_target_fn *each, void *each_user)
{
    struct api *api = user;
    uv_timeval64_t now = {0};
    (void)uv_gettimeofday(&now);
    uint64_t now_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_usec;
    struct finding finding = {.server = api->server, .now_us = now_us, .query = query, .each = each, .user = each_user};
    struct snapshots *snapshots = api->server->observe.snapshots;
    if (snapshots && query->name)
        (void)snapshots_look(snapshots, query->name, on_view, &finding);
    else if (snapshots)
        snapshots_each(snapshots, NULL, on_view, &finding);
    return finding.total;
}
