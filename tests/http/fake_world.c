/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/http/fake_world.h"
#include "service/http/json_out.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define HOUR_US UINT64_C(3600000000)
/* Of use in JSON as it is. */
#define HOSTILE "<img src=x onerror=alert(1)>"

struct event {
    char id[64], type[32], target[65];
    uint64_t time_us;
    char *line;
};

struct fake_world fake_world = {.targets = 12, .crashes = 30, .ready = true, .scene = "calm"};
static int the_store;
struct store *const fake_store = (struct store *)(void *)&the_store;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the events */
static struct event *events;
static size_t event_count, event_room;
static uint64_t started_us;
static char stuck[32];

static uint64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Machines. */

static bool is_storm(void)
{
    return strcmp(fake_world.scene, "storm") == 0;
}

/* Every state is there, and texts of machines try to be markup. */
static bool is_hostile(void)
{
    return strcmp(fake_world.scene, "hostile") == 0;
}

static unsigned draw(size_t number, unsigned sides)
{
    uint64_t x = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x ^= x >> 29;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    return (unsigned)((x >> 33) % sides);
}

static enum http_state state_of(size_t number)
{
    unsigned roll = draw(number, 1000);
    if (number == 0)
        return HTTP_STATE_HELD;
    if (is_hostile() && number < HTTP_STATES)
        return (enum http_state)number == HTTP_STATE_HELD ? HTTP_STATE_NEVER_SEEN : (enum http_state)number;
    if (is_storm() && roll < 300)
        return roll < 40 ? HTTP_STATE_HALTED : roll < 220 ? HTTP_STATE_DUMPING : HTTP_STATE_REBOOTING;
    return roll < 2    ? HTTP_STATE_HELD
           : roll < 4  ? HTTP_STATE_DUMPING
           : roll < 12 ? HTTP_STATE_LOST
           : roll < 30 ? HTTP_STATE_NEVER_SEEN
                       : HTTP_STATE_CONNECTED;
}

static void name_of(size_t number, char out[static 32])
{
    static const char *const roles[] = {"db", "file", "hv", "mail", "web"};
    size_t each = fake_world.targets / 5 + 1;
    (void)snprintf(out, 32, "%s-%06zu", roles[number / each % 5], number % each);
    if (fake_world.targets < 1000)
        (void)snprintf(out, 32, "%s-%02zu", roles[number / each % 5], number % each + 1);
}

struct made {
    char name[32], address[48], labels[96], crash[20], boot[20];
    struct http_target target;
};

static void make_target(size_t number, struct made *out)
{
    name_of(number, out->name);
    enum http_state state = state_of(number);
    (void)snprintf(out->address, sizeof out->address, "10.%zu.%zu.%zu:51111", number >> 16, (number >> 8) & 255,
                   number & 255);
    (void)snprintf(out->labels, sizeof out->labels, "{\"rack\":\"b%u\",\"site\":\"%s\"}", draw(number, 40),
                   is_hostile()      ? HOSTILE
                   : draw(number, 2) ? "north"
                                     : "south");
    (void)snprintf(out->crash, sizeof out->crash, "%016zx", number + 1);
    (void)snprintf(out->boot, sizeof out->boot, "%016zx", number * 7919 + 1);
    bool known = state != HTTP_STATE_NEVER_SEEN;
    bool crashed = known && (state != HTTP_STATE_CONNECTED || number < fake_world.crashes);
    out->target = (struct http_target){
        .name = out->name,
        .state = state,
        .since_us = known ? started_us - draw(number, 500) * HOUR_US / 10 : 0,
        .last_seen_us = known ? now_us() - draw(number, 3000) * 1000U : 0,
        .address = known ? out->address : NULL,
        .version = known ? 5 : 0,
        .boot = known ? out->boot : NULL,
        .session = known ? out->boot : NULL,
        .kernel = known ? "{\"build_lab\":\"26100.1.amd64fre.ge_release.240331-1435\",\"machine\":\"x64\",\"pdb\":null}"
                        : NULL,
        .listener = "0.0.0.0:50000",
        .worker = known ? (int)(number % 2) : -1,
        .crash = crashed ? out->crash : NULL,
        .crash_us = crashed ? started_us - number * HOUR_US / 7 : 0,
        .verdict = crashed ? (draw(number, 8) == 0 ? "failed" : "written") : NULL,
        .labels = out->labels};
}

static bool has_text(const char *in, const char *text)
{
    return in && strcasestr(in, text);
}

static bool matches(const struct http_target_query *query, const struct http_target *target)
{
    char label[200];
    if (query->name && strcmp(query->name, target->name) != 0)
        return false;
    if (query->states && !(query->states & 1U << target->state))
        return false;
    if (query->substring && !has_text(target->name, query->substring) && !has_text(target->address, query->substring) &&
        !has_text(target->labels, query->substring))
        return false;
    for (size_t i = 0; i < query->label_count; ++i) {
        (void)snprintf(label, sizeof label, "\"%s\":\"%s\"", query->labels[i].key, query->labels[i].value);
        if (!strstr(target->labels, label))
            return false;
    }
    return true;
}

/* Made once: to print 100,000 of them takes ten times as long as the real server takes to find one. */
static struct made *made_targets;

static void make_targets(void)
{
    made_targets = calloc(fake_world.targets + 1, sizeof *made_targets);
    if (!made_targets)
        abort();
    for (size_t i = 0; i < fake_world.targets; ++i)
        make_target(i, &made_targets[i]);
}

static bool tell_target(size_t number, http_target_fn *each, void *each_user)
{
    struct http_target target = made_targets[number].target;
    if (target.last_seen_us != 0)
        target.last_seen_us = now_us() - draw(number, 3000) * 1000U;
    return each(each_user, &target);
}

static size_t fake_targets(void *user, const struct http_target_query *query, http_target_fn *each, void *each_user)
{
    size_t total = 0, told = 0;
    bool more = each != NULL;
    (void)user;
    for (size_t i = 0; i < fake_world.targets; ++i) {
        const struct made *made = &made_targets[i];
        if (!matches(query, &made->target))
            continue;
        ++total;
        if (more && told < query->limit && (!query->after || strcmp(made->name, query->after) > 0)) {
            ++told;
            more = tell_target(i, each, each_user);
        }
    }
    return total;
}

/* The rest of the server. */

static void fake_status(void *user, struct http_status *out)
{
    (void)user;
    out->version = "0.0.0-fake";
    (void)snprintf(out->collector, sizeof out->collector, "fake");
    out->started_us = started_us;
    out->workers = 2;
    out->ready = fake_world.ready;
    (void)snprintf(out->not_ready, sizeof out->not_ready, "%s", fake_world.ready ? "" : "kdnetd is draining");
    out->listener_count = 1;
    (void)snprintf(out->listeners[0].address, sizeof out->listeners[0].address, "0.0.0.0:50000");
    out->listeners[0].open = true;
    out->listeners[0].heard_us = now_us();
    out->listeners[0].received = 12345;
    for (size_t i = 0; i < fake_world.targets; ++i)
        ++out->targets[state_of(i)];
    (void)snprintf(out->configuration, sizeof out->configuration, "/etc/kdnetd/kdnetd.yaml");
    out->read_us = started_us;
    if (!is_storm())
        return;
    out->degraded_count = 1;
    (void)snprintf(out->degraded[0].what, sizeof out->degraded[0].what, "results");
    (void)snprintf(out->degraded[0].name, sizeof out->degraded[0].name, "/var/log/kdnetd/events.json");
    (void)snprintf(out->degraded[0].why, sizeof out->degraded[0].why, "the disk is full; results wait in memory");
    out->degraded[0].since_us = started_us - HOUR_US / 20;
}

static void fake_metrics(void *user, struct http_metrics *out)
{
    static const char *const phases[] = {"bugcheck_first", "bugcheck_second", "shutdown", "break", "boot"};
    static const char *const verdicts[] = {"written", "not_started", "failed", "unknown"};
    static const char *const breaks[] = {"bugcheck_first", "bugcheck_second", "shutdown", "break",
                                         "exception",      "load_symbols",    "prompt"};
    (void)user;
    memcpy(out->phase_names, phases, sizeof phases);
    memcpy(out->verdict_names, verdicts, sizeof verdicts);
    memcpy(out->break_names, breaks, sizeof breaks);
    out->crashes = fake_world.crashes;
    out->crash_status[0][0] = 3;
    out->crash_status[2][2] = fake_world.newer; /* shutdown, failed */
    out->halted.bucket[6] = 5;
    out->halted.count = 5;
    out->halted.sum_us = 40000;
    out->loop_count = 1;
    (void)snprintf(out->loops[0].name, sizeof out->loops[0].name, "worker-0");
}

static void fake_counters(void *user, http_counter_fn *each, void *each_user)
{
    (void)user;
    each(each_user, &(struct http_counter){.name = "keys_tried", .number = 17});
}

static const char *fake_stuck(void *user)
{
    (void)user;
    return stuck[0] != '\0' ? stuck : NULL;
}

void fake_set_stuck(const char *name)
{
    (void)snprintf(stuck, sizeof stuck, "%s", strcmp(name, "none") == 0 ? "" : name);
}

static size_t fake_unknown(void *user, http_unknown_fn *each, void *each_user)
{
    (void)user;
    (void)each(each_user, &(struct http_unknown){.address = "192.0.2.9",
                                                 .first_us = started_us,
                                                 .last_us = started_us,
                                                 .count = 3,
                                                 .version = 5,
                                                 .hint = "a machine pokes with a key that no target has: <b>\"x\"</b>",
                                                 .remedy = "kdnetctl keygen"});
    return 1;
}

static void fake_act(void *user, const struct http_act *act,
                     void (*done)(void *done_user, const struct http_acted *acted), void *done_user)
{
    struct http_acted acted = {.outcome = HTTP_ACTED, .id = "fake-0000000000000000-1"};
    struct http_target_query query = {.name = act->target};
    (void)user;
    if (act->target && fake_targets(NULL, &query, NULL, NULL) == 0) {
        acted.outcome = HTTP_NO_SUCH_TARGET;
    } else if (act->action == HTTP_ACTION_RELEASE && strcmp(act->target, "db-01") != 0) {
        acted.outcome = HTTP_WRONG_STATE;
        acted.state = "connected";
        acted.detail = "it is not held; only a held machine is released";
    } else if (act->action == HTTP_ACTION_READ && act->break_in) {
        acted.outcome = HTTP_FORBIDDEN;
        acted.detail = "set break_in: allowed";
    } else if (act->action == HTTP_ACTION_TAKE_BACK) {
        acted.outcome = HTTP_TOO_OFTEN;
        acted.retry_s = 42;
    } else if (act->action == HTTP_ACTION_RELOAD) {
        acted.outcome = HTTP_CONFIGURATION;
        acted.errors = "[{\"file\":\"kdnetd.yaml\",\"line\":3,\"field\":\"listen\",\"detail\":\"is no address\"}]";
    } else if (act->action == HTTP_ACTION_DRAIN) {
        acted.draining = true;
    }
    done(done_user, &acted);
}

static void fake_sinks(void *user, http_sink_fn *each, void *each_user)
{
    (void)user;
    each(each_user, &(struct http_sink){.name = "soc",
                                        .type = "http",
                                        .last_error = "503 Service Unavailable",
                                        .last_error_us = 1795692645000000,
                                        .errors = 3,
                                        .rejected = 2,
                                        .dropped = 1});
}

const struct http_ops fake_ops = {.status = fake_status,
                                  .metrics = fake_metrics,
                                  .counters = fake_counters,
                                  .sinks = fake_sinks,
                                  .stuck = fake_stuck,
                                  .targets = fake_targets,
                                  .unknown = fake_unknown,
                                  .act = fake_act};

/* Events. */

static struct event *new_event(void)
{
    if (event_count == event_room) {
        event_room = event_room * 2 + 64;
        events = realloc(events, event_room * sizeof *events);
    }
    return &events[event_count++];
}

static void add_event(size_t number, uint64_t time_us)
{
    char name[32], time[JSON_TIME_SIZE], line[1024];
    static const char *const types[] = {"connected", "break_in", "crash_status", "released"};
    struct event *event = new_event();
    name_of(number % (fake_world.targets > 0 ? fake_world.targets : 1), name);
    out_format_time(time_us, time);
    (void)snprintf(event->id, sizeof event->id, "fake-%016zx-%zu", number, event_count);
    (void)snprintf(event->type, sizeof event->type, "%s", types[event_count % 4]);
    (void)snprintf(event->target, sizeof event->target, "%s", name);
    event->time_us = time_us;
    (void)snprintf(
        line, sizeof line,
        "{\"time\":\"%s\",\"event\":\"%s\",\"id\":\"%s\",\"collector\":\"fake\",\"target\":\"%s\",\"address\":null,"
        "\"session\":null,\"boot\":null,\"crash\":null,\"labels\":{},\"text\":\"<script>alert(1)</script>\"}",
        time, event->type, event->id, name);
    event->line = strdup(line);
}

static struct store_event as_store(size_t i)
{
    const struct event *event = &events[i];
    return (struct store_event){.seq = i + 1,
                                .time_us = event->time_us,
                                .id = event->id,
                                .type = event->type,
                                .target = event->target,
                                .line = event->line,
                                .length = strlen(event->line)};
}

void fake_publish(struct http *http, size_t count)
{
    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < count; ++i) {
        add_event(event_count, now_us());
        struct store_event event = as_store(event_count - 1);
        http_publish(http, &event, 1);
    }
    (void)pthread_mutex_unlock(&lock);
}

void fake_make(void)
{
    started_us = now_us();
    make_targets();
    for (size_t i = 0; i < fake_world.crashes; ++i)
        add_event(i, started_us - HOUR_US + i);
}

void fake_clear(void)
{
    for (size_t i = 0; i < event_count; ++i)
        free(events[i].line);
    free(events);
    free(made_targets);
}

/* The store. */

struct store_reader *store_reader_open(struct store *store)
{
    return (struct store_reader *)(void *)store;
}

void store_reader_close(struct store_reader *reader)
{
    (void)reader;
}

void store_status(struct store *store, struct store_status *out)
{
    (void)store;
    *out = (struct store_status){
        .state = STORE_OK, .path = "/var/lib/kdnetd/kdnetd.db", .events = event_count, .bytes = 4096};
}

static bool is_of(const struct store_texts *texts, const char *text)
{
    for (size_t i = 0; i < texts->count; ++i)
        if (strcmp(texts->text[i], text) == 0)
            return true;
    return texts->count == 0;
}

enum store_result store_event_seq(struct store_reader *reader, const char *id, uint64_t *seq)
{
    enum store_result result = STORE_GONE;
    (void)reader;
    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < event_count && result == STORE_GONE; ++i)
        if (strcmp(events[i].id, id) == 0) {
            *seq = i + 1;
            result = STORE_DONE;
        }
    (void)pthread_mutex_unlock(&lock);
    return result;
}

enum store_result store_event_bounds(struct store_reader *reader, struct store_bounds *out)
{
    (void)reader;
    *out = (struct store_bounds){.oldest_seq = event_count > 0, .newest_seq = event_count};
    (void)pthread_mutex_lock(&lock);
    if (event_count > 0) {
        (void)snprintf(out->oldest, sizeof out->oldest, "%s", events[0].id);
        (void)snprintf(out->newest, sizeof out->newest, "%s", events[event_count - 1].id);
    }
    (void)pthread_mutex_unlock(&lock);
    return STORE_DONE;
}

enum store_result store_events(struct store_reader *reader, const struct store_event_query *query, store_event_fn *each,
                               void *user)
{
    uint64_t after = query->after_seq, told = 0;
    if (query->after_id && store_event_seq(reader, query->after_id, &after) != STORE_DONE)
        return STORE_GONE;
    (void)pthread_mutex_lock(&lock);
    if (query->tail > 0 && query->tail < event_count)
        after = event_count - query->tail;
    for (size_t i = (size_t)after; i < event_count && (query->limit == 0 || told < query->limit); ++i) {
        struct store_event event = as_store(i);
        if (!is_of(&query->types, event.type) || !is_of(&query->targets, event.target))
            continue;
        ++told;
        if (!each(user, &event))
            break;
    }
    (void)pthread_mutex_unlock(&lock);
    return STORE_DONE;
}

static const char *const best[] = {"written", "written", "failed", "not_started", "unknown"};

static size_t make_crash(size_t number, struct store_crash *out, char json[static 3000], char crash[static 20],
                         char name[static 32])
{
    static const struct {
        const char *code, *name, *module;
    } codes[] = {{"0x000000D1", "DRIVER_IRQL_NOT_LESS_OR_EQUAL", "examplenic.sys+0x1234"},
                 {"0x0000003B", "SYSTEM_SERVICE_EXCEPTION", "win32kfull.sys+0x9a10"},
                 {"0x00000133", "DPC_WATCHDOG_VIOLATION", "storport.sys+0x77f0"}};
    size_t serial = number - fake_world.newer; /* those that came later have negative ones */
    number = serial;
    unsigned kind = draw(number, 10) < 7 ? 0 : draw(number, 3), verdict = draw(number * 3, 5);
    int64_t ago_us = (int64_t)serial * (int64_t)HOUR_US / (is_storm() ? 2000 : 3);
    uint64_t time_us = (int64_t)serial < 0 ? started_us - serial : started_us - (uint64_t)ago_us;
    char time[JSON_TIME_SIZE], end[JSON_TIME_SIZE];
    out_format_time(time_us, time);
    out_format_time(time_us + 42000000, end);
    name_of(number % (fake_world.targets > 0 ? fake_world.targets : 1), name);
    (void)snprintf(crash, 20, "%016zx", number + 1);
    const char *place = is_hostile() ? HOSTILE : codes[kind].module;
    int length = snprintf(
        json, 3000,
        "{\"crash\":\"%s\",\"target\":\"%s\",\"time\":\"%s\",\"bugcheck\":{\"code\":\"%s\",\"name\":\"%s\","
        "\"parameters\":["
        "\"0xFFFFBEEB8DA1658E\",\"0x0000000000000002\",\"0x0000000000000000\",\"0xFFFFF800EE42C90B\"],\"from\":"
        "\"memory\"},"
        "\"verdict\":\"%s\",\"reason\":%s,\"status\":\"%s\",\"assessment\":null,\"bucket\":\"%s "
        "%s@5F3A1B2C\",\"cause\":{\"place\":\"%s\"},"
        "\"stack\":[\"ntoskrnl.exe!KiPageFault+0x42e\",\"%s\"],\"phases\":["
        "{\"id\":\"%s-a\",\"time\":\"%s\",\"phase\":\"bugcheck_first\",\"verdict\":\"not_started\",\"status\":"
        "\"0xFFFFFFFF\",\"reason\":null,"
        "\"collector\":\"fake\",\"read_ms\":3.1,\"halted_ms\":4.4},{\"id\":\"%s-b\",\"time\":\"%s\",\"phase\":"
        "\"shutdown\",\"verdict\":\"%s\","
        "\"status\":\"0x00000000\",\"reason\":null,\"collector\":\"fake\",\"read_ms\":2.0,\"halted_ms\":2.5}],\"dump_"
        "ms\":%u,\"halted_ms\":6.9,"
        "\"kernel\":{\"build_lab\":\"26100.1.amd64fre.ge_release.240331-1435\",\"machine\":\"x64\",\"pdb\":null},"
        "\"evidence\":"
        "{\"CrashdumpDumpType\":\"0x00000007\",\"IopFinalCrashDumpStatus\":\"0x00000000\"},\"labels\":{\"rack\":\"b%"
        "u\"},\"acknowledged\":%s}",
        crash, name, time, codes[kind].code, is_hostile() ? HOSTILE "_" HOSTILE : codes[kind].name, best[verdict],
        verdict == 4 ? "\"no_symbols\"" : "null", verdict == 2 ? "0xC000007F" : "0x00000000",
        codes[kind].code + strspn(codes[kind].code + 2, "0") + 2, place, place, place, crash, time, crash, end,
        best[verdict], 40000 + draw(number, 9000), draw(number, 40),
        draw(number, 4) == 0 ? "{\"by\":\"alice\",\"time\":\"2026-11-26T07:00:00.000000Z\",\"note\":\"seen\"}"
                             : "null");
    *out = (struct store_crash){.crash = crash,
                                .time_us = time_us,
                                .target = name,
                                .verdict = best[verdict],
                                .json = json,
                                .length = (size_t)length};
    return kind;
}

enum store_result store_crashes(struct store_reader *reader, const struct store_crash_query *query,
                                store_crash_fn *each, void *user, uint64_t *total)
{
    static const char *const codes[] = {"0x000000D1", "0x0000003B", "0x00000133"};
    uint64_t count = 0, told = 0;
    bool more = true;
    (void)reader;
    for (size_t i = 0; i < fake_world.crashes; ++i) {
        struct store_crash crash;
        char json[3000], id[20], name[32];
        size_t kind = make_crash(i, &crash, json, id, name);
        if ((query->crash && strcmp(query->crash, id) != 0) || !is_of(&query->verdicts, crash.verdict) ||
            !is_of(&query->targets, name) || !is_of(&query->codes, codes[kind]) ||
            (query->since_us && crash.time_us < query->since_us) ||
            (query->until_us && crash.time_us >= query->until_us))
            continue;
        ++count;
        bool before = query->before_us == 0 || crash.time_us < query->before_us;
        if (more && before && (query->limit == 0 || told < query->limit)) {
            ++told;
            more = each(user, &crash);
        }
    }
    if (total)
        *total = count;
    return query->crash && count == 0 ? STORE_MISSING : STORE_DONE;
}

enum store_result store_buckets(struct store_reader *reader, uint64_t since_us, uint64_t limit, store_bucket_fn *each,
                                void *user)
{
    size_t all = fake_world.crashes, written = all * 6 / 10, failed = all / 10, not_started = all * 4 / 30;
    char verdicts[128];
    (void)reader, (void)since_us, (void)limit;
    (void)snprintf(verdicts, sizeof verdicts, "{\"written\":%zu,\"not_started\":%zu,\"failed\":%zu,\"unknown\":%zu}",
                   written, not_started, failed, all - written - failed - not_started);
    if (fake_world.crashes > 0)
        (void)each(user,
                   &(struct store_bucket){.bucket = "D1 examplenic.sys+0x1234@5F3A1B2C",
                                          .count = fake_world.crashes,
                                          .machines = fake_world.crashes < fake_world.targets ? fake_world.crashes
                                                                                              : fake_world.targets,
                                          .first_us = started_us - 4 * HOUR_US,
                                          .last_us = started_us,
                                          .verdicts = verdicts});
    return STORE_DONE;
}

enum store_result store_sinks(struct store_reader *reader, store_sink_fn *each, void *user)
{
    (void)reader;
    (void)each(user, &(struct store_sink){.name = "soc", .behind_events = 2, .oldest_us = now_us() - 1500000});
    return STORE_DONE;
}

/* A machine crashes: the newest crash, and its event, which says of it what its row says. */
void fake_crash(struct http *http)
{
    struct store_crash crash;
    char json[3000], id[20], name[32], line[3200];
    (void)pthread_mutex_lock(&lock);
    ++fake_world.newer;
    ++fake_world.crashes;
    (void)make_crash(0, &crash, json, id, name);
    struct event *event = new_event();
    (void)snprintf(event->id, sizeof event->id, "%s-shutdown-%s", id, crash.verdict);
    (void)snprintf(event->type, sizeof event->type, "crash_status");
    (void)snprintf(event->target, sizeof event->target, "%s", name);
    event->time_us = now_us();
    (void)snprintf(line, sizeof line, "{\"event\":\"crash_status\",\"id\":\"%s\",\"phase\":\"shutdown\",%s", event->id,
                   json + 1);
    event->line = strdup(line);
    struct store_event published = as_store(event_count - 1);
    http_publish(http, &published, 1);
    (void)pthread_mutex_unlock(&lock);
}
