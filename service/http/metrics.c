/* SPDX-License-Identifier: Apache-2.0 */
/* /metrics for Prometheus, as text 0.0.4 or as OpenMetrics 1.0.0. */
#include "service/http/api.h"
#include "service/http/state_internal.h"
#include "service/http/system.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LABELS_SIZE 512
#define TEXT_TYPE   "text/plain; version=0.0.4; charset=utf-8"
#define OPEN_TYPE   "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct writer {
    struct evbuffer *to;
    bool open_metrics;
    const char *family; /* whose series are being written */
    const char *suffix; /* of them: _total, or empty */
};

enum kind { COUNTER, GAUGE, HISTOGRAM, INFO };

/*
 * Writes a family's TYPE and HELP. OpenMetrics names a counter without _total there, text 0.0.4 with it.
 */
static void begin(struct writer *w, enum kind kind, const char *name, const char *help)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram", "gauge"};
    w->family = name;
    w->suffix = kind == COUNTER ? "_total" : "";
    const char *suffix = w->open_metrics ? "" : w->suffix;
    (void)evbuffer_add_printf(w->to, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix, help, name, suffix, kinds[kind]);
}

/* `labels` without braces; empty: none. */
static void put(struct writer *w, const char *labels, double value)
{
    const char *open = labels[0] != '\0' ? "{" : "", *close = labels[0] != '\0' ? "}" : "";
    (void)evbuffer_add_printf(w->to, "%s%s%s%s%s %.15g\n", w->family, w->suffix, open, labels, close, value);
}

/* NAME="VALUE", escaped. */
static void label(char out[static LABELS_SIZE], const char *name, const char *value)
{
    size_t used = strlen(out);
    used += (size_t)snprintf(out + used, LABELS_SIZE - used, "%s%s=\"", used > 0 ? "," : "", name);
    for (; *value != '\0' && used < LABELS_SIZE - 4; ++value) {
        if (*value == '\\' || *value == '"')
            out[used++] = '\\';
        out[used++] = *value == '\n' ? ' ' : *value;
    }
    (void)snprintf(out + used, LABELS_SIZE - used, "\"");
}

static void put_labelled(struct writer *w, const char *name, const char *value, double number)
{
    char labels[LABELS_SIZE] = "";
    label(labels, name, value);
    put(w, labels, number);
}

static void put_one(struct writer *w, enum kind kind, const char *name, const char *help, double value)
{
    begin(w, kind, name, help);
    put(w, "", value);
}

/* Writes the machines' states. */

static void put_status(struct writer *w, const struct http_status *status)
{
    begin(w, INFO, "kdnetd_build_info", "Which kdnetd this is; always 1");
    char labels[LABELS_SIZE] = "";
    label(labels, "version", status->version);
    label(labels, "collector", status->collector);
    put(w, labels, 1);
    begin(w, GAUGE, "kdnetd_targets", "Configured machines by state");
    for (unsigned i = 0; i < HTTP_STATES; ++i)
        put_labelled(w, "state", api_state_name(i), (double)status->targets[i]);
    put_one(w, GAUGE, "kdnetd_unknown_sources", "Addresses whose pokes no key opens", (double)status->unknown_sources);
    put_one(w, GAUGE, "kdnetd_results_pending", "Result lines that are not written yet",
            (double)status->results_pending);
    put_one(w, GAUGE, "kdnetd_draining", "1 while /readyz sends balancers elsewhere", status->draining);
    put_one(w, GAUGE, "kdnetd_config_last_reload_successful",
            "0 when the last configuration that was read did not count", !status->reload_failed);
    put_one(w, GAUGE, "kdnetd_config_last_reload_success_timestamp_seconds",
            "When the configuration that counts was read", (double)status->read_us / 1e6);
}

static void put_listeners(struct writer *w, const struct http_status *status)
{
    begin(w, GAUGE, "kdnetd_listener_open", "1 when the address is listened on");
    for (size_t i = 0; i < status->listener_count; ++i)
        put_labelled(w, "listener", status->listeners[i].address, status->listeners[i].open);
    begin(w, COUNTER, "kdnetd_datagrams", "Datagrams by listener and what became of them");
    for (size_t i = 0; i < status->listener_count; ++i) {
        const struct http_listener *at = &status->listeners[i];
        const struct {
            const char *result;
            uint64_t number;
        } rows[] = {{"received", at->received},
                    {"malformed", at->malformed},
                    {"forged", at->forged},
                    {"unknown", at->unknown},
                    {"unknown_data", at->unknown_data},
                    {"refused", at->refused},
                    {"shed", at->shed},
                    {"overflowed", at->overflowed},
                    {"sent", at->sent},
                    {"send_failed", at->send_failed},
                    {"send_dropped", at->send_dropped}};
        for (size_t j = 0; j < sizeof rows / sizeof rows[0]; ++j) {
            char labels[LABELS_SIZE] = "";
            label(labels, "listener", at->address);
            label(labels, "result", rows[j].result);
            put(w, labels, (double)rows[j].number);
        }
    }
}

/* Every kind of trouble has its series from the start. */
static const char *const kinds_of_trouble[] = {"listener",    "store",    "results",     "configuration", "http",
                                               "http_socket", "http_tls", "http_tokens", "sink",          "symbols",
                                               "targets",     "workers",  "other"};
#define TROUBLES (sizeof kinds_of_trouble / sizeof kinds_of_trouble[0])

static void count_degraded(void *user, const struct http_degraded *degraded)
{
    unsigned *counts = user;
    size_t kind = 0;
    while (kind + 1 < TROUBLES && strcmp(kinds_of_trouble[kind], degraded->what) != 0)
        ++kind;
    ++counts[kind];
}

static void put_degraded(struct writer *w, struct call *call, const struct http_status *status)
{
    unsigned counts[TROUBLES] = {0};
    api_each_degraded(call, status, count_degraded, counts);
    begin(w, GAUGE, "kdnetd_degraded", "How much is wrong and tried again, by what it is");
    for (size_t i = 0; i < TROUBLES; ++i)
        put_labelled(w, "what", kinds_of_trouble[i], counts[i]);
}

static void put_histogram(struct writer *w, const char *name, const char *help, const struct http_histogram *histogram)
{
    static const char *const bounds[HTTP_BUCKETS + 1] = {"0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005",
                                                         "0.01",   "0.025",   "0.05",   "0.1",   "0.25",   "0.5",
                                                         "1.0",    "2.5",     "5.0",    "+Inf"};
    uint64_t sum = 0;
    begin(w, HISTOGRAM, name, help);
    for (size_t i = 0; i <= HTTP_BUCKETS; ++i) {
        sum += histogram->bucket[i];
        (void)evbuffer_add_printf(w->to, "%s_bucket{le=\"%s\"} %llu\n", name, bounds[i], (unsigned long long)sum);
    }
    (void)evbuffer_add_printf(w->to, "%s_sum %.6f\n%s_count %llu\n", name, (double)histogram->sum_us / 1e6, name,
                              (unsigned long long)sum);
}

static void put_results(struct writer *w, const struct http_metrics *metrics)
{
    begin(w, COUNTER, "kdnetd_crash_status", "Results by phase and verdict");
    for (size_t i = 0; i < HTTP_PHASES; ++i)
        for (size_t j = 0; j < HTTP_VERDICTS; ++j) {
            char labels[LABELS_SIZE] = "";
            label(labels, "phase", metrics->phase_names[i]);
            label(labels, "verdict", metrics->verdict_names[j]);
            put(w, labels, (double)metrics->crash_status[i][j]);
        }
    begin(w, COUNTER, "kdnetd_breaks", "Breaks by kind");
    for (size_t i = 0; i < HTTP_BREAKS; ++i)
        put_labelled(w, "kind", metrics->break_names[i], (double)metrics->breaks[i]);
}

static void put_loops(struct writer *w, const struct http_metrics *metrics)
{
    begin(w, GAUGE, "kdnetd_loop_lag_seconds", "The longest that a loop was late in the last 60 s");
    for (size_t i = 0; i < metrics->loop_count; ++i)
        put_labelled(w, "worker", metrics->loops[i].name, (double)metrics->loops[i].lag_us / 1e6);
}

static void put_metrics(struct writer *w, const struct http_metrics *metrics)
{
    put_one(w, COUNTER, "kdnetd_crashes", "First breaks of a bug check", (double)metrics->crashes);
    put_results(w, metrics);
    put_histogram(w, "kdnetd_halted_seconds",
                  "How long machines stood still at a break, without the time held by policy", &metrics->halted);
    put_histogram(w, "kdnetd_read_seconds", "How long it took to read a machine at a break", &metrics->read);
    put_loops(w, metrics);
}

/* The counters of counters.def are sorted by name, series of one name side by side. */

struct counters {
    struct writer *w;
    char last[96];
};

static void put_counter(void *user, const struct http_counter *counter)
{
    struct counters *counters = user;
    struct writer *w = counters->w;
    char name[96];
    (void)snprintf(name, sizeof name, "kdnetd_%.80s", counter->name);
    if (strcmp(name, counters->last) != 0) {
        (void)snprintf(counters->last, sizeof counters->last, "%s", name);
        begin(w, COUNTER, counters->last, counter->name);
    }
    if (counter->label)
        put_labelled(w, counter->label, counter->value, counter->number);
    else
        put(w, "", counter->number);
}

static void put_counters(struct writer *w, const struct http_ops *ops)
{
    struct counters counters = {.w = w};
    ops->counters(ops->user, put_counter, &counters);
}

/* The store, sinks and HTTP. */

static void put_store(struct writer *w, struct store *store)
{
    struct store_status *status = calloc(1, sizeof *status);
    if (status && store)
        store_status(store, status);
    if (status) {
        put_one(w, COUNTER, "kdnetd_store_errors", "Calls that failed while the store was written or read",
                (double)status->errors);
        put_one(w, GAUGE, "kdnetd_store_events", "Events in the store", (double)status->events);
        put_one(w, GAUGE, "kdnetd_store_bytes", "Bytes of the store and its log", (double)status->bytes);
        put_one(w, GAUGE, "kdnetd_store_waiting", "Events that are not committed yet", (double)status->waiting);
    }
    free(status);
}

static void put_sinks(struct writer *w, struct sink_states *sinks)
{
    struct sink_state states[SINK_STATES_MAX];
    size_t count = sink_states_get(sinks, states);
    begin(w, GAUGE, "kdnetd_sink_behind_events", "Events that a sink has not delivered");
    for (size_t i = 0; i < count; ++i)
        put_labelled(w, "sink", states[i].name, (double)states[i].behind_events);
    begin(w, GAUGE, "kdnetd_sink_behind_seconds", "How old the oldest event is that a sink has not delivered");
    for (size_t i = 0; i < count; ++i)
        put_labelled(w, "sink", states[i].name, (double)states[i].behind_us / 1e6);
    begin(w, COUNTER, "kdnetd_sink_errors", "Deliveries that failed and are tried again");
    for (size_t i = 0; i < count; ++i)
        put_labelled(w, "sink", states[i].name, (double)states[i].errors);
    begin(w, COUNTER, "kdnetd_sink_rejected", "Events that a receiver refused for good");
    for (size_t i = 0; i < count; ++i)
        put_labelled(w, "sink", states[i].name, (double)states[i].rejected);
    begin(w, COUNTER, "kdnetd_sink_dropped", "Events that left the store before a sink delivered them");
    for (size_t i = 0; i < count; ++i)
        put_labelled(w, "sink", states[i].name, (double)states[i].dropped);
}

static void put_buckets(struct writer *w, struct bucket_states *buckets)
{
    begin(w, GAUGE, "kdnetd_bucket_machines",
          "Machines that crashed within 10 minutes, of each of the largest groups of one fault; kdnetctl buckets names "
          "them");
    for (unsigned i = 0; i < BUCKET_STATES_RANKS; ++i) {
        char rank[12];
        (void)snprintf(rank, sizeof rank, "%u", i + 1);
        put_labelled(w, "rank", rank, (double)atomic_load_explicit(&buckets->machines[i], memory_order_relaxed));
    }
}

/* Metrics of this process, named as in Prometheus' own clients. */

static void put_process(struct writer *w)
{
    struct system_process process;
    system_measure(&process);
    put_one(w, COUNTER, "process_cpu_seconds", "Processor time that kdnetd has used", process.cpu_seconds);
    put_one(w, GAUGE, "process_open_fds", "Open descriptors", process.open_files);
    put_one(w, GAUGE, "process_max_fds", "Descriptors that may be open", process.max_files);
    put_one(w, GAUGE, "process_virtual_memory_bytes", "Address space", process.virtual_bytes);
    put_one(w, GAUGE, "process_resident_memory_bytes", "Memory in use", process.resident_bytes);
    put_one(w, GAUGE, "process_start_time_seconds", "When kdnetd was started", process.start_seconds);
}

/* Metrics of each target, when requested. */

static bool put_target(void *user, const struct http_target *target)
{
    char labels[LABELS_SIZE] = "";
    label(labels, "target", target->name);
    label(labels, "state", api_state_name(target->state));
    put(user, labels, 1);
    return true;
}

static bool put_seen(void *user, const struct http_target *target)
{
    if (target->last_seen_us > 0)
        put_labelled(user, "target", target->name, (double)target->last_seen_us / 1e6);
    return true;
}

static void put_each_target(struct writer *w, const struct http_ops *ops)
{
    const struct http_target_query all = {.limit = SIZE_MAX};
    begin(w, GAUGE, "kdnetd_target_state", "1 for the state that a machine is in");
    (void)ops->targets(ops->user, &all, put_target, w);
    begin(w, GAUGE, "kdnetd_target_last_seen_timestamp_seconds", "When a machine was heard last");
    (void)ops->targets(ops->user, &all, put_seen, w);
}

static void write_all(struct call *call, struct writer *w, const struct http_status *status,
                      const struct http_metrics *metrics)
{
    const struct http_ops *ops = call->http->ops;
    put_status(w, status);
    put_listeners(w, status);
    put_degraded(w, call, status);
    put_metrics(w, metrics);
    put_counters(w, ops);
    put_store(w, call->http->store);
    put_sinks(w, &call->http->sinks);
    put_buckets(w, &call->http->buckets);
    put_process(w);
    if (call->http->settings.metrics_targets)
        put_each_target(w, ops);
    if (w->open_metrics)
        (void)evbuffer_add_printf(w->to, "# EOF\n");
}

void metrics_answer(struct call *call)
{
    const struct http_ops *ops = call->http->ops;
    struct http_status *status = api_new_status(call);
    struct http_metrics *metrics = status ? calloc(1, sizeof *metrics) : NULL;
    bool open = call->head.accept && strstr(call->head.accept, "application/openmetrics-text");
    struct writer writer = {.to = metrics ? call_answer(call, open ? OPEN_TYPE : TEXT_TYPE) : NULL,
                            .open_metrics = open};
    if (writer.to) {
        ops->metrics(ops->user, metrics);
        write_all(call, &writer, status, metrics);
    } else if (status) {
        call_problem(call, HTTP_PROBLEM_BUSY, NULL, "kdnetd is out of memory; try again later");
    }
    free(metrics);
    free(status);
}
