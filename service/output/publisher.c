/* SPDX-License-Identifier: Apache-2.0 */
#include "service/output/publisher.h"
#include "kdnet/base/hash.h"

#include <jansson.h>
#include <stdlib.h>

void publisher_init(struct publisher *publisher, struct event_log *log)
{
    *publisher = (struct publisher){.log = log};
}

bool publisher_join(struct publisher *publisher, publisher_sink_fn *take, void *user)
{
    if (publisher->sink_count == PUBLISHER_SINKS)
        return false;
    publisher->sinks[publisher->sink_count].take = take;
    publisher->sinks[publisher->sink_count++].user = user;
    return true;
}

bool publisher_is_wanted(const struct publisher *publisher)
{
    return publisher->sink_count > 0 || event_log_is_wanted(publisher->log);
}

static enum event_worth worth_of(const struct kdnet_event *event)
{
    switch (event->type) {
    case KDNET_EVENT_CRASH_STATUS:
        return event->u.crash_status.conclusion.verdict == KDNET_VERDICT_UNKNOWN ? EVENT_WORTH_STATUS
                                                                                 : EVENT_WORTH_VERDICT;
    case KDNET_EVENT_BUGCHECK:
    case KDNET_EVENT_BREAK_IN:
    case KDNET_EVENT_RELEASED:
    case KDNET_EVENT_HELD:
    case KDNET_EVENT_LOST:
    case KDNET_EVENT_BREAK_STORM:
    case KDNET_EVENT_NO_LAST_BREAK:
        return EVENT_WORTH_BREAK;
    case KDNET_EVENT_PRINT:
        return EVENT_WORTH_PRINT;
    default:
        return EVENT_WORTH_CONNECTION;
    }
}

/* Identifies the machine to the event log, which shares its room among machines: a hash of the target's name. 0: no
 * target. */
static uint64_t source_of(const char *name)
{
    return name ? kdnet_hash_text(KDNET_HASH_START, name) : 0;
}

/* Takes over `text`, the event's line. NULL: there was no memory for the line, which the event log counts. */
static uint64_t pass(struct publisher *publisher, struct published_event *event, char *text, size_t length)
{
    event->line = text;
    event->length = length;
    for (size_t i = 0; text && i < publisher->sink_count; ++i)
        publisher->sinks[i].take(publisher->sinks[i].user, event);
    if (event_log_is_wanted(publisher->log))
        return event_log_add(publisher->log, text, length, event->worth, source_of(event->target));
    free(text);
    return 0;
}

uint64_t publisher_event(struct publisher *publisher, const struct event_json_subject *subject,
                         const struct kdnet_event *event)
{
    char id[IDENTITY_SIZE], crash[IDENTITY_NAME_SIZE];
    size_t length = 0;
    if (!publisher_is_wanted(publisher))
        return 0;
    identity_of_event(subject->collector, event, id);
    if (event->of.crash_known)
        identity_name(event->of.crash, crash);
    struct published_event published = {.id = id,
                                        .time_us = subject->time_us,
                                        .type = event_json_event_name(event->type),
                                        .worth = worth_of(event),
                                        .target = subject->target,
                                        .crash = event->of.crash_known ? crash : NULL,
                                        .labels = subject->labels,
                                        .event = event};
    char *text = event_json_event(subject, event, &length);
    return pass(publisher, &published, text, length);
}

uint64_t publisher_removed(struct publisher *publisher, struct event_json_subject *subject)
{
    char id[IDENTITY_SIZE];
    size_t length = 0;
    if (!publisher_is_wanted(publisher))
        return 0;
    subject->number = identity_number(&publisher->id_clock, subject->time_us);
    identity_of_none(subject->collector, subject->number, id);
    struct published_event published = {.id = id,
                                        .time_us = subject->time_us,
                                        .type = "removed",
                                        .worth = EVENT_WORTH_CONNECTION,
                                        .target = subject->target,
                                        .labels = subject->labels};
    char *text = event_json_removed(subject, &length);
    return pass(publisher, &published, text, length);
}

uint64_t publisher_unknown(struct publisher *publisher, struct event_json_unknown *unknown, const char *configured,
                           const char *hint)
{
    char id[IDENTITY_SIZE];
    size_t length = 0;
    if (!publisher_is_wanted(publisher))
        return 0;
    unknown->number = identity_number(&publisher->id_clock, unknown->time_us);
    identity_of_none(unknown->collector, unknown->number, id);
    struct published_event published = {
        .id = id, .time_us = unknown->time_us, .type = "unknown_target", .worth = EVENT_WORTH_CONNECTION};
    char *text = event_json_unknown(unknown, configured, hint, &length);
    return pass(publisher, &published, text, length);
}

uint64_t publisher_listener(struct publisher *publisher, struct event_json_listener *listener)
{
    char id[IDENTITY_SIZE];
    size_t length = 0;
    if (!publisher_is_wanted(publisher))
        return 0;
    listener->number = identity_number(&publisher->id_clock, listener->time_us);
    identity_of_none(listener->collector, listener->number, id);
    struct published_event published = {.id = id,
                                        .time_us = listener->time_us,
                                        .type = listener->silent ? "listener_silent" : "listener_heard",
                                        .worth = EVENT_WORTH_BREAK};
    char *text = event_json_listener(listener, &length);
    return pass(publisher, &published, text, length);
}

uint64_t publisher_service(struct publisher *publisher, struct event_json_service *service, struct json_t *fields,
                           char id[static IDENTITY_SIZE])
{
    size_t length = 0;
    id[0] = '\0';
    if (!publisher_is_wanted(publisher)) {
        json_decref(fields);
        return 0;
    }
    service->number = identity_number(&publisher->id_clock, service->time_us);
    identity_of_none(service->collector, service->number, id);
    struct published_event published = {.id = id,
                                        .time_us = service->time_us,
                                        .type = service->event,
                                        .worth = EVENT_WORTH_BREAK,
                                        .target = service->target,
                                        .crash = service->crash};
    char *text = event_json_service(service, fields, &length);
    return pass(publisher, &published, text, length);
}
