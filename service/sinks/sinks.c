/* SPDX-License-Identifier: Apache-2.0 */
#include "service/sinks/sinks.h"
#include "service/platform/yield.h"
#include "service/runtime/log.h"
#include "service/sinks/feed.h"
#include "service/sinks/files.h"
#include "service/store/store_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define READ_ROWS     2000U  /* rows examined for one batch, wanted or not */
#define HELD_BACK_MS  30000U /* of syslog over TCP */
#define CLOSE_LOOK_MS 10U
#define FILES_LOOK_MS 1000U /* at the files of a sink that waits before its next try */

/* Counts of the sink's thread, for other threads. */
struct told {
    uint64_t delivered, errors, rejected, dropped, failing_us, last_error_us;
    char error[SINKS_ERROR_SIZE];
};

struct sink {
    struct sink *next;
    struct sinks *sinks;
    struct config_sink config; /* a copy */
    char collector[CONFIG_NAME_SIZE];
    const struct sink_type *type;
    struct sink_link *link;
    uint64_t stamp; /* of the sink's files, before the last delivery */
    bool failed;    /* the last delivery */
    struct store_reader *reader;
    struct feed feed;
    struct feed_env env;

    uv_thread_t thread;
    uv_mutex_t lock; /* of all below */
    uv_cond_t wakeup;
    bool woken;
    bool asked;        /* to try at once: by a reload */
    bool goes_back;    /* a republish is requested and not done yet */
    uint64_t since_us; /* since 1970 */
    struct told told;
    atomic_bool stop, ended;
};

struct sinks {
    struct store *store; /* constant during the sink's life */
    uv_mutex_t lock;     /* of the list */
    struct sink *first;
    struct sink *leaving; /* sinks told to end; only the configuring thread uses the list */
};

static uint64_t now_us(void)
{
    uv_timeval64_t now = {0, 0};
    (void)uv_gettimeofday(&now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_usec;
}

/* The environment of a feed */

struct reading {
    struct sink *sink;
    struct feed_batch *batch;
    bool good;
};

static bool take_event(void *user, const struct store_event *event)
{
    struct reading *reading = user;
    struct feed_batch *batch = reading->batch;
    const struct sink *sink = reading->sink;
    size_t before = batch->count;
    if (batch->count > 0 && (batch->count == sink->config.batch || batch->bytes + event->length > SINK_BATCH_BYTES))
        return false;
    reading->good = feed_add(batch, event->seq, event->time_us, event->line, event->length);
    if (!reading->good)
        return false;
    if (batch->count > before && !feed_wants(&sink->config, &batch->events[before])) {
        batch->bytes -= batch->events[before].length;
        json_decref(batch->events[before].json);
        free(batch->events[before].line);
        batch->count = before;
    }
    batch->scanned = event->seq;
    return true;
}

static enum feed_read read_batch(void *user, uint64_t after, struct feed_batch *batch)
{
    struct sink *sink = user;
    struct reading reading = {sink, batch, true};
    const struct store_event_query query = {.after_seq = after, .limit = READ_ROWS};
    enum store_result result = store_events(sink->reader, &query, take_event, &reading);
    return result == STORE_DONE && reading.good ? FEED_READ : FEED_UNAVAILABLE;
}

/* NULL: the link cannot be set up. */
static struct sink_link *link_of(struct sink *sink)
{
    if (!sink->link)
        sink->link = sink->type->open(&sink->config, sink->collector, &sink->stop);
    return sink->link;
}

static void deliver(void *user, struct sink_event *const *events, size_t count, struct sink_answer *answer)
{
    struct sink *sink = user;
    sink->stamp = files_stamp(&sink->config);
    if (link_of(sink))
        sink->type->deliver(sink->link, events, count, answer);
    else
        (void)snprintf(answer->text, sizeof answer->text, "it cannot be set up: out of memory, or not in this build");
    sink->failed = answer->outcome != SINK_DONE;
}

static void acknowledge(void *user, uint64_t seq)
{
    const struct sink *sink = user;
    if (!atomic_load(&sink->stop))
        (void)store_sink_ack(sink->sinks->store, sink->config.name, seq);
}

/* Also ticks while a batch is not taken: a collector that cannot deliver is still alive. */
static void tick(struct sink *sink)
{
    if (sink->type->tick && !atomic_load(&sink->stop) && link_of(sink))
        sink->type->tick(sink->link);
}

static void look_for_end(struct sink *sink)
{
    if (sink->link && sink->type->has_ended && sink->type->has_ended(sink->link))
        feed_lost_connection(&sink->feed, "the receiver has closed the connection");
}

/* Returns whether it was woken, or asked, before `until`. */
static bool sleep_until(struct sink *sink, uint64_t until, bool for_events)
{
    bool is_over = false;
    uv_mutex_lock(&sink->lock);
    for (uint64_t now = uv_hrtime(); now < until && !is_over; now = uv_hrtime()) {
        is_over = atomic_load(&sink->stop) || (for_events ? sink->woken : sink->asked);
        if (!is_over)
            (void)uv_cond_timedwait(&sink->wakeup, &sink->lock, until - now);
    }
    sink->woken = sink->asked = false;
    uv_mutex_unlock(&sink->lock);
    return is_over;
}

/* A wait before the next try ends early when a file was changed that the receiver may have disliked. The link is opened
 * anew, so that all of them are read. */
static bool has_new_files(struct sink *sink)
{
    if (!sink->failed || files_stamp(&sink->config) == sink->stamp)
        return false;
    sink->failed = false;
    if (sink->link)
        sink->type->close(sink->link);
    sink->link = NULL;
    return true;
}

static bool wait_for(void *user, uint64_t ms, bool for_events)
{
    struct sink *sink = user;
    uint64_t now = uv_hrtime(), until = now + ms * 1000000;
    bool is_over = false;
    for (; now < until && !is_over; now = uv_hrtime()) {
        uint64_t look = now + (uint64_t)FILES_LOOK_MS * 1000000;
        is_over = sleep_until(sink, look < until ? look : until, for_events) || (!for_events && has_new_files(sink));
    }
    if (!for_events)
        tick(sink);
    return !atomic_load(&sink->stop);
}

static uint64_t feed_now_ms(void *user)
{
    (void)user;
    return uv_hrtime() / 1000000;
}

static void publish(void *user)
{
    struct sink *sink = user;
    const struct feed *feed = &sink->feed;
    uv_mutex_lock(&sink->lock);
    struct told *told = &sink->told;
    if (feed->errors + feed->rejected > told->errors + told->rejected) {
        told->last_error_us = now_us();
        (void)snprintf(told->error, sizeof told->error, "%s", feed->error);
    }
    if (!feed->failing)
        told->failing_us = 0;
    else if (told->failing_us == 0)
        told->failing_us = now_us();
    told->delivered = feed->delivered;
    told->errors = feed->errors;
    told->rejected = feed->rejected;
    uv_mutex_unlock(&sink->lock);
}

/* Going back */

static bool take_going_back(struct sink *sink, uint64_t *since_us)
{
    uv_mutex_lock(&sink->lock);
    bool goes_back = sink->goes_back;
    *since_us = sink->since_us;
    sink->goes_back = false;
    uv_mutex_unlock(&sink->lock);
    return goes_back;
}

static bool ask_back(struct sink *sink, uint64_t since_us)
{
    uv_mutex_lock(&sink->lock);
    sink->since_us = sink->goes_back && sink->since_us < since_us ? sink->since_us : since_us;
    sink->goes_back = sink->woken = true;
    uv_cond_signal(&sink->wakeup);
    uv_mutex_unlock(&sink->lock);
    return true;
}

static bool take_first(void *user, const struct store_event *event)
{
    *(uint64_t *)user = event->seq;
    return false;
}

/* The cursor in the store goes back, too, in the order of acknowledgements: a restart goes on from there. */
static void go_back(struct sink *sink)
{
    uint64_t since_us, first = 0;
    if (!take_going_back(sink, &since_us))
        return;
    const struct store_event_query query = {.since_us = since_us, .limit = 1};
    if (store_events(sink->reader, &query, take_first, &first) != STORE_DONE)
        (void)ask_back(sink, since_us); /* when the store can be read again */
    else if (first > 0 && store_sink_back(sink->sinks->store, sink->config.name, first - 1))
        feed_go_back(&sink->feed, first - 1);
}

/* A sink */

/* Waits for the cursor that the store makes for a new sink. False: the sink has to end. */
static bool find_cursor(struct sink *sink, uint64_t *cursor)
{
    while (store_sink_cursor(sink->reader, sink->config.name, cursor) != STORE_DONE)
        if (!wait_for(sink, FEED_IDLE_MS, false))
            return false;
    return true;
}

static void run(void *user)
{
    struct sink *sink = user;
    uint64_t cursor = 0;
    platform_yield();
    if (find_cursor(sink, &cursor)) {
        feed_init(&sink->feed, &sink->env, sink->config.name, cursor, uv_hrtime());
        bool is_stream = sink->config.type == CONFIG_SINK_SYSLOG && sink->config.transport != CONFIG_TRANSPORT_UDP;
        sink->feed.held_back_ms = is_stream ? HELD_BACK_MS : 0;
        sink->feed.longest_ms = sink->type->longest_ms;
        while (!atomic_load(&sink->stop) && feed_turn(&sink->feed)) {
            go_back(sink);
            tick(sink);
            look_for_end(sink);
        }
    }
    if (sink->link)
        sink->type->close(sink->link);
    store_reader_close(sink->reader);
    atomic_store(&sink->ended, true);
}

static void free_sink(struct sink *sink)
{
    uv_cond_destroy(&sink->wakeup);
    uv_mutex_destroy(&sink->lock);
    config_clear_sink(&sink->config);
    free(sink);
}

static const struct sink_type *type_of(const struct config_sink *config)
{
    static const struct sink_type *const types[] = {
        [CONFIG_SINK_HTTP] = &sink_http,   [CONFIG_SINK_SYSLOG] = &sink_syslog, [CONFIG_SINK_JOURNAL] = &sink_journal,
        [CONFIG_SINK_KAFKA] = &sink_kafka, [CONFIG_SINK_NATS] = &sink_nats,
    };
    return types[config->type];
}

static struct sink *new_sink(struct sinks *sinks, const struct config_sink *config, const char *collector)
{
    struct sink *sink = calloc(1, sizeof *sink);
    if (!sink || !config_copy_sink(config, &sink->config)) {
        free(sink);
        return NULL;
    }
    if (uv_mutex_init(&sink->lock) != 0 || uv_cond_init(&sink->wakeup) != 0)
        abort(); /* both fail only when memory is out, on all known systems */
    sink->sinks = sinks;
    sink->type = type_of(config);
    sink->env = (struct feed_env){sink, read_batch, deliver, acknowledge, wait_for, feed_now_ms, publish};
    (void)snprintf(sink->collector, sizeof sink->collector, "%s", collector);
    return sink;
}

static bool start(struct sinks *sinks, const struct config_sink *config, const char *collector)
{
    struct sink *sink = new_sink(sinks, config, collector);
    if (!sink)
        return false;
    sink->reader = store_reader_open(sinks->store);
    if (!sink->reader || uv_thread_create(&sink->thread, run, sink) != 0) {
        if (sink->reader)
            store_reader_close(sink->reader);
        free_sink(sink);
        return false;
    }
    uv_mutex_lock(&sinks->lock);
    sink->next = sinks->first;
    sinks->first = sink;
    uv_mutex_unlock(&sinks->lock);
    return true;
}

enum told_what { TOLD_EVENTS, TOLD_RELOAD, TOLD_STOP };

static void tell(struct sink *sink, enum told_what what)
{
    uv_mutex_lock(&sink->lock);
    sink->woken = true;
    sink->asked = sink->asked || what == TOLD_RELOAD;
    if (what == TOLD_STOP)
        atomic_store(&sink->stop, true);
    uv_cond_signal(&sink->wakeup);
    uv_mutex_unlock(&sink->lock);
}

/* Frees sinks that have ended. */
static void reap(struct sinks *sinks)
{
    for (struct sink **at = &sinks->leaving; *at;) {
        struct sink *sink = *at;
        if (!atomic_load(&sink->ended)) {
            at = &sink->next;
            continue;
        }
        *at = sink->next;
        (void)uv_thread_join(&sink->thread);
        free_sink(sink);
    }
}

/* All */

struct sinks *sinks_open(void)
{
    struct sinks *sinks = calloc(1, sizeof *sinks);
    if (sinks && uv_mutex_init(&sinks->lock) != 0) {
        free(sinks);
        return NULL;
    }
    return sinks;
}

static const struct config_sink *find_config(const struct kdnetd_config *config, const struct sink *sink)
{
    for (size_t i = 0; i < config->sink_count; ++i)
        if (config_same_sink(&config->sinks[i], &sink->config) && strcmp(config->collector, sink->collector) == 0)
            return &config->sinks[i];
    return NULL;
}

/* Tells sinks to end that are not configured as they run, and the others to try again. */
static void end_others(struct sinks *sinks, const struct kdnetd_config *config)
{
    uv_mutex_lock(&sinks->lock);
    for (struct sink **at = &sinks->first; *at;) {
        struct sink *sink = *at;
        if (config && find_config(config, sink)) {
            tell(sink, TOLD_RELOAD); /* whoever reloads may have mended what it waits for */
            at = &sink->next;
            continue;
        }
        *at = sink->next;
        sink->next = sinks->leaving;
        sinks->leaving = sink;
        tell(sink, TOLD_STOP);
    }
    uv_mutex_unlock(&sinks->lock);
}

static bool runs(const struct sinks *sinks, const struct config_sink *config)
{
    for (const struct sink *sink = sinks->first; sink; sink = sink->next)
        if (strcmp(sink->config.name, config->name) == 0)
            return true;
    return false;
}

bool sinks_configure(struct sinks *sinks, struct store *store, const struct kdnetd_config *config)
{
    bool good = true;
    sinks->store = store;
    end_others(sinks, config);
    reap(sinks);
    for (size_t i = 0; i < config->sink_count; ++i) {
        struct log_line line;
        if (runs(sinks, &config->sinks[i]) || start(sinks, &config->sinks[i], config->collector))
            continue;
        good = false;
        log_begin(&line, CONFIG_LOG_ERROR, "a sink cannot be started: out of memory or threads; reload to try again");
        log_text(&line, "sink", config->sinks[i].name);
        log_end(&line);
    }
    return good;
}

void sinks_wake(struct sinks *sinks)
{
    uv_mutex_lock(&sinks->lock);
    for (struct sink *sink = sinks->first; sink; sink = sink->next)
        tell(sink, TOLD_EVENTS);
    uv_mutex_unlock(&sinks->lock);
}

void sinks_count_dropped(struct sinks *sinks, const char *name, uint64_t count)
{
    uv_mutex_lock(&sinks->lock);
    for (struct sink *sink = sinks->first; sink; sink = sink->next) {
        uv_mutex_lock(&sink->lock);
        sink->told.dropped += strcmp(sink->config.name, name) == 0 ? count : 0;
        uv_mutex_unlock(&sink->lock);
    }
    uv_mutex_unlock(&sinks->lock);
}

bool sinks_republish(struct sinks *sinks, const char *name, uint64_t since_us)
{
    bool found = false;
    uv_mutex_lock(&sinks->lock);
    for (struct sink *sink = sinks->first; sink && !found; sink = sink->next)
        found = strcmp(sink->config.name, name) == 0 && ask_back(sink, since_us);
    uv_mutex_unlock(&sinks->lock);
    return found;
}

void sinks_each(struct sinks *sinks, void (*each)(void *user, const struct sinks_status *status), void *user)
{
    static const char *const types[] = {"http", "syslog", "journal", "kafka", "nats"};
    uv_mutex_lock(&sinks->lock);
    for (struct sink *sink = sinks->first; sink; sink = sink->next) {
        struct sinks_status status = {.name = sink->config.name, .type = types[sink->config.type]};
        uv_mutex_lock(&sink->lock);
        const struct told *told = &sink->told;
        status.delivered = told->delivered;
        status.errors = told->errors;
        status.rejected = told->rejected;
        status.dropped = told->dropped;
        status.failing_us = told->failing_us;
        status.last_error_us = told->last_error_us;
        memcpy(status.last_error, told->error, sizeof status.last_error);
        uv_mutex_unlock(&sink->lock);
        each(user, &status);
    }
    uv_mutex_unlock(&sinks->lock);
}

bool sinks_close(struct sinks *sinks, unsigned wait_ms)
{
    end_others(sinks, NULL);
    uint64_t until = uv_hrtime() + (uint64_t)wait_ms * 1000000;
    for (reap(sinks); sinks->leaving && uv_hrtime() < until; reap(sinks))
        uv_sleep(CLOSE_LOOK_MS);
    if (sinks->leaving)
        return false;
    uv_mutex_destroy(&sinks->lock);
    free(sinks);
    return true;
}
