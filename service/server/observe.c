/* SPDX-License-Identifier: Apache-2.0 */
#include "service/server/observe.h"
#include "service/runtime/log.h"
#include "service/targets/policies.h"
#include "service/worker/act.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SIZE 4096

static uint64_t wall_us(void)
{
    uv_timeval64_t now = {0};
    (void)uv_gettimeofday(&now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_usec;
}

/* Targets */

/* Converts a worker's time to wall-clock time. */
static uint64_t people_us(uint64_t us, uint64_t wall)
{
    uint64_t ago_us = worker_now_us() - us + worker_lag_us() - worker_lag_at(us);
    return us == 0 || ago_us > wall ? 0 : wall - ago_us;
}

static struct snapshot snapshot_of(const struct worker *worker, const struct target *target, uint64_t wall)
{
    const struct target_endpoint *endpoint = targets_destination(target);
    struct kdnet_event event = {.type = KDNET_EVENT_CONNECTED};
    struct snapshot made = {.state = act_state(target),
                            .worker = (uint8_t)worker->number,
                            .last_seen_us = people_us(kdnet_session_last_seen(targets_session(target)), wall)};
    if (endpoint) {
        made.has_address = true;
        made.address = targets_address(endpoint);
        made.listener_port = endpoint->local_port;
    }
    if (made.state == TARGET_NEVER_SEEN)
        return made;
    kdnet_session_identify(targets_session(target), &event);
    made.has_boot = event.of.boot_known;
    memcpy(made.boot, event.of.boot, sizeof made.boot);
    made.has_session = kdnet_session_id(targets_session(target), made.session);
    made.version = kdnet_session_version(targets_session(target));
    return made;
}

/* The slot of the row's target, which the row remembers. */
static uint32_t slot_of(struct observe *observe, struct target *target)
{
    const struct config_labels *labels = policies_labels(kdnet_session_policy(targets_session(target)));
    if (target->snapshot == 0)
        target->snapshot = snapshots_slot(observe->snapshots, targets_name(target), labels);
    else
        snapshots_set_labels(observe->snapshots, target->snapshot, labels);
    return target->snapshot;
}

void observe_target_changed(struct observe *observe, struct worker *worker, struct target *target)
{
    if (!observe->snapshots || !targets_stands_for_all(target) || slot_of(observe, target) == 0)
        return;
    uint64_t wall = wall_us();
    const struct snapshot made = snapshot_of(worker, target, wall);
    uint64_t hold_us = kdnet_session_policy(targets_session(target))->hold_for_us;
    bool is_new = snapshots_publish(observe->snapshots, target->snapshot, &made, wall);
    if (is_new && made.state == TARGET_HELD)
        snapshots_note_hold(observe->snapshots, target->snapshot, hold_us > 0 ? wall + hold_us : 0);
    const struct target_more *more = target->more;
    if (more && more->other_host_us != 0)
        snapshots_note_other_host(observe->snapshots, target->snapshot, &more->other_host,
                                  people_us(more->other_host_us, wall));
}

void observe_target_gone(struct observe *observe, struct target *target)
{
    if (observe->snapshots && target->snapshot != 0 && targets_stands_for_all(target))
        snapshots_remove(observe->snapshots, target->snapshot);
    target->snapshot = 0;
}

void observe_refresh(struct observe *observe, struct worker *worker, uint32_t *at)
{
    uint64_t wall = wall_us();
    uint32_t ids = (uint32_t)worker->targets.ids, looks = ids < OBSERVE_REFRESH ? ids : OBSERVE_REFRESH;
    for (; observe->snapshots && looks > 0; --looks, ++*at) {
        if (*at >= ids)
            *at = 0;
        struct target *row = targets_row(&worker->targets, *at);
        if (row && row->snapshot != 0 && row->seen && targets_stands_for_all(row))
            snapshots_heard(observe->snapshots, row->snapshot,
                            people_us(kdnet_session_last_seen(targets_session(row)), wall));
    }
}

/* Events */

/* Notes a target's kernel, from the event's line. */
static void note_kernel(struct observe *observe, uint32_t slot, const struct published_event *event)
{
    json_t *line = json_loadb(event->line, event->length, 0, NULL);
    json_t *kernel = line ? json_pack("{s:O?,s:O?,s:O?}", "build_lab", json_object_get(line, "build_lab"), "machine",
                                      json_object_get(line, "machine"), "pdb", json_object_get(line, "pdb"))
                          : NULL;
    char *text = kernel ? json_dumps(kernel, JSON_COMPACT) : NULL;
    if (text && strlen(text) < SNAPSHOTS_KERNEL_SIZE)
        snapshots_note_kernel(observe->snapshots, slot, snapshots_kernel(observe->snapshots, text));
    free(text);
    json_decref(kernel);
    json_decref(line);
}

/* A crash begins with the first event that names it; its verdict comes later. */
static void note_event(struct observe *observe, const struct published_event *event)
{
    const struct kdnet_event *said = event->event;
    bool is_result = said->type == KDNET_EVENT_CRASH_STATUS;
    if (!observe->snapshots || !event->target || (!event->crash && said->type != KDNET_EVENT_KERNEL))
        return;
    uint32_t slot = snapshots_find(observe->snapshots, event->target);
    if (slot == 0)
        return;
    if (event->crash)
        snapshots_note_crash(
            observe->snapshots, slot, event->crash,
            kdnet_verdict_name(is_result ? said->u.crash_status.conclusion.verdict : KDNET_VERDICT_UNKNOWN),
            event->time_us);
    if (said->type == KDNET_EVENT_KERNEL)
        note_kernel(observe, slot, event);
}

/* The time of a hold is not counted: the halt was counted up to the hold. */
static void note_release(struct observe *observe, const struct published_event *event)
{
    uint32_t slot = snapshots_find(observe->snapshots, event->target);
    if (slot != 0 && event->event->u.released.action != KDNET_ACTION_HOLD)
        snapshots_note_release(observe->snapshots, slot);
    if (slot == 0 || snapshots_state(observe->snapshots, slot) != TARGET_HELD)
        observe_count_halt(&observe->counts, event->event->u.released.halted_us);
}

static void on_event(void *user, const struct published_event *event)
{
    struct observe *observe = user;
    if (event->event) {
        if (event->event->type == KDNET_EVENT_RELEASED)
            note_release(observe, event);
        observe_count_event(&observe->counts, event->event);
        note_event(observe, event);
    }
    const struct store_facts facts = {.time_us = event->time_us,
                                      .id = event->id,
                                      .type = event->type,
                                      .target = event->target,
                                      .crash = event->crash};
    if (observe->store && event->length > 0)
        (void)store_add(observe->store, event->line, event->length - 1, &facts); /* without its line end */
}

/* The store */

static bool parse_id(const char *text, uint8_t id[static SNAPSHOTS_ID_LENGTH])
{
    if (!text || strlen(text) != 2 * (size_t)SNAPSHOTS_ID_LENGTH)
        return false;
    for (size_t i = 0; i < SNAPSHOTS_ID_LENGTH; ++i) {
        char digits[] = {text[2 * i], text[2 * i + 1], '\0'};
        if (!isxdigit((unsigned char)digits[0]) || !isxdigit((unsigned char)digits[1]))
            return false;
        id[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return true;
}

static void format_id(const uint8_t id[static SNAPSHOTS_ID_LENGTH], char out[static 2 * SNAPSHOTS_ID_LENGTH + 1])
{
    for (size_t i = 0; i < SNAPSHOTS_ID_LENGTH; ++i)
        (void)snprintf(out + 2 * i, 3, "%02x", id[i]);
}

/* Restores a target's state of an earlier process. */
static void on_stored_target(void *user, const struct store_target *stored)
{
    struct observe *observe = user;
    struct snapshot made = {
        .version = (uint8_t)stored->version, .since_us = stored->since_us, .last_seen_us = stored->last_seen_us};
    uint32_t slot = observe->snapshots ? snapshots_find(observe->snapshots, stored->name) : 0;
    if (slot == 0 || !target_state_parse(stored->state, &made.state))
        return;
    made.has_boot = parse_id(stored->boot, made.boot);
    made.has_session = parse_id(stored->session, made.session);
    made.has_address = stored->address && address_parse(stored->address, &made.address);
    made.kernel = stored->kernel ? snapshots_kernel(observe->snapshots, stored->kernel) : 0;
    snapshots_restore(observe->snapshots, slot, &made);
    if (stored->crash && stored->verdict)
        snapshots_restore_crash(observe->snapshots, slot, stored->crash, stored->verdict, stored->crash_us);
    if (made.state == TARGET_HELD)
        snapshots_restore_hold(observe->snapshots, slot, &made);
    if (made.state == TARGET_HELD && stored->held_until_us > 0)
        snapshots_note_hold(observe->snapshots, slot, stored->held_until_us);
}

struct storing {
    void (*put)(void *user, const struct store_target *target);
    void *user;
};

static bool store_view(void *user, const struct snapshot_view *view)
{
    const struct storing *storing = user;
    const struct snapshot *snapshot = &view->snapshot;
    char address[ADDRESS_TEXT_SIZE], boot[2 * SNAPSHOTS_ID_LENGTH + 1], session[2 * SNAPSHOTS_ID_LENGTH + 1];
    if (snapshot->state == TARGET_NEVER_SEEN || snapshot->stale)
        return true;
    address_format(&snapshot->address, address);
    format_id(snapshot->boot, boot);
    format_id(snapshot->session, session);
    const struct store_target target = {.name = view->name,
                                        .state = target_state_name(snapshot->state),
                                        .since_us = snapshot->since_us,
                                        .last_seen_us = snapshot->last_seen_us,
                                        .held_until_us = snapshot->state == TARGET_HELD ? view->more.held_until_us : 0,
                                        .address = snapshot->has_address ? address : NULL,
                                        .version = snapshot->version,
                                        .boot = snapshot->has_boot ? boot : NULL,
                                        .session = snapshot->has_session ? session : NULL};
    storing->put(storing->user, &target);
    return true;
}

static size_t on_changed_targets(void *user, void (*put)(void *put_user, const struct store_target *target),
                                 void *put_user, size_t most)
{
    struct observe *observe = user;
    struct storing storing = {put, put_user};
    return observe->snapshots ? snapshots_changed(observe->snapshots, store_view, &storing, most) : 0;
}

static void on_committed(void *user, const struct store_event *events, size_t count)
{
    struct observe *observe = user;
    if (observe->on_committed)
        observe->on_committed(observe->user, events, count);
    uv_mutex_lock(&observe->sinks_lock);
    if (observe->sinks)
        sinks_wake(observe->sinks);
    uv_mutex_unlock(&observe->sinks_lock);
}

static void on_overrun(void *user, const char *sink, uint64_t count)
{
    struct observe *observe = user;
    char id[IDENTITY_SIZE];
    struct event_json_service service = {
        .time_us = wall_us(), .collector = observe->collector, .event = "sink_overrun"};
    uv_mutex_lock(&observe->sinks_lock);
    if (observe->sinks)
        sinks_count_dropped(observe->sinks, sink, count);
    uv_mutex_unlock(&observe->sinks_lock);
    (void)publisher_service(observe->publisher, &service,
                            json_pack("{s:s,s:I}", "sink", sink, "count", (json_int_t)count), id);
    event_log_ring(observe->publisher->log);
}

char *observe_state_path(const struct kdnetd_config *config, const char *name)
{
    char path[PATH_SIZE], whole[PATH_SIZE];
    const char *folder = config->state ? config->state : getenv("STATE_DIRECTORY");
    if (!folder || folder[0] == '\0')
        return NULL;
    /* systemd separates several by a colon: the first is meant. A drive's colon is part of the name. */
    size_t length = config->state || folder[0] != '/' ? strlen(folder) : strcspn(folder, ":");
    if (snprintf(path, sizeof path, "%.*s/%s", (int)length, folder, name) >= (int)sizeof path)
        return NULL;
    observe_absolute(path, whole, sizeof whole);
    return strdup(whole);
}

void observe_absolute(const char *path, char *out, size_t size)
{
    size_t length = size;
    bool absolute = path[0] == '/' || path[0] == '\\' || (path[0] != '\0' && path[1] == ':');
    if (path[0] == '\0' || absolute || uv_cwd(out, &length) != 0)
        (void)snprintf(out, size, "%s", path);
    else
        (void)snprintf(out + length, size - length, "/%s", path);
}

char *observe_store_path(const struct kdnetd_config *config)
{
    char path[PATH_SIZE];
    if (!config->store)
        return observe_state_path(config, "kdnetd.db");
    if (strcmp(config->store, "none") == 0)
        return NULL;
    observe_absolute(config->store, path, sizeof path);
    return strdup(path);
}

static struct store_options options_of(struct observe *observe, const struct kdnetd_config *config)
{
    for (size_t i = 0; i < config->sink_count; ++i)
        observe->sink_names[i] = config->sinks[i].name;
    return (struct store_options){.path = observe->path,
                                  .retain_days = config->retain_days,
                                  .retain_bytes = config->retain_size,
                                  .results = config->events,
                                  .sinks = observe->sink_names,
                                  .sink_count = config->sink_count};
}

/* Whether anybody can ask for targets: then they cost their memory. */
static bool is_asked(const struct observe *observe, const struct kdnetd_config *config)
{
    bool no_socket = config->http_socket && strcmp(config->http_socket, "none") == 0;
    return observe->path || config->http.port != 0 || !no_socket;
}

/* Sinks are fed from the store's file. */
static void configure_sinks(struct observe *observe, const struct kdnetd_config *config)
{
    if (config->sink_count > 0 && !observe->path)
        log_plain(CONFIG_LOG_ERROR,
                  "sinks: there is no store, so that nothing is sent to them; tell its file by store: "
                  "or its folder by state:, and restart");
    if (observe->sinks && observe->store)
        (void)sinks_configure(observe->sinks, observe->store, config);
}

bool observe_init(struct observe *observe, struct publisher *publisher, const struct kdnetd_config *config)
{
    observe->publisher = publisher;
    if (uv_mutex_init(&observe->sinks_lock) != 0)
        return false;
    memcpy(observe->collector, config->collector, sizeof observe->collector);
    observe->path = observe_store_path(config);
    observe->sinks = observe->path ? sinks_open() : NULL;
    if (!is_asked(observe, config))
        return true;
    observe->snapshots = snapshots_new();
    return observe->snapshots && snapshots_reserve(observe->snapshots, config->target_count);
}

void observe_open(struct observe *observe, const struct kdnetd_config *config, bool held)
{
    const struct store_callbacks callbacks = {.user = observe,
                                              .on_committed = on_committed,
                                              .on_target = on_stored_target,
                                              .changed_targets = on_changed_targets,
                                              .on_overrun = on_overrun};
    struct store_options options = options_of(observe, config);
    options.held = held;
    if (!observe->snapshots) {
        configure_sinks(observe, config);
        return;
    }
    observe->store = store_open(&options, &callbacks);
    if (!observe->store)
        log_plain(CONFIG_LOG_ERROR, "out of memory or threads: there is no store, and nobody can ask for events");
    (void)publisher_join(observe->publisher, on_event, observe);
    configure_sinks(observe, config);
}

void observe_release(struct observe *observe)
{
    if (observe->store)
        store_release(observe->store);
}

void observe_configure(struct observe *observe, const struct kdnetd_config *config)
{
    const struct store_options options = options_of(observe, config);
    if (observe->store)
        (void)store_configure(observe->store, &options);
    configure_sinks(observe, config);
}

struct sinks *observe_take_sinks(struct observe *observe)
{
    if (!observe->publisher)
        return NULL;
    uv_mutex_lock(&observe->sinks_lock);
    struct sinks *sinks = observe->sinks;
    observe->sinks = NULL; /* the store may still commit */
    uv_mutex_unlock(&observe->sinks_lock);
    return sinks;
}

bool observe_close_sinks(struct sinks *sinks, unsigned wait_ms)
{
    return !sinks || sinks_close(sinks, wait_ms);
}

void observe_settle(struct observe *observe, unsigned wait_ms)
{
    if (observe->store)
        store_settle(observe->store, wait_ms);
}

bool observe_close(struct observe *observe, unsigned wait_ms)
{
    bool ended = !observe->store || store_close(observe->store, wait_ms);
    if (!ended)
        return false;
    snapshots_free(observe->snapshots);
    free(observe->path);
    uv_mutex_destroy(&observe->sinks_lock);
    *observe = (struct observe){.snapshots = NULL};
    return true;
}
