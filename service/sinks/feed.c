/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "service/sinks/feed.h"
#include "service/runtime/json_memory.h"
#include "service/runtime/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REJECTED_LOG_MS 60000U
#define FIRST_EVENTS    16U

enum delivered { DELIVERED, STOPPED, REWOUND };

void feed_init(struct feed *feed, const struct feed_env *env, const char *name, uint64_t cursor, uint64_t seed)
{
    *feed = (struct feed){.env = env, .name = name, .at = cursor, .acknowledged = cursor, .random = seed | 1};
}

/* Batches */

static const char *text_of(const json_t *json, const char *name)
{
    return json_string_value(json_object_get(json, name));
}

bool feed_add(struct feed_batch *batch, uint64_t seq, uint64_t time_us, const char *line, size_t length)
{
    if (batch->count == batch->capacity) {
        size_t capacity = batch->capacity > 0 ? batch->capacity * 2 : FIRST_EVENTS;
        struct sink_event *events = realloc(batch->events, capacity * sizeof *events);
        if (!events)
            return false;
        batch->events = events;
        batch->capacity = capacity;
    }
    struct sink_event event = {.seq = seq, .time_us = time_us, .length = length};
    unsigned failures = json_memory_failures();
    event.json = json_loadb(line, length, 0, NULL);
    event.id = text_of(event.json, "id");
    if (!event.id) {
        json_decref(event.json);
        return failures == json_memory_failures();
    }
    event.line = malloc(length + 1);
    if (!event.line) {
        json_decref(event.json);
        return false;
    }
    memcpy(event.line, line, length);
    event.line[length] = '\0';
    event.type = text_of(event.json, "event");
    event.target = text_of(event.json, "target");
    event.crash = text_of(event.json, "crash");
    event.verdict = text_of(event.json, "verdict");
    event.phase = text_of(event.json, "phase");
    batch->events[batch->count++] = event;
    batch->bytes += length;
    return true;
}

static void clear_event(struct sink_event *event)
{
    json_decref(event->json);
    free(event->line);
}

void feed_clear(struct feed_batch *batch)
{
    for (size_t i = 0; i < batch->count; ++i)
        clear_event(&batch->events[i]);
    free(batch->events);
    *batch = (struct feed_batch){.events = NULL};
}

static bool has(const struct config_texts *texts, const char *text)
{
    for (size_t i = 0; i < texts->count; ++i)
        if (text && strcmp(texts->text[i], text) == 0)
            return true;
    return texts->count == 0;
}

bool feed_wants(const struct config_sink *config, const struct sink_event *event)
{
    const json_t *labels = json_object_get(event->json, "labels");
    if (!has(&config->events, event->type) || (event->verdict && !has(&config->verdicts, event->verdict)))
        return false;
    for (size_t i = 0; i < config->labels.count; ++i) {
        const char *wanted = config->labels.text[i], *mark = strchr(wanted, '=');
        char name[CONFIG_LABEL_KEY_SIZE];
        (void)snprintf(name, sizeof name, "%.*s", (int)(mark - wanted), wanted);
        const char *value = text_of(labels, name);
        if (!value || strcmp(value, mark + 1) != 0)
            return false;
    }
    return true;
}

/* Waits */

static uint64_t next_random(struct feed *feed)
{
    feed->random ^= feed->random << 13;
    feed->random ^= feed->random >> 7;
    feed->random ^= feed->random << 17;
    return feed->random;
}

/* Between three quarters and five quarters of `ms`. */
static uint64_t jitter(struct feed *feed, uint64_t ms)
{
    return ms - ms / 4 + next_random(feed) % (ms / 2 + 1);
}

static uint64_t backoff(struct feed *feed)
{
    uint64_t ms = FEED_FIRST_MS << (feed->fails < 9 ? feed->fails : 9);
    uint64_t longest = feed->longest_ms > 0 ? feed->longest_ms : FEED_LAST_MS;
    ++feed->fails;
    return jitter(feed, ms < longest ? ms : longest);
}

static void log_failing(const struct feed *feed)
{
    struct log_line line;
    log_begin(&line, CONFIG_LOG_WARNING, "a sink does not take events; it is tried again, and the store keeps them");
    log_text(&line, "sink", feed->name);
    log_text(&line, "error", feed->error);
    log_end(&line);
}

static void log_working(const struct feed *feed)
{
    struct log_line line;
    log_begin(&line, CONFIG_LOG_NOTICE, "a sink takes events again");
    log_text(&line, "sink", feed->name);
    log_end(&line);
}

static void note_error(struct feed *feed, const char *text, bool is_refusal)
{
    ++feed->errors;
    (void)snprintf(feed->error, sizeof feed->error, "%s", text);
    characters_mend(feed->error);
    if (!is_refusal || feed->given_up >= FEED_POISONED) {
        if (!feed->failing)
            log_failing(feed);
        feed->failing = true;
    }
    feed->env->changed(feed->env->user);
}

static void note_success(struct feed *feed)
{
    feed->fails = 0;
    if (feed->given_up >= FEED_POISONED)
        return;
    if (feed->failing)
        log_working(feed);
    feed->failing = false;
    feed->env->changed(feed->env->user);
}

/* Whether the receiver works, and only refuses what waits. */
static bool is_refusal(struct sink_event *const *events, size_t count, enum sink_outcome outcome)
{
    for (size_t i = 0; i < count; ++i)
        if (events[i]->refusals == 0)
            return false;
    return outcome == SINK_REFUSED || outcome == SINK_PARTLY;
}

/* Waits before the next try. False: the sink has to end. */
static bool wait_again(struct feed *feed, const struct sink_answer *answer, bool is_refusal)
{
    uint64_t ms = answer->outcome == SINK_PAUSE ? jitter(feed, FEED_LAST_MS) : backoff(feed);
    uint64_t after_s = answer->after_s < FEED_AFTER_MAX ? answer->after_s : FEED_AFTER_MAX;
    note_error(feed, answer->text, is_refusal);
    return feed->env->wait(feed->env->user, ms > after_s * 1000 ? ms : after_s * 1000, false);
}

/* Deliveries */

static void give_up(struct feed *feed, struct sink_event *event, const char *text)
{
    struct log_line line;
    uint64_t now_ms = feed->env->now_ms(feed->env->user);
    event->done = true;
    ++feed->rejected;
    ++feed->given_up;
    (void)snprintf(feed->error, sizeof feed->error, "%s", text);
    characters_mend(feed->error);
    feed->env->changed(feed->env->user);
    if (feed->rejected_logged_ms != 0 && now_ms - feed->rejected_logged_ms < REJECTED_LOG_MS)
        return;
    feed->rejected_logged_ms = now_ms > 0 ? now_ms : 1;
    log_begin(&line, CONFIG_LOG_WARNING, "a sink refused an event for good; the others are delivered");
    log_text(&line, "sink", feed->name);
    log_text(&line, "id", event->id);
    log_text(&line, "answer", feed->error);
    log_number(&line, "rejected", feed->rejected);
    log_end(&line);
}

/* Moves events that are not done to the front; returns how many. */
static size_t keep_waiting(struct sink_event **events, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; ++i)
        if (!events[i]->done)
            events[kept++] = events[i];
    return kept;
}

static void set_done(struct feed *feed, struct sink_event **events, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        events[i]->done = true;
    feed->delivered += count;
    feed->given_up = 0;
    note_success(feed);
}

/* Takes each event's own answer. */
static void take_partly(struct feed *feed, struct sink_event **events, size_t count, const char *text)
{
    for (size_t i = 0; i < count; ++i) {
        feed->delivered += events[i]->done;
        feed->given_up = events[i]->done ? 0 : feed->given_up;
        if (!events[i]->done && events[i]->refusals >= FEED_REFUSALS)
            give_up(feed, events[i], text);
    }
}

static enum delivered deliver(struct feed *feed, struct sink_event **events, size_t count)
{
    while ((count = keep_waiting(events, count)) > 0) {
        struct sink_answer answer = {.outcome = SINK_AGAIN};
        feed->env->deliver(feed->env->user, events, count, &answer);
        if (answer.outcome == SINK_DONE) {
            set_done(feed, events, count);
            return DELIVERED;
        }
        if (answer.outcome == SINK_PARTLY) {
            take_partly(feed, events, count, answer.text);
            count = keep_waiting(events, count);
            if (count == 0)
                break;
        } else if (answer.outcome == SINK_REFUSED && count > 1) {
            enum delivered first = deliver(feed, events, count / 2);
            if (first != DELIVERED)
                return first;
            events += count / 2;
            count -= count / 2;
            continue;
        } else if (answer.outcome == SINK_REFUSED && ++events[0]->refusals >= FEED_REFUSALS) {
            give_up(feed, events[0], answer.text);
            break;
        }
        if (!wait_again(feed, &answer, is_refusal(events, count, answer.outcome)))
            return STOPPED;
        if (feed->held_back_ms > 0)
            return REWOUND;
    }
    note_success(feed);
    return DELIVERED;
}

/* Acknowledgements */

/* Acknowledges marks that are old enough. */
static void settle(struct feed *feed)
{
    uint64_t now_ms = feed->env->now_ms(feed->env->user), seq = 0;
    size_t settled = 0;
    while (settled < feed->mark_count && now_ms - feed->marks[settled].sent_ms >= feed->held_back_ms)
        seq = feed->marks[settled++].seq;
    if (settled == 0)
        return;
    feed->mark_count -= settled;
    memmove(feed->marks, feed->marks + settled, feed->mark_count * sizeof feed->marks[0]);
    feed->acknowledged = seq;
    feed->env->acknowledge(feed->env->user, seq);
}

/* Adds a mark; within one second the newer mark replaces the older. */
static void mark(struct feed *feed, uint64_t seq)
{
    uint64_t now_ms = feed->env->now_ms(feed->env->user);
    size_t last = feed->mark_count - 1;
    if (feed->mark_count > 0 && (feed->mark_count == FEED_MARKS || now_ms - feed->marks[last].first_ms < 1000)) {
        feed->marks[last].seq = seq;
        feed->marks[last].sent_ms = now_ms;
    } else {
        feed->marks[feed->mark_count].seq = seq;
        feed->marks[feed->mark_count].first_ms = now_ms;
        feed->marks[feed->mark_count++].sent_ms = now_ms;
    }
}

static void acknowledge(struct feed *feed, uint64_t seq)
{
    feed->at = seq;
    if (feed->held_back_ms > 0) {
        mark(feed, seq);
        settle(feed);
        return;
    }
    feed->acknowledged = seq;
    feed->env->acknowledge(feed->env->user, seq);
}

static enum delivered deliver_batch(struct feed *feed, struct feed_batch *batch)
{
    struct sink_event **events = calloc(batch->count, sizeof(struct sink_event *));
    if (!events)
        return feed->env->wait(feed->env->user, FEED_IDLE_MS, false) ? REWOUND : STOPPED;
    for (size_t i = 0; i < batch->count; ++i)
        events[i] = &batch->events[i];
    enum delivered result = deliver(feed, events, batch->count);
    free(events);
    return result;
}

void feed_go_back(struct feed *feed, uint64_t seq)
{
    feed->at = seq < feed->at ? seq : feed->at;
    feed->acknowledged = seq < feed->acknowledged ? seq : feed->acknowledged;
    feed->mark_count = 0;
}

void feed_lost_connection(struct feed *feed, const char *error)
{
    uint64_t last = feed->mark_count > 0 ? feed->marks[feed->mark_count - 1].seq : 0;
    if (last <= feed->sent_twice)
        return;
    feed->sent_twice = last;
    note_error(feed, error, false);
    feed->at = feed->acknowledged;
    feed->mark_count = 0;
}

bool feed_turn(struct feed *feed)
{
    struct feed_batch batch = {.events = NULL};
    enum delivered result = DELIVERED;
    if (feed->env->read(feed->env->user, feed->at, &batch) == FEED_UNAVAILABLE) {
        feed_clear(&batch);
        return feed->env->wait(feed->env->user, FEED_IDLE_MS, false);
    }
    if (batch.count > 0)
        result = deliver_batch(feed, &batch);
    if (result == DELIVERED && batch.scanned > feed->at)
        acknowledge(feed, batch.scanned);
    else if (result == DELIVERED && feed->held_back_ms > 0)
        settle(feed);
    if (result == REWOUND) {
        feed->at = feed->acknowledged;
        feed->mark_count = 0;
    }
    bool is_idle = batch.scanned == 0;
    feed_clear(&batch);
    if (result == STOPPED)
        return false;
    return !is_idle || feed->env->wait(feed->env->user, FEED_IDLE_MS, true);
}
