/* SPDX-License-Identifier: Apache-2.0 */
/* The sink of NATS against a libnats that is made up: what each of its answers and faults means to the events. Real
 * servers are in tests/fleet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/fleet/stream.h"
#include "service/sinks/sink.h"

#include <uv.h>

#include <cmocka.h>

#define MS_NS   UINT64_C(1000000)
#define INBOX   "_INBOX.made"
#define ANSWERS 4

/* --- libnats ------------------------------------------------------------------------------------------------------ */

static struct {
    uint64_t now_ms;
    natsStatus inbox, subscription, publishing;
    natsConnStatus state, state_after; /* now; once an answer was waited for in vain */
    const char *subjects[ANSWERS], *answers[ANSWERS];
    size_t answered;
    bool has_bucket;
    unsigned connected, destroyed, published, beats, buckets;
} nats;
static char a_connection, a_subscription; /* only their addresses count */

natsConnection *__wrap_fleet_connect(const struct config_nats *config, const char *name,
                                     char error[static FLEET_ERROR_SIZE]);
void __wrap_fleet_explain(natsConnection *connection, natsStatus status, char error[static FLEET_ERROR_SIZE]);
bool __wrap_fleet_make_stream(natsConnection *connection, const char *name, const char *pattern,
                              char error[static FLEET_ERROR_SIZE]);
bool __wrap_fleet_make_bucket(natsConnection *connection, const char *name, char error[static FLEET_ERROR_SIZE]);
natsStatus __real_natsInbox_Create(natsInbox **inbox);
natsStatus __wrap_natsInbox_Create(natsInbox **inbox);
natsStatus __wrap_natsConnection_SubscribeSync(natsSubscription **subscription, natsConnection *connection,
                                               const char *subject);
void __wrap_natsSubscription_Destroy(natsSubscription *subscription);
void __wrap_natsConnection_Destroy(natsConnection *connection);
natsConnStatus __wrap_natsConnection_Status(natsConnection *connection);
natsStatus __wrap_natsConnection_GetStats(natsConnection *connection, natsStatistics *statistics);
int64_t __wrap_natsConnection_GetMaxPayload(natsConnection *connection);
natsStatus __wrap_natsConnection_PublishMsg(natsConnection *connection, natsMsg *message);
natsStatus __wrap_natsConnection_PublishString(natsConnection *connection, const char *subject, const char *text);
natsStatus __wrap_natsConnection_FlushTimeout(natsConnection *connection, int64_t ms);
natsStatus __wrap_natsSubscription_NextMsg(natsMsg **message, natsSubscription *subscription, int64_t ms);
uint64_t __wrap_uv_hrtime(void);
void __wrap_uv_sleep(unsigned ms);

natsConnection *__wrap_fleet_connect(const struct config_nats *config, const char *name,
                                     char error[static FLEET_ERROR_SIZE])
{
    (void)config;
    (void)error;
    assert_string_equal(name, "kdnetd c1");
    ++nats.connected;
    return (natsConnection *)(void *)&a_connection;
}

void __wrap_fleet_explain(natsConnection *connection, natsStatus status, char error[static FLEET_ERROR_SIZE])
{
    (void)connection;
    (void)snprintf(error, FLEET_ERROR_SIZE, "NATS: %s", natsStatus_GetText(status));
}

bool __wrap_fleet_make_stream(natsConnection *connection, const char *name, const char *pattern,
                              char error[static FLEET_ERROR_SIZE])
{
    (void)connection;
    (void)error;
    assert_string_equal(name, "EVENTS");
    assert_string_equal(pattern, "events.{collector}.{target}");
    return true;
}

bool __wrap_fleet_make_bucket(natsConnection *connection, const char *name, char error[static FLEET_ERROR_SIZE])
{
    (void)connection;
    (void)name;
    (void)error;
    ++nats.buckets;
    return nats.has_bucket;
}

natsStatus __wrap_natsInbox_Create(natsInbox **inbox)
{
    return nats.inbox != NATS_OK ? nats.inbox : __real_natsInbox_Create(inbox);
}

natsStatus __wrap_natsConnection_SubscribeSync(natsSubscription **subscription, natsConnection *connection,
                                               const char *subject)
{
    (void)connection;
    assert_ptr_equal(strstr(subject, "_INBOX."), subject);
    if (nats.subscription == NATS_OK)
        *subscription = (natsSubscription *)(void *)&a_subscription;
    return nats.subscription;
}

void __wrap_natsSubscription_Destroy(natsSubscription *subscription)
{
    (void)subscription;
}

void __wrap_natsConnection_Destroy(natsConnection *connection)
{
    nats.destroyed += connection != NULL;
}

natsConnStatus __wrap_natsConnection_Status(natsConnection *connection)
{
    (void)connection;
    return nats.state;
}

natsStatus __wrap_natsConnection_GetStats(natsConnection *connection, natsStatistics *statistics)
{
    (void)connection;
    (void)statistics;
    return NATS_OK;
}

int64_t __wrap_natsConnection_GetMaxPayload(natsConnection *connection)
{
    (void)connection;
    return 1 << 20;
}

natsStatus __wrap_natsConnection_PublishMsg(natsConnection *connection, natsMsg *message)
{
    const char *id = NULL;
    (void)connection;
    assert_int_equal(natsMsgHeader_Get(message, "Nats-Msg-Id", &id), NATS_OK);
    assert_ptr_equal(strstr(natsMsg_GetSubject(message), "events.c1."), natsMsg_GetSubject(message));
    nats.published += nats.publishing == NATS_OK;
    return nats.publishing;
}

natsStatus __wrap_natsConnection_PublishString(natsConnection *connection, const char *subject, const char *text)
{
    (void)connection;
    assert_non_null(strstr(subject, ".c1"));
    assert_ptr_equal(strstr(text, "{\"collector\":\"c1\","), text);
    ++nats.beats;
    return NATS_OK;
}

natsStatus __wrap_natsConnection_FlushTimeout(natsConnection *connection, int64_t ms)
{
    (void)connection;
    (void)ms;
    return NATS_OK;
}

/* The next answer; none: time passes. */
natsStatus __wrap_natsSubscription_NextMsg(natsMsg **message, natsSubscription *subscription, int64_t ms)
{
    (void)subscription;
    size_t i = nats.answered;
    if (i < ANSWERS && nats.answers[i]) {
        ++nats.answered;
        return natsMsg_Create(message, nats.subjects[i], NULL, nats.answers[i], (int)strlen(nats.answers[i]));
    }
    nats.now_ms += (uint64_t)ms;
    nats.state = nats.state_after;
    return NATS_TIMEOUT;
}

uint64_t __wrap_uv_hrtime(void)
{
    return nats.now_ms * MS_NS;
}

void __wrap_uv_sleep(unsigned ms)
{
    nats.now_ms += ms;
}

/* --- the sink ----------------------------------------------------------------------------------------------------- */

static atomic_bool stop;
static char stream[] = "EVENTS", subject[] = "events.{collector}.{target}", line[] = "{}";
static const struct config_sink config = {.nats = {.stream = stream, .subject = subject}};
static struct sink_link *sink;
static struct sink_event events[3], *const batch[] = {&events[0], &events[1], &events[2]};
static struct sink_answer answer;

static int setup(void **state)
{
    (void)state;
    memset(&nats, 0, sizeof nats);
    nats.now_ms = 1000000;
    nats.state = nats.state_after = NATS_CONN_STATUS_CONNECTED;
    for (size_t i = 0; i < 3; ++i)
        events[i] =
            (struct sink_event){.seq = 10 + 10 * i, .line = line, .length = 2, .id = "an-id", .target = "web-17"};
    sink = sink_nats.open(&config, "c1", &stop);
    return sink ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    sink_nats.close(sink);
    return nats.connected == nats.destroyed ? 0 : -1;
}

static enum sink_outcome deliver(size_t count)
{
    answer = (struct sink_answer){.outcome = SINK_REFUSED};
    nats.answered = 0;
    sink_nats.deliver(sink, batch, count, &answer);
    return answer.outcome;
}

static void answer_with(size_t i, const char *to, const char *text)
{
    nats.subjects[i] = to;
    nats.answers[i] = text;
}

#define TAKEN "{\"stream\":\"EVENTS\",\"seq\":7}"

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void acknowledged_events_are_done_in_any_order(void **state)
{
    (void)state;
    answer_with(0, INBOX ".30", TAKEN);
    answer_with(1, INBOX ".10", TAKEN);
    answer_with(2, INBOX ".20", TAKEN);
    assert_int_equal(deliver(3), SINK_DONE);
    assert_int_equal(nats.published, 3);
    assert_string_equal(answer.text, "");
}

/* Of an earlier try of events that are not in this batch. */
static void answers_to_no_event_of_the_batch_count_for_none(void **state)
{
    (void)state;
    answer_with(0, INBOX ".9", TAKEN);
    answer_with(1, INBOX ".15", TAKEN);
    answer_with(2, INBOX ".31", TAKEN);
    answer_with(3, "nothing", TAKEN);
    assert_int_equal(deliver(3), SINK_PARTLY);
    assert_false(events[0].done || events[1].done || events[2].done);
    assert_string_equal(answer.text, "the servers acknowledge nothing");
}

static void what_the_stream_refuses_is_told(void **state)
{
    (void)state;
    answer_with(0, INBOX ".10", "{\"error\":{\"err_code\":10054,\"description\":\"message size exceeds maximum\"}}");
    answer_with(1, INBOX ".20", "no json");
    answer_with(2, INBOX ".30", TAKEN);
    assert_int_equal(deliver(3), SINK_PARTLY);
    assert_string_equal(answer.text, "the stream says: message size exceeds maximum");
    assert_int_equal(events[0].refusals, 1); /* only this one will be refused again */
    assert_int_equal(events[1].refusals, 0);
    assert_false(events[0].done || events[1].done);
    assert_true(events[2].done);
    answer_with(0, INBOX ".10", "{}");
    assert_int_equal(deliver(1), SINK_PARTLY);
    assert_string_equal(answer.text, "the stream says: something strange");
}

static void without_an_inbox_there_is_no_connection(void **state)
{
    (void)state;
    nats.inbox = NATS_NO_MEMORY;
    assert_int_equal(deliver(1), SINK_AGAIN);
    assert_string_equal(answer.text, "NATS: No Memory");
    nats.inbox = NATS_OK;
    nats.subscription = NATS_CONNECTION_CLOSED;
    assert_int_equal(deliver(1), SINK_AGAIN);
    assert_string_equal(answer.text, "NATS: Connection Closed");
    assert_int_equal(nats.connected, 2);
    assert_int_equal(nats.destroyed, 2);
    assert_int_equal(nats.published, 0);
}

static void a_closed_connection_is_made_anew(void **state)
{
    (void)state;
    answer_with(0, INBOX ".10", TAKEN);
    assert_int_equal(deliver(1), SINK_DONE);
    nats.state = NATS_CONN_STATUS_CLOSED;
    assert_int_equal(deliver(1), SINK_AGAIN);
    assert_string_equal(answer.text, "NATS: Connection Closed");
    assert_int_equal(nats.destroyed, 1);
    nats.state = NATS_CONN_STATUS_CONNECTED;
    events[0].done = false;
    assert_int_equal(deliver(1), SINK_DONE);
    assert_int_equal(nats.connected, 2);
}

static void a_fault_of_publishing_ends_the_batch(void **state)
{
    (void)state;
    nats.publishing = NATS_INSUFFICIENT_BUFFER;
    assert_int_equal(deliver(3), SINK_PARTLY);
    assert_string_equal(answer.text, "NATS: Insufficient Buffer");
    assert_int_equal(nats.published, 0);
    assert_int_equal(events[0].refusals, 0);
}

static void a_connection_that_breaks_is_not_waited_for(void **state)
{
    (void)state;
    uint64_t before_ms = nats.now_ms;
    nats.state_after = NATS_CONN_STATUS_RECONNECTING;
    assert_int_equal(deliver(2), SINK_PARTLY);
    assert_string_equal(answer.text, "the connection to the servers broke");
    assert_in_range(nats.now_ms - before_ms, 1, 1000);
    assert_int_equal(nats.destroyed, 0); /* libnats connects again */
}

static void servers_that_stay_silent_are_left(void **state)
{
    (void)state;
    assert_int_equal(deliver(1), SINK_PARTLY);
    assert_int_equal(nats.destroyed, 0);
    assert_int_equal(deliver(1), SINK_PARTLY);
    assert_string_equal(answer.text, "the servers acknowledge nothing");
    assert_int_equal(nats.destroyed, 1);
}

/* The bucket is asked for once a minute; a heartbeat goes each 10 s. */
static void heartbeats_need_their_bucket(void **state)
{
    (void)state;
    for (unsigned s = 0; s < 60; ++s, nats.now_ms += 1000)
        sink_nats.tick(sink);
    assert_int_equal(nats.buckets, 1);
    assert_int_equal(nats.beats, 0);
    nats.has_bucket = true;
    for (unsigned s = 0; s < 60; ++s, nats.now_ms += 1000)
        sink_nats.tick(sink);
    assert_int_equal(nats.buckets, 2);
    assert_in_range(nats.beats, 5, 6);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(acknowledged_events_are_done_in_any_order),
        TEST(answers_to_no_event_of_the_batch_count_for_none),
        TEST(what_the_stream_refuses_is_told),
        TEST(without_an_inbox_there_is_no_connection),
        TEST(a_closed_connection_is_made_anew),
        TEST(a_fault_of_publishing_ends_the_batch),
        TEST(a_connection_that_breaks_is_not_waited_for),
        TEST(servers_that_stay_silent_are_left),
        TEST(heartbeats_need_their_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
