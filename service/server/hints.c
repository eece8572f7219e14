/* SPDX-License-Identifier: Apache-2.0 */
/* Machines that poke with a key that no target has there: who they are, and what to do about them. */
#include "service/runtime/log.h"
#include "service/output/report.h"
#include "service/server/server_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HINT_SIZE 480

struct poke {
    struct mail mail;
    struct trial trial;
};

/* A stranger on its way through the workers: whose key is it? */
struct question {
    struct mail mail;
    struct server *server;
    unsigned worker; /* that is asked */
    struct stranger stranger;
    bool found, has_address;
    char here[CONFIG_NAME_SIZE]; /* the target that is configured for its address; empty: none */
    char name[CONFIG_NAME_SIZE];
    struct address configured;
    uint16_t port;
};

static void open_poke(struct mail *mail, void *owner)
{
    struct poke *poke = (struct poke *)mail;
    struct server *server = owner;
    strangers_note(&server->strangers, &poke->trial, poke->trial.payload[KDNET_VERSION_AT], worker_now_us());
    free(poke);
}

void server_stranger(struct server *server, const struct trial *trial)
{
    struct poke *poke = malloc(sizeof *poke);
    if (!poke)
        return;
    *poke = (struct poke){.mail.open = open_poke, .trial = *trial};
    if (!mailbox_offer(&server->mailbox, &poke->mail, SERVER_STRANGERS_MAX))
        free(poke);
}

static void make_hint(const struct question *question, const char *ip, char hint[static HINT_SIZE])
{
    const struct stranger *stranger = &question->stranger;
    char configured[ADDRESS_TEXT_SIZE] = "any address";
    unsigned port = stranger->listen_port;
    if (!question->found && question->here[0] != '\0') {
        (void)snprintf(
            hint, HINT_SIZE,
            "a machine at %.64s, where target %.64s is configured, pokes port %u with KDNET version %u and another key "
            "than "
            "that target's, and no configured key opens it: compare `bcdedit /dbgsettings` there with the target's key",
            ip, question->here, port, (unsigned)stranger->version);
        return;
    }
    if (!question->found) {
        (void)snprintf(
            hint, HINT_SIZE,
            "a machine at %.64s pokes port %u with KDNET version %u, but no configured key opens it: compare "
            "`bcdedit /dbgsettings` there with the key of its target here, or add it",
            ip, port, (unsigned)stranger->version);
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

static void tell(struct server *server, const struct question *question)
{
    const struct stranger *stranger = &question->stranger;
    uv_timeval64_t now = {0};
    (void)uv_gettimeofday(&now);
    struct report_unknown unknown = {.time_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_usec,
                                     .collector = server->config.collector,
                                     .source = stranger->source,
                                     .listen_port = stranger->listen_port,
                                     .version = stranger->version,
                                     .count = stranger->count};
    char ip[ADDRESS_TEXT_SIZE], hint[HINT_SIZE];
    struct log_line line;
    size_t length = 0;
    address_format_ip(&stranger->source, ip);
    make_hint(question, ip, hint);
    if (results_are_wanted(&server->results)) {
        unknown.number = identity_number(&server->id_clock, unknown.time_us);
        char *text = report_unknown(&unknown, question->here[0] != '\0' ? question->here : NULL, hint, &length);
        (void)results_add(&server->results, text, length, RESULTS_CONNECTION, 0);
        results_ring(&server->results);
    }
    log_begin(&line, CONFIG_LOG_WARNING, hint);
    log_text(&line, "address", ip);
    log_number(&line, "port", stranger->listen_port);
    log_number(&line, "version", stranger->version);
    log_number(&line, "count", stranger->count);
    log_end(&line);
}

static void open_answer(struct mail *mail, void *owner)
{
    tell(owner, (struct question *)mail);
    free(mail);
}

/* The target that should be at its address. */
static void name_here(const struct worker *worker, struct question *question)
{
    const struct stranger *stranger = &question->stranger;
    uint32_t id = targets_with_ip(&worker->targets, stranger->source.ip);
    size_t looks = 0;
    for (const struct target *row = targets_row(&worker->targets, id); row && looks < WORKER_SAME_IP_MAX;
         row = targets_row(&worker->targets, row->next_same_ip), ++looks)
        if (row->port == 0 || row->port == stranger->listen_port) {
            memcpy(question->here, targets_name(row), strlen(targets_name(row)) + 1);
            return;
        }
}

/* On a worker's thread: its answer, or the next one is asked. */
static void open_question(struct mail *mail, void *owner)
{
    struct question *question = (struct question *)mail;
    struct server *server = question->server;
    const struct target *row = dispatch_owner_elsewhere(owner, &question->stranger);
    if (row) {
        question->found = true;
        question->has_address = row->has_address;
        question->configured = targets_configured(row);
        question->port = row->port;
        memcpy(question->name, targets_name(row), strlen(targets_name(row)) + 1);
    }
    name_here(owner, question);
    bool last = row || ++question->worker == server->worker_count;
    mail->open = last ? open_answer : open_question;
    mailbox_post(last ? &server->mailbox : &server->workers[question->worker].mailbox, mail);
}

void hints_look(struct server *server, uint64_t now_us)
{
    struct stranger stranger;
    size_t at = 0;
    while (strangers_next(&server->strangers, &at, now_us, &stranger)) {
        struct question *question = calloc(1, sizeof *question);
        if (!question)
            return; /* it is told of when it pokes again */
        question->mail.open = open_question;
        question->server = server;
        question->stranger = stranger;
        mailbox_post(&server->workers[0].mailbox, &question->mail);
    }
}

void hints_tell_more(struct server *server)
{
    struct log_line line;
    uint64_t pokes = strangers_untold(&server->strangers);
    if (pokes == 0)
        return;
    log_begin(&line, CONFIG_LOG_WARNING, "more machines poke with keys that no target has than are told of one by one");
    log_number(&line, "pokes", pokes);
    log_end(&line);
}
