/* SPDX-License-Identifier: Apache-2.0 */
/* Machines that poke with a key that no target has: who they are, and what to do about them. */
#include "service/runtime/log.h"
#include "service/server/server_internal.h"
#include "service/worker/unknown_poke.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HINT_SIZE 480

struct poke {
    struct message message;
    struct search_poke search_poke;
};

/* An unknown source on its way through the workers, to find the key's owner. */
struct question {
    struct message message;
    struct server *server;
    unsigned worker; /* the worker being asked */
    struct unknown_source unknown_source;
    bool found, has_address;
    char here[CONFIG_NAME_SIZE]; /* the target that is configured for its address; empty: none */
    char name[CONFIG_NAME_SIZE];
    struct address configured;
    uint16_t port;
};

static void handle_poke(struct message *message, void *owner)
{
    struct poke *poke = (struct poke *)message;
    struct server *server = owner;
    unknown_sources_note(&server->unknown_sources, &poke->search_poke, poke->search_poke.payload[KDNET_VERSION_AT],
                         worker_now_us());
    free(poke);
}

void unknown_report_poke(void *user, const struct search_poke *search_poke)
{
    struct server *server = user;
    struct poke *poke = malloc(sizeof *poke);
    if (!poke)
        return;
    *poke = (struct poke){.message.handle = handle_poke, .search_poke = *search_poke};
    if (!mailbox_try_post(&server->mailbox, &poke->message, SERVER_UNKNOWN_POKES_MAX))
        free(poke);
}

static void make_hint(const struct question *question, const char *ip, char hint[static HINT_SIZE])
{
    const struct unknown_source *unknown_source = &question->unknown_source;
    char configured[ADDRESS_TEXT_SIZE] = "any address";
    unsigned port = unknown_source->listen_port;
    if (!question->found && question->here[0] != '\0') {
        (void)snprintf(
            hint, HINT_SIZE,
            "a machine at %.64s, where target %.64s is configured, pokes port %u with KDNET version %u and another key "
            "than "
            "that target's, and no configured key opens it: compare `bcdedit /dbgsettings` there with the target's key",
            ip, question->here, port, (unsigned)unknown_source->version);
        return;
    }
    if (!question->found) {
        (void)snprintf(
            hint, HINT_SIZE,
            "a machine at %.64s pokes port %u with KDNET version %u, but no configured key opens it: compare "
            "`bcdedit /dbgsettings` there with the key of its target here, or add it",
            ip, port, (unsigned)unknown_source->version);
        return;
    }
    if (question->has_address)
        address_format_ip(&question->configured, configured);
    (void)snprintf(
        hint, HINT_SIZE,
        "a machine at %.64s pokes port %u with the key of target %.64s, which is configured for %.64s, port %u "
        "(0: all): correct the target's address or port, or leave it out; until then the machine is not served",
        ip, port, question->name, configured, (unsigned)question->port);
}

static void report_source(struct server *server, const struct question *question)
{
    const struct unknown_source *unknown_source = &question->unknown_source;
    uv_timeval64_t now = {0};
    (void)uv_gettimeofday(&now);
    struct event_json_unknown unknown = {.time_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_usec,
                                         .collector = server->config.collector,
                                         .source = unknown_source->source,
                                         .listen_port = unknown_source->listen_port,
                                         .version = unknown_source->version,
                                         .count = unknown_source->count};
    char ip[ADDRESS_TEXT_SIZE], hint[HINT_SIZE];
    struct log_line line;
    address_format_ip(&unknown_source->source, ip);
    make_hint(question, ip, hint);
    if (publisher_unknown(&server->publisher, &unknown, question->here[0] != '\0' ? question->here : NULL, hint) > 0)
        event_log_ring(&server->event_log);
    api_note_unknown(&server->api, unknown_source, hint, question->here[0] != '\0' ? question->here : NULL);
    log_begin(&line, CONFIG_LOG_WARNING, hint);
    log_text(&line, "address", ip);
    log_number(&line, "port", unknown_source->listen_port);
    log_number(&line, "version", unknown_source->version);
    log_number(&line, "count", unknown_source->count);
    log_end(&line);
}

static void handle_answer(struct message *message, void *owner)
{
    report_source(owner, (struct question *)message);
    free(message);
}

/* Finds the target configured for the source's address. */
static void name_here(const struct worker *worker, struct question *question)
{
    const struct unknown_source *unknown_source = &question->unknown_source;
    uint32_t id = targets_with_ip(&worker->targets, unknown_source->source.ip);
    size_t looks = 0;
    for (const struct target *row = targets_row(&worker->targets, id); row && looks < WORKER_SAME_IP_MAX;
         row = targets_row(&worker->targets, row->next_same_ip), ++looks)
        if (row->port == 0 || row->port == unknown_source->listen_port) {
            memcpy(question->here, targets_name(row), strlen(targets_name(row)) + 1);
            return;
        }
}

static struct search_poke poke_of(const struct unknown_source *source)
{
    struct search_poke poke = {
        .source = source->source, .local_port = source->listen_port, .length = (uint16_t)source->length};
    memcpy(poke.payload, source->payload, source->length);
    return poke;
}

/* On a worker's thread: answers, or passes the question to the next worker. */
static void handle_question(struct message *message, void *owner)
{
    struct question *question = (struct question *)message;
    struct server *server = question->server;
    const struct search_poke poke = poke_of(&question->unknown_source);
    const struct target *row = question->found ? NULL : unknown_poke_owner(owner, &poke);
    if (row) {
        question->found = true;
        question->has_address = row->has_address;
        question->configured = targets_configured(row);
        question->port = row->port;
        memcpy(question->name, targets_name(row), strlen(targets_name(row)) + 1);
    }
    name_here(owner, question);
    bool last = ++question->worker == server->worker_count; /* the target at the address may be another worker's */
    message->handle = last ? handle_answer : handle_question;
    mailbox_post(last ? &server->mailbox : &server->workers[question->worker].mailbox, message);
}

void unknown_report_look(struct server *server, uint64_t now_us)
{
    struct unknown_source unknown_source;
    size_t at = 0;
    while (unknown_sources_next(&server->unknown_sources, &at, now_us, &unknown_source)) {
        struct question *question = calloc(1, sizeof *question);
        if (!question)
            return; /* reported when the source pokes again */
        question->message.handle = handle_question;
        question->server = server;
        question->unknown_source = unknown_source;
        mailbox_post(&server->workers[0].mailbox, &question->message);
    }
}

void unknown_report_log_rest(struct server *server)
{
    struct log_line line;
    uint64_t pokes = unknown_sources_unreported(&server->unknown_sources);
    if (pokes == 0)
        return;
    log_begin(&line, CONFIG_LOG_WARNING,
              "further pokes with unknown keys were not logged individually (rate limit); "
              "kdnetctl unknown lists their sources");
    log_number(&line, "pokes", pokes);
    log_end(&line);
}
