/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/stray.h"
#include "service/runtime/log.h"
#include "service/worker/forward.h"
#include "service/worker/pump.h"
#include "service/worker/word.h"

#include <stdlib.h>
#include <string.h>

/* What another collector shows, or its word: then `length` is 0. */
struct stray_message {
    struct message message;
    struct address machine, local;
    char target[CONFIG_NAME_SIZE];
    size_t length;
    uint32_t told; /* of the word of a result: its break; otherwise 0 */
    bool passed;   /* from one worker to another */
    uint8_t payload[];
};

/* Our address that the datagram was sent to. False: not known. */
static bool local_of(const struct worker *worker, const struct arrival *a, struct address *out)
{
    const struct listener *listener = a->listener;
    const uint8_t *ip = address_is_any(&listener->local) ? locals_ip(worker->env->locals, a->source->via)
                                                         : listener->local.ip;
    *out = (struct address){.port = listener->local.port};
    if (ip)
        memcpy(out->ip, ip, sizeof out->ip);
    return ip != NULL;
}

void stray_show(struct worker *worker, const struct arrival *a)
{
    struct address local;
    if (!worker->env->astray || !local_of(worker, a, &local) || bucket_take(&worker->strays, 1, a->now_us) == 0)
        return;
    ++a->listener->counts.astray;
    worker->env->astray(worker->env->user, a->source, &local, a->payload, a->length);
}

void stray_show_unknown(struct worker *worker, const struct arrival *a)
{
    if (word_has_others(worker) && bucket_take(&worker->unknown_strays, 1, a->now_us) > 0)
        stray_show(worker, a);
}

void stray_keep(const struct worker *worker, const struct target *target, const struct arrival *a)
{
    struct address local;
    ++a->listener->counts.shown;
    if (worker->env->kept && local_of(worker, a, &local))
        worker->env->kept(worker->env->user, a->source, &local, targets_name(target), 0);
}

/* Another worker's row may have the machine: passes the message on, once. */
static bool pass_on(const struct worker *worker, struct stray_message *stray)
{
    unsigned owner = 0;
    if (stray->passed || !forwarding_table_find(&worker->forwarding_table, &stray->machine, stray->local.port, &owner))
        return false;
    stray->passed = true;
    return mailbox_try_post(worker->env->mailboxes[owner], &stray->message, FORWARD_MAX);
}

/* Another collector has told the result of a break. */
static void take_told(struct worker *worker, struct target *row, uint32_t told, uint64_t now_us)
{
    struct log_line line;
    if (!kdnet_session_told(targets_session(row), told, now_us))
        return;
    log_begin(&line, CONFIG_LOG_NOTICE,
              "the address that this machine sends to has moved to another collector, which has told the result of its "
              "break");
    log_text(&line, "target", targets_name(row));
    log_end(&line);
    pump_target(worker, row, NULL, NULL, now_us);
}

static void take_word(struct worker *worker, const struct stray_message *stray, struct target **rows, size_t count)
{
    uint64_t now_us = worker_now_us();
    for (size_t i = 0; i < count; ++i) {
        if (strcmp(targets_name(rows[i]), stray->target) != 0)
            continue;
        if (stray->told != 0)
            take_told(worker, rows[i], stray->told, now_us);
        else
            kdnet_session_kept(targets_session(rows[i]), now_us);
    }
}

/* The rows of a stray's machine, at the listener that takes the stray. */
struct stray_rows {
    struct target *rows[TARGETS_SHARE_MAX];
    size_t count;
};

/* Whether a row is answered from another address than the one that the machine sends to, and which is here. */
static bool row_answers(const struct worker *worker, const struct target *row, const struct stray_message *stray,
                        uint16_t *via)
{
    *via = targets_route(row).via;
    const uint8_t *ip = locals_ip(worker->env->locals, *via);
    struct address own = {.port = stray->local.port};
    if (!ip)
        return true; /* the system chooses */
    memcpy(own.ip, ip, sizeof own.ip);
    return !address_same_ip(&stray->local, ip) && word_is_here(worker, &own);
}

/* Whether the machine can be answered, and from which address of a listener at a wildcard address. */
static bool can_answer(const struct worker *worker, const struct listener *listener, const struct stray_message *stray,
                       const struct stray_rows *at, uint16_t *via)
{
    *via = 0;
    if (!address_is_any(&listener->local))
        return word_is_here(worker, &listener->local);
    if (listener->local.port == stray->local.port && word_is_here(worker, &stray->local)) {
        *via = locals_number(worker->env->locals, stray->local.ip);
        return true;
    }
    for (size_t i = 0; i < at->count; ++i)
        if (row_answers(worker, at->rows[i], stray, via))
            return true;
    return false;
}

static void take_datagram(struct worker *worker, struct listener *listener, const struct stray_message *stray,
                          uint16_t via)
{
    struct address source = stray->machine;
    struct arrival arrival = {.listener = listener,
                              .source = &source,
                              .payload = stray->payload,
                              .length = stray->length,
                              .now_us = worker_now_us(),
                              .forwarded = FORWARD_SHOWN};
    source.via = via;
    if (kdnet_datagram_peek(stray->payload, stray->length, &arrival.version, &arrival.channel) == KDNET_OK)
        worker->forwarded(&arrival, 0, 0);
}

/* Finds the rows of a stray's machine at a listener. Returns whether a row here may open it. */
static bool is_expected(const struct worker *worker, const struct listener *listener, const struct stray_message *stray,
                        struct stray_rows *at)
{
    uint32_t ids[RESPONSES_WAYS];
    at->count = targets_at(&worker->targets, &stray->machine, listener->local.port, at->rows);
    return at->count > 0 || responses_at(&worker->responses, &stray->machine, listener->local.port, ids) > 0;
}

/* The listener that the machine knows: that of the same address, where collectors share one; else that of its row. */
static struct listener *listener_of(struct worker *worker, const struct stray_message *stray)
{
    struct stray_rows at;
    struct listener *listener = worker->finished || worker->stopping ? NULL : worker->listeners;
    struct listener *same = listener ? worker_listener_at(worker, &stray->local) : NULL;
    while (!same && listener && (listener->closed || !is_expected(worker, listener, stray, &at)))
        listener = listener->next;
    return same ? same : listener;
}

static void handle_stray(struct message *message, void *owner)
{
    struct stray_message *stray = (struct stray_message *)message;
    struct worker *worker = owner;
    struct stray_rows at;
    uint16_t via;
    struct listener *listener = listener_of(worker, stray);
    if (listener) {
        bool expected = is_expected(worker, listener, stray, &at);
        if (at.count == 0 && pass_on(worker, stray))
            return;
        if (stray->length == 0)
            take_word(worker, stray, at.rows, at.count);
        else if (expected && can_answer(worker, listener, stray, &at, &via))
            take_datagram(worker, listener, stray, via);
    }
    free(stray);
}

static void post(const struct worker_env *env, const struct stray_message *as, const uint8_t *payload)
{
    struct stray_message *stray = malloc(sizeof *stray + as->length);
    if (!stray)
        return;
    *stray = *as;
    if (as->length > 0)
        memcpy(stray->payload, payload, as->length);
    stray->message.handle = handle_stray;
    if (!mailbox_try_post(env->mailboxes[steer_worker(&env->steer, stray->machine.ip)], &stray->message, FORWARD_MAX))
        free(stray);
}

void stray_post(const struct worker_env *env, const struct address *machine, const struct address *local,
                const uint8_t *payload, size_t length)
{
    post(env, &(struct stray_message){.machine = *machine, .local = *local, .length = length}, payload);
}

void stray_post_kept(const struct worker_env *env, const struct address *machine, const struct address *local,
                     const char *target, uint32_t told)
{
    struct stray_message word = {.machine = *machine, .local = *local, .told = told};
    memcpy(word.target, target, strnlen(target, sizeof word.target - 1));
    post(env, &word, NULL);
}
