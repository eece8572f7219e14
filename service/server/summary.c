/* SPDX-License-Identifier: Apache-2.0 */
/* Sums up the work and state of all workers: for the log, the service manager and its watchdog. */
#include "service/runtime/log.h"
#include "service/symbols/lookup.h"
#include "service/platform/platform.h"
#include "service/server/server_internal.h"
#include "service/worker/listener.h"
#include "service/worker/listening.h"
#include "service/worker/sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_counts(struct listener_counts *sum, const struct listener_counts *some)
{
#define LISTENER_COUNTER(name, log, help) sum->name += some->name;
#include "service/runtime/counters.def"
}

static void add_totals(struct worker_totals *sum, const struct worker_totals *some)
{
#define WORKER_GAUGE(name, log, help)   sum->name += some->name;
#define WORKER_COUNTER(name, log, help) sum->name += some->name;
#include "service/runtime/counters.def"
}

static void add_sessions(struct kdnet_session_counts *sum, const struct kdnet_session_counts *some)
{
#define SESSION_COUNTER(name, log, help) sum->name += some->name;
#include "service/runtime/counters.def"
}

/* Exchanges hearing facts: the server's go to the worker, the worker's to the server. */
static void fill_hearing(struct census_port *port, struct worker *worker, struct listener *listener)
{
    struct hearing_facts *facts = &port->facts;
    if (facts->heard_us < listener->heard_us)
        facts->heard_us = listener->heard_us;
    listening_settle(worker, listener, port->verdict, facts->heard_us);
    *facts = (struct hearing_facts){.heard_us = listener->heard_us};
    if (port->verdict != HEARING_SILENT)
        facts->waiting = losses_of(&worker->losses, listener->id);
    facts->counted = port->count;
    if (port->count)
        facts->machines = listening_count(worker, listener);
}

/* On the worker's thread. */
static void fill(struct census *census, struct worker *worker)
{
    census->totals = worker->totals;
    census->totals.targets = worker->targets.count - worker->targets.old_keys;
    census->totals.keys_tried = worker->key_search.tried;
    census->sessions = worker->session_counts;
    for (size_t i = 0; i < census->port_count; ++i) {
        struct census_port *port = &census->ports[i];
        struct listener *listener = worker_listener(worker, port->id);
        if (!listener) {
            port->facts = (struct hearing_facts){.counted = port->count};
            continue;
        }
        listener_count(listener);
        port->counts = listener->counts;
        port->send_error = listener->send_error;
        port->shed_source = listener->shed_source;
        fill_hearing(port, worker, listener);
    }
}

static void handle_answer(struct message *message, void *owner);

static void handle_question(struct message *message, void *owner)
{
    struct census *census = (struct census *)message;
    const struct worker *worker = owner;
    api_worker_turned(&census->server->api, worker->number, census->asked_us);
    sweep_look(owner);
    observe_refresh(&census->server->observe, owner, &census->refresh_at);
    fill(census, owner);
    census->message.handle = handle_answer;
    mailbox_post(&census->server->mailbox, &census->message);
}

static void add_facts(struct hearing_facts *sum, const struct hearing_facts *some)
{
    sum->heard_us = some->heard_us > sum->heard_us ? some->heard_us : sum->heard_us;
    sum->waiting += some->waiting;
    sum->machines += some->machines;
    sum->counted = sum->counted && some->counted;
}

static void add_ports(struct server *server, const struct census *census)
{
    for (struct port *port = server->ports; port; port = port->next)
        for (size_t i = 0; i < census->port_count; ++i) {
            const struct census_port *part = &census->ports[i];
            if (part->id != port->id)
                continue;
            add_counts(&port->counts, &part->counts);
            add_facts(&port->facts, &part->facts);
            port->send_error = part->send_error != 0 ? part->send_error : port->send_error;
            port->shed_source = part->counts.shed > 0 ? part->shed_source : port->shed_source;
        }
}

static void begin_port(struct port *port)
{
    port->counts = port->before;
    port->facts = (struct hearing_facts){.heard_us = port->facts.heard_us, .counted = port->hearing.count};
}

static void add_up(struct server *server)
{
    struct summary *summary = &server->summary;
    memset(&summary->totals, 0, sizeof summary->totals);
    memset(&summary->sessions, 0, sizeof summary->sessions);
    for (struct port *port = server->ports; port; port = port->next)
        begin_port(port);
    for (unsigned i = 0; i < server->worker_count; ++i) {
        const struct census *census = &summary->of[i];
        add_totals(&summary->totals, &census->totals);
        add_sessions(&summary->sessions, &census->sessions);
        add_ports(server, census);
    }
}

/* `name` NULL: the counter is not in the summary. */
static void log_counter(struct log_line *line, const char *name, uint64_t number)
{
    if (name)
        log_number(line, name, number);
}

static void log_counters(struct log_line *line, const struct worker_totals *totals, const struct listener_counts *all,
                         const struct kdnet_session_counts *sessions)
{
#define WORKER_GAUGE(name, log, help)     log_counter(line, log, totals->name);
#define WORKER_COUNTER(name, log, help)   log_counter(line, log, totals->name);
#define LISTENER_COUNTER(name, log, help) log_counter(line, log, all->name);
#define SESSION_COUNTER(name, log, help)  log_counter(line, log, sessions->name);
#include "service/runtime/counters.def"
}

static void log_summary(struct server *server)
{
    struct event_log_counts event_log;
    const struct summary *summary = &server->summary;
    struct listener_counts all = {0};
    struct log_line line;
    event_log_count(&server->event_log, &event_log);
    for (const struct port *port = server->ports; port; port = port->next)
        add_counts(&all, &port->counts);
    all.send_failed += all.send_dropped; /* one number for all unsent datagrams */
    log_begin(&line, CONFIG_LOG_NOTICE, "summary");
    log_counters(&line, &summary->totals, &all, &summary->sessions);
    log_number(&line, "symbol_lookups", server->lookup ? lookup_count(server->lookup) : 0);
    log_number(&line, "results_written", event_log.written);
    log_number(&line, "results_waiting", event_log.waiting_lines);
    log_number(&line, "results_dropped", event_log.dropped);
    log_number(&line, "workers", server->worker_count);
    log_number(&line, "memory_bytes", platform_memory());
    log_end(&line);
}

static void begin(struct server *server);

static void end(struct server *server)
{
    struct summary *summary = &server->summary;
    ++summary->ended;
    add_up(server);
    ports_judge(server);
    if (summary->log_due)
        log_summary(server);
    summary->log_due = summary->log_due_again;
    summary->log_due_again = false;
    if (!summary->again)
        return;
    summary->again = false;
    begin(server);
}

static void handle_answer(struct message *message, void *owner)
{
    struct server *server = owner;
    (void)message; /* the message stays in server->summary */
    if (--server->summary.asked == 0)
        end(server);
}

/* Makes room for the counts by port. */
static bool prepare(struct server *server, struct census *census)
{
    size_t count = 0;
    for (const struct port *port = server->ports; port; port = port->next)
        ++count;
    if (count > census->port_capacity) {
        struct census_port *ports = realloc(census->ports, count * sizeof *ports);
        if (!ports)
            return false;
        census->ports = ports;
        census->port_capacity = count;
    }
    census->port_count = 0;
    for (const struct port *port = server->ports; port; port = port->next)
        census->ports[census->port_count++] = (struct census_port){
            .id = port->id, .facts = port->facts, .verdict = port->hearing.verdict, .count = port->hearing.count};
    census->server = server;
    census->asked_us = uv_hrtime() / 1000;
    census->message.handle = handle_question;
    return true;
}

/* Out of memory: nobody is asked, and the known numbers stay. */
static void begin(struct server *server)
{
    struct summary *summary = &server->summary;
    for (unsigned i = 0; i < server->worker_count; ++i)
        if (!prepare(server, &summary->of[i]))
            return;
    ++summary->begun;
    summary->asked = server->worker_count;
    for (unsigned i = 0; i < server->worker_count; ++i)
        mailbox_post(&server->workers[i].mailbox, &summary->of[i].message);
}

void summary_ask(struct server *server)
{
    if (server->summary.asked > 0)
        server->summary.again = true;
    else
        begin(server);
}

/* A round in progress may have asked too early. */
void summary_log(struct server *server)
{
    if (server->summary.asked > 0)
        server->summary.log_due_again = true;
    else
        server->summary.log_due = true;
    summary_ask(server);
}

void summary_log_last(struct server *server)
{
    struct summary *summary = &server->summary;
    if (!summary->log_due && !summary->log_due_again)
        return;
    summary->log_due = summary->log_due_again = false;
    log_summary(server);
}

void summary_clear(struct server *server)
{
    for (unsigned i = 0; server->summary.of && i < server->worker_count; ++i)
        free(server->summary.of[i].ports);
    free(server->summary.of);
    server->summary.of = NULL;
}

void summary_status(struct server *server)
{
    char status[sizeof server->status];
    const struct summary *summary = &server->summary;
    size_t open = ports_open(server), wanted = ports_wanted(server), deaf = ports_deaf(server);
    int length = snprintf(status, sizeof status, "serving%s %zu targets, %zu connected, %zu halted",
                          open < wanted || deaf > 0 ? " in part:" : "", summary->totals.targets,
                          summary->totals.connected, summary->totals.halted);
    if (open < wanted)
        length += snprintf(status + length, sizeof status - (size_t)length, "; %zu of %zu listeners not open",
                           wanted - open, wanted);
    if (deaf > 0)
        length += snprintf(status + length, sizeof status - (size_t)length, "; %zu cannot receive", deaf);
    if (server->mistake[0] != '\0')
        (void)snprintf(status + length, sizeof status - (size_t)length, "; the last reload failed: %s",
                       server->mistake);
    if (strcmp(status, server->status) == 0)
        return;
    memcpy(server->status, status, sizeof status);
    platform_notify_status(status);
}
