/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/json_out.h"
#include "tests/http/fake_internal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct event {
    char id[64], type[32], target[65];
    uint64_t time_us;
    char *line;
};

static int the_store;
struct store *const fake_store = (struct store *)(void *)&the_store;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the events */
static struct event *events;
static size_t event_count, event_room;

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
    fake_name_of(number % (fake_world.targets > 0 ? fake_world.targets : 1), name);
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
        add_event(event_count, fake_now_us());
        struct store_event event = as_store(event_count - 1);
        http_publish(http, &event, 1);
    }
    (void)pthread_mutex_unlock(&lock);
}

void fake_make_events(void)
{
    for (size_t i = 0; i < fake_world.crashes; ++i)
        add_event(i, fake_started_us - HOUR_US + i);
}

void fake_clear_events(void)
{
    for (size_t i = 0; i < event_count; ++i)
        free(events[i].line);
    free(events);
    events = NULL;
    event_count = event_room = 0;
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
    int64_t serial = (int64_t)number - (int64_t)fake_world.newer; /* those that came later have negative ones */
    number = (size_t)serial;
    unsigned kind = fake_draw(number, 10) < 7 ? 0 : fake_draw(number, 3), verdict = fake_draw(number * 3, 5);
    int64_t ago_us = serial * (int64_t)HOUR_US / (fake_is_storm() ? 2000 : 3);
    uint64_t time_us = serial < 0 ? fake_started_us + (uint64_t)-serial : fake_started_us - (uint64_t)ago_us;
    char time[JSON_TIME_SIZE], end[JSON_TIME_SIZE];
    out_format_time(time_us, time);
    out_format_time(time_us + 42000000, end);
    fake_name_of(number % (fake_world.targets > 0 ? fake_world.targets : 1), name);
    (void)snprintf(crash, 20, "%016zx", number + 1);
    const char *place = fake_is_hostile() ? HOSTILE : codes[kind].module;
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
        crash, name, time, codes[kind].code, fake_is_hostile() ? HOSTILE "_" HOSTILE : codes[kind].name, best[verdict],
        verdict == 4 ? "\"no_symbols\"" : "null", verdict == 2 ? "0xC000007F" : "0x00000000",
        codes[kind].code + strspn(codes[kind].code + 2, "0") + 2, place, place, place, crash, time, crash, end,
        best[verdict], 40000 + fake_draw(number, 9000), fake_draw(number, 40),
        fake_draw(number, 4) == 0 ? "{\"by\":\"alice\",\"time\":\"2026-11-26T07:00:00.000000Z\",\"note\":\"seen\"}"
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
                                          .first_us = fake_started_us - 4 * HOUR_US,
                                          .last_us = fake_started_us,
                                          .verdicts = verdicts});
    return STORE_DONE;
}

enum store_result store_sinks(struct store_reader *reader, store_sink_fn *each, void *user)
{
    (void)reader;
    (void)each(user, &(struct store_sink){.name = "soc", .behind_events = 2, .oldest_us = fake_now_us() - 1500000});
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
    event->time_us = fake_now_us();
    (void)snprintf(line, sizeof line, "{\"event\":\"crash_status\",\"id\":\"%s\",\"phase\":\"shutdown\",%s", event->id,
                   json + 1);
    event->line = strdup(line);
    struct store_event published = as_store(event_count - 1);
    http_publish(http, &published, 1);
    (void)pthread_mutex_unlock(&lock);
}
