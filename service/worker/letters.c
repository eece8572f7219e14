/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/letters.h"
#include "service/server/server_internal.h"

#include <stdlib.h>
#include <string.h>

struct letter {
    struct mail mail;
    enum letter_kind kind;
    unsigned hops;    /* TRY: workers that have tried their keys */
    size_t allowance; /* NUDGE */
    uint32_t listener_id;
    struct address source;
    uint8_t version, channel;
    size_t length;
    uint8_t payload[];
};

/* Goes to the worker that had the row and back, behind the letters that went there before. */
struct turn {
    struct mail mail;
    struct address source;
    uint16_t local_port;
    unsigned home;
};

struct claim {
    struct mail mail;
    struct address source;
    uint16_t local_port;
    unsigned worker;
};

static void open_letter(struct mail *mail, void *owner)
{
    struct letter *letter = (struct letter *)mail;
    struct worker *worker = owner;
    struct arrival arrival = {
        .listener = listener_by_id(worker, letter->listener_id),
        .source = &letter->source,
        .payload = letter->payload,
        .length = letter->length,
        .now_us = worker_now_us(),
        .version = letter->version,
        .channel = letter->channel,
        .letter = (uint8_t)letter->kind,
    };
    if (arrival.listener && letter->kind == LETTER_TRY)
        dispatch_try(&arrival, letter->hops);
    else if (arrival.listener && letter->kind == LETTER_NOBODY)
        dispatch_unopened(&arrival);
    else if (arrival.listener && letter->kind == LETTER_NUDGE)
        dispatch_nudge(&arrival, letter->allowance);
    else if (arrival.listener)
        dispatch_arrival(&arrival);
    free(letter);
}

/* `as` has the letter's own fields; the rest is the datagram's. NULL: out of memory. */
static struct letter *write_letter(const struct arrival *arrival, const struct letter *as)
{
    struct letter *letter = malloc(sizeof *letter + arrival->length);
    if (!letter)
        return NULL;
    *letter = *as;
    letter->mail.open = open_letter;
    letter->listener_id = arrival->listener->id;
    letter->source = *arrival->source;
    letter->version = arrival->version;
    letter->channel = arrival->channel;
    letter->length = arrival->length;
    memcpy(letter->payload, arrival->payload, arrival->length);
    return letter;
}

static void post(const struct arrival *arrival, struct worker *to, const struct letter *as)
{
    struct listener_counts *counts = &arrival->listener->counts;
    struct letter *letter = write_letter(arrival, as);
    if (!letter) {
        ++counts->pass_dropped;
        return;
    }
    if (mailbox_offer(&to->mailbox, &letter->mail, LETTERS_MAX)) {
        ++counts->passed;
        return;
    }
    ++counts->pass_dropped;
    free(letter);
}

bool letters_pass_on(const struct arrival *arrival, bool rows_here)
{
    struct worker *worker = arrival->listener->worker, *home = NULL;
    uint16_t port = arrival->listener->local.port;
    unsigned owner = 0;
    if (worker_is_alone(worker))
        return false;
    home = worker_of(worker, arrival->source);
    switch ((enum letter_kind)arrival->letter) {
    case LETTER_NONE:
    case LETTER_STRAY:
        if (forwards_find(&worker->forwards, arrival->source, port, &owner)) {
            post(arrival, &worker->server->workers[owner], &(struct letter){.kind = LETTER_OWNER});
            return true;
        }
        if (home == worker)
            return false;
        post(arrival, home, &(struct letter){.kind = LETTER_STRAY});
        return true;
    case LETTER_OWNER:
        if (home == worker || rows_here)
            return false;
        post(arrival, home, &(struct letter){.kind = LETTER_BACK});
        return true;
    case LETTER_BACK:
        forwards_remove(&worker->forwards, arrival->source, port);
        return false;
    case LETTER_TRY:
    case LETTER_NOBODY:
    case LETTER_NUDGE:
    default:
        return false;
    }
}

static struct worker *next_worker(const struct worker *worker)
{
    struct server *server = worker->server;
    return &server->workers[(worker->number + 1) % server->worker_count];
}

bool letters_unopened(const struct arrival *arrival, unsigned hops)
{
    struct worker *worker = arrival->listener->worker;
    if (worker_is_alone(worker))
        return false;
    if (hops + 1 < worker->server->worker_count)
        post(arrival, next_worker(worker), &(struct letter){.kind = LETTER_TRY, .hops = hops + 1});
    else
        post(arrival, worker_of(worker, arrival->source), &(struct letter){.kind = LETTER_NOBODY});
    return true;
}

bool letters_nudge(const struct arrival *arrival, size_t allowance)
{
    struct worker *worker = arrival->listener->worker;
    struct server *server = worker->server;
    unsigned turn = worker->nudge_worker++ % server->worker_count;
    if (turn == worker->number)
        return false;
    post(arrival, &server->workers[turn], &(struct letter){.kind = LETTER_NUDGE, .allowance = allowance});
    return true;
}

static void open_claim(struct mail *mail, void *owner)
{
    struct claim *claim = (struct claim *)mail;
    struct worker *worker = owner;
    forwards_set(&worker->forwards, &claim->source, claim->local_port, claim->worker);
    free(claim);
}

void letters_claim(struct worker *worker, const struct address *source, uint16_t local_port)
{
    struct worker *home = worker_of(worker, source);
    struct claim *claim = home != worker ? malloc(sizeof *claim) : NULL;
    if (!claim)
        return; /* its next poke comes to the same end */
    *claim =
        (struct claim){.mail.open = open_claim, .source = *source, .local_port = local_port, .worker = worker->number};
    mailbox_post(&home->mailbox, &claim->mail);
}

static void release(struct worker *worker, struct hold *hold)
{
    struct mail *mail = holds_end(&worker->holds, hold);
    while (mail) {
        struct mail *next = mail->next;
        mail->open(mail, worker);
        mail = next;
    }
}

static void open_returned(struct mail *mail, void *owner)
{
    const struct turn *turn = (const struct turn *)mail;
    struct worker *worker = owner;
    struct hold *hold = holds_find(&worker->holds, &turn->source, turn->local_port);
    if (hold)
        release(worker, hold);
    free(mail);
}

static void open_turn(struct mail *mail, void *owner)
{
    const struct turn *turn = (const struct turn *)mail;
    struct worker *worker = owner;
    mail->open = open_returned;
    mailbox_post(&worker->server->workers[turn->home].mailbox, mail);
}

void letters_await(struct worker *worker, const struct address *source, uint16_t local_port, unsigned from)
{
    struct turn *turn = malloc(sizeof *turn);
    if (!turn || !holds_begin(&worker->holds, source, local_port, worker_now_us())) {
        free(turn);
        return; /* the order is not kept */
    }
    *turn = (struct turn){.mail.open = open_turn, .source = *source, .local_port = local_port, .home = worker->number};
    mailbox_post(&worker->server->workers[from].mailbox, &turn->mail);
}

bool letters_hold(const struct arrival *arrival)
{
    struct worker *worker = arrival->listener->worker;
    if (arrival->letter != LETTER_NONE && arrival->letter != LETTER_STRAY)
        return false;
    struct hold *hold = holds_find(&worker->holds, arrival->source, arrival->listener->local.port);
    if (!hold)
        return false;
    struct letter *letter = NULL;
    if (holds_may_wait(hold, arrival->now_us))
        letter = write_letter(arrival, &(struct letter){.kind = LETTER_STRAY});
    if (letter)
        holds_put(hold, &letter->mail);
    else
        release(worker, hold);
    return letter;
}

void letters_clear(struct worker *worker)
{
    for (size_t i = 0; i < HOLDS_MAX; ++i)
        if (worker->holds.hold[i].used)
            for (struct mail *mail = holds_end(&worker->holds, &worker->holds.hold[i]), *next; mail; mail = next) {
                next = mail->next;
                free(mail);
            }
}
