/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration, at the start and again on HUP.
 *
 * Again: it is read on a thread of its own, with the policy of each target: a share that hangs holds up that thread and
 * nothing else, and after RELOAD_READ_US it is not waited for any more. Then the workers go through four steps
 * together; the next one begins when all have done the last. FREEZE: the settings count, and no row moves to another
 * worker. KEEP: each worker looks at its rows: they stay, are changed, or go. ADD: targets that have no row get one.
 * THAW: rows move again. KEEP and ADD go in slices between the rounds of each loop.
 */
#include "service/platform/inherited.h"
#include "service/runtime/log.h"
#include "service/symbols/lookup.h"
#include "service/platform/platform.h"
#include "service/server/server_internal.h"
#include "service/worker/sweep.h"
#include "service/worker/worker_loop.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RELOAD_SLICE_US  1000U
#define RELOAD_READ_US   30000000U
#define RELOAD_HUNG_MAX  4U   /* readings that were given up and go on */
#define RELOAD_END_LOOK  100U /* looks, and between two of them: how long a reading is waited for at the end */
#define RELOAD_END_MS    10U
#define RELOAD_PATH_SIZE 256
#define RELOAD_LOOK      64 /* rows between two looks at the clock */

enum reload_step { STEP_FREEZE, STEP_KEEP, STEP_ADD, STEP_THAW, STEPS };

/* A worker's part, and its message: it goes there and comes back with each step. */
struct apply {
    struct message message;
    struct reload *reload;
    size_t at, end; /* of its rows, or of the targets */
    bool good, index_due;
};

struct reload {
    struct server *server;
    struct message message; /* from the thread that reads */
    uv_thread_t thread;
    uint64_t begun_us;
    struct reload *next_hung;
    uv_mutex_t lock;
    char opening[RELOAD_PATH_SIZE]; /* what is read now; by `lock` */
    bool reading, given_up;
    uv_work_t work;
    struct kdnetd_config config, left; /* `left`: its targets, when they are applied */
    struct config_report report;
    struct policies policies;
    const struct kdnet_policy **policy_of; /* by target; NULL: there was no memory for it */
    const struct kdnet_policy *let_go;     /* of machines whose targets are removed */
    struct keyring **rings;                /* by target: of its keys; by `rings_lock` */
    uv_mutex_t rings_lock;
    bool *stays;         /* by key: it has a row; each is written by one worker */
    struct apply *apply; /* of each worker */
    enum reload_step step;
    unsigned working; /* workers that have not done the step */
    bool good, again, applying;
};

/* On a worker's thread, or at the start. */

/* The ring of a target's keys, made when it is wanted first; a row that is in one already brings it. */
static bool join_ring(struct reload *reload, struct target *row, size_t index, uint16_t slot)
{
    struct keyring *own = row->more ? row->more->ring : NULL;
    bool shows = own ? keyring_shown(own) == row->more->slot : row->connected;
    uv_mutex_lock(&reload->rings_lock);
    struct keyring **ring = &reload->rings[index];
    if (!*ring)
        *ring = own ? keyring_take(own) : keyring_new();
    bool good = *ring && targets_join_ring(row, *ring, slot);
    uv_mutex_unlock(&reload->rings_lock);
    if (good && shows)
        (void)keyring_show(reload->rings[index], slot);
    return good;
}

static bool is_in_ring(const struct reload *reload, const struct target *row, size_t index, uint16_t slot)
{
    return slot != KEYRING_CURRENT || (row->more && row->more->ring) || reload->rings[index] ||
           config_has_old_keys(&reload->config, index);
}

static bool is_changed(const struct target *row, const struct config_target *config, bool old_key)
{
    struct address address = targets_configured(row);
    return row->port != config->port || row->old_key != old_key || row->has_address != config->has_address ||
           row->strict != (config->strict && config->has_address) ||
           (row->has_address && !address_same_ip(&address, config->address.ip));
}

/* The session goes on, with the key that it has. */
static bool update_target(struct worker *worker, struct apply *apply, struct target *row, size_t index, uint16_t slot)
{
    struct reload *reload = apply->reload;
    const struct config_target *target = &reload->config.targets[index];
    const struct kdnet_policy *policy = reload->policy_of[index];
    bool old_key = slot != KEYRING_CURRENT, good = policy != NULL;
    if (policy)
        kdnet_session_set_policy(row->session, policy);
    if (strcmp(targets_name(row), target->name) != 0) {
        worker_target_gone(worker, row);
        good = targets_rename(row, target->name) && good;
    }
    if (is_changed(row, target, old_key)) {
        targets_change(&worker->targets, row, target, old_key);
        apply->index_due = true;
    }
    row->leaving = false;
    if (is_in_ring(reload, row, index, slot))
        good = join_ring(reload, row, index, slot) && good;
    worker_target_changed(worker, row);
    return good;
}

/* Its key is in no target any more. A machine may have it until its next start, so that it stays while it is in use. */
static bool keep_unlisted(struct worker *worker, struct apply *apply, struct target *row)
{
    const struct reload *reload = apply->reload;
    const struct config_target *target = config_find_target(&reload->config, targets_name(row));
    if (target && row->seen && !targets_is_superseded(row))
        return update_target(worker, apply, row, (size_t)(target - reload->config.targets), KEYRING_UNLISTED);
    apply->index_due = apply->index_due || row->has_address;
    if (target) {
        sweep_remove(worker, row, false);
    } else if (sweep_is_busy(row)) {
        targets_age_key(&worker->targets, row);
        sweep_leave(worker, row, reload->let_go);
    } else {
        sweep_remove(worker, row, row->leaving || targets_stands_for_all(row));
    }
    return true;
}

/* Updates a row that stays, removes another. */
static bool keep_target(struct worker *worker, struct apply *apply, uint32_t id)
{
    struct reload *reload = apply->reload;
    struct target *row = targets_row(&worker->targets, id);
    if (!row)
        return true;
    size_t number = config_find_key(&reload->config, kdnet_session_key(row->session), row->port, targets_name(row));
    if (number == CONFIG_NO_KEY)
        return keep_unlisted(worker, apply, row);
    reload->stays[number] = true;
    return update_target(worker, apply, row, config_key_target(&reload->config, number),
                         (uint16_t)config_key_slot(&reload->config, number));
}

/* A machine without an address begins anywhere, and moves to where its datagrams arrive. */
static bool is_its_worker(const struct worker *worker, const struct reload *reload, size_t number)
{
    size_t index = config_key_target(&reload->config, number);
    const struct config_target *target = &reload->config.targets[index];
    const struct worker_env *env = worker->env;
    unsigned home = target->has_address ? steer_worker(&env->steer, target->address.ip)
                                        : (unsigned)(index % env->worker_count);
    return home == worker->number;
}

static bool add_target(struct worker *worker, struct apply *apply, size_t number)
{
    struct reload *reload = apply->reload;
    size_t index = config_key_target(&reload->config, number);
    uint16_t slot = (uint16_t)config_key_slot(&reload->config, number);
    const struct config_target *target = &reload->config.targets[index];
    const struct kdnet_policy *policy = reload->policy_of[index];
    struct target *row = policy ? targets_add(&worker->targets, target, slot != KEYRING_CURRENT) : NULL;
    if (!row)
        return false;
    targets_begin_session(row, &worker->shared, policy, config_key(&reload->config, number));
    apply->index_due = apply->index_due || row->has_address;
    bool good = !is_in_ring(reload, row, index, slot) || join_ring(reload, row, index, slot);
    worker_target_changed(worker, row);
    return good;
}

/* Room for all that are to be added. */
static bool reserve(struct worker *worker, const struct reload *reload)
{
    size_t ids = worker->targets.count;
    for (size_t i = 0; i < config_key_count(&reload->config); ++i)
        ids += !reload->stays[i] && is_its_worker(worker, reload, i);
    if (ids < worker->targets.ids)
        ids = worker->targets.ids;
    return worker_reserve(worker, ids);
}

static void begin_step(struct worker *worker, struct apply *apply)
{
    const struct reload *reload = apply->reload;
    apply->at = apply->end = 0;
    apply->good = true;
    if (reload->step == STEP_FREEZE) {
        worker->frozen = true;
        worker_configure(worker, &reload->config);
    } else if (reload->step == STEP_KEEP) {
        apply->end = worker->targets.ids;
    } else if (reload->step == STEP_ADD) {
        apply->good = reserve(worker, reload);
        apply->end = apply->good ? config_key_count(&reload->config) : 0;
    }
}

/* Rows that could not be changed for want of memory keep what they have; the others go on. */
static void do_next(struct worker *worker, struct apply *apply)
{
    const struct reload *reload = apply->reload;
    size_t at = apply->at++;
    bool good = true;
    if (reload->step == STEP_KEEP)
        good = keep_target(worker, apply, (uint32_t)at);
    else if (!reload->stays[at] && is_its_worker(worker, reload, at))
        good = add_target(worker, apply, at);
    apply->good = good && apply->good;
}

static void end_step(struct worker *worker, struct apply *apply)
{
    enum reload_step step = apply->reload->step;
    if (step == STEP_ADD && apply->index_due) {
        apply->good = targets_index(&worker->targets) && apply->good;
        apply->index_due = false;
    }
    if (step == STEP_THAW)
        worker->frozen = false;
}

/* Again: the steps go round. */

static void handle_done(struct message *message, void *owner);

static void reply(struct apply *apply)
{
    apply->message.handle = handle_done;
    mailbox_post(&apply->reload->server->mailbox, &apply->message);
}

static void end_work(struct worker *worker, struct apply *apply)
{
    worker->apply = NULL;
    (void)uv_idle_stop(&worker->apply_idle);
    end_step(worker, apply);
    reply(apply);
}

/* Some rows between two rounds of the loop: machines do not wait for the others' rows. */
static void on_idle(uv_idle_t *idle)
{
    struct worker *worker = idle->data;
    struct apply *apply = worker->apply;
    uint64_t until_us = worker_now_us() + RELOAD_SLICE_US;
    do
        for (size_t i = 0; i < RELOAD_LOOK && apply->at < apply->end; ++i)
            do_next(worker, apply);
    while (apply->at < apply->end && worker_now_us() < until_us);
    if (apply->at == apply->end)
        end_work(worker, apply);
}

static void handle_step(struct message *message, void *owner)
{
    struct apply *apply = (struct apply *)message;
    struct worker *worker = owner;
    if (worker->finished) {
        reply(apply);
        return;
    }
    begin_step(worker, apply);
    worker->apply = apply;
    if (apply->at < apply->end)
        (void)uv_idle_start(&worker->apply_idle, on_idle);
    else
        end_work(worker, apply);
}

static void post_step(struct reload *reload)
{
    struct server *server = reload->server;
    reload->working = server->worker_count;
    for (unsigned i = 0; i < server->worker_count; ++i) {
        reload->apply[i].message.handle = handle_step;
        mailbox_post(&server->workers[i].mailbox, &reload->apply[i].message);
    }
}

static void end_apply(struct reload *reload);

static void handle_done(struct message *message, void *owner)
{
    const struct apply *apply = (struct apply *)message;
    struct reload *reload = apply->reload;
    (void)owner;
    reload->good = apply->good && reload->good;
    if (--reload->working > 0 || reload->server->joined)
        return;
    if (++reload->step < STEPS)
        post_step(reload);
    else
        end_apply(reload);
}

/* The configuration, on the server's thread or the one that reads. */

/* False: out of memory; then nothing can be applied. */
static bool prepare(struct reload *reload)
{
    size_t count = reload->config.target_count;
    policies_init(&reload->policies);
    reload->good = true;
    reload->policy_of = calloc(count + 1, sizeof(const struct kdnet_policy *));
    reload->rings = calloc(count + 1, sizeof(struct keyring *));
    reload->stays = calloc(config_key_count(&reload->config) + 1, sizeof *reload->stays);
    reload->apply = calloc(reload->server->worker_count, sizeof *reload->apply);
    reload->let_go = policies_to_let_go(&reload->policies);
    if (!reload->policy_of || !reload->rings || !reload->stays || !reload->apply || !reload->let_go)
        return false;
    for (unsigned i = 0; i < reload->server->worker_count; ++i)
        reload->apply[i].reload = reload;
    for (size_t i = 0; i < count; ++i)
        reload->policy_of[i] = policies_of(&reload->policies, &reload->config, &reload->config.targets[i]);
    return true;
}

static void free_prepared(struct reload *reload)
{
    for (size_t i = 0; reload->rings && i < reload->config.target_count; ++i)
        keyring_drop(reload->rings[i]);
    free(reload->rings);
    free(reload->policy_of);
    free(reload->stays);
    free(reload->apply);
    reload->rings = NULL;
    reload->policy_of = NULL;
    reload->stays = NULL;
    reload->apply = NULL;
}

/* When a policy could not be made, rows may still have one of before: then those stay, too. */
static void end_targets(struct reload *reload)
{
    struct server *server = reload->server;
    free_prepared(reload);
    if (!reload->good) {
        log_plain(CONFIG_LOG_ERROR, "out of memory: some targets are not served; give kdnetd more, and reload");
        policies_keep(&reload->policies, &server->policies);
    }
    policies_clear(&server->policies);
    server->policies = reload->policies;
    config_take_targets(&reload->config, &reload->left); /* the rows have all of it */
}

static void say_unused(const struct kdnetd_config *config, size_t target_count)
{
    if (target_count == 0)
        log_plain(CONFIG_LOG_WARNING, "targets: there are none, so no machine is served; `kdnetctl keygen` makes the "
                                      "lines for one");
    if (config_is_set(config, CONFIG_SET_http) && config->http.port != 0)
        log_plain(CONFIG_LOG_WARNING, "http: this version has no HTTP interface; its results are in events:");
    if (!config->events)
        log_plain(CONFIG_LOG_WARNING, "events: is not set: results are told in this log only");
}

/* The workers do not run yet: what they would do is done for them. */
static void do_steps(struct reload *reload)
{
    struct server *server = reload->server;
    for (reload->step = STEP_FREEZE; reload->step < STEPS; ++reload->step)
        for (unsigned i = 0; i < server->worker_count; ++i) {
            struct apply *apply = &reload->apply[i];
            begin_step(&server->workers[i], apply);
            while (apply->at < apply->end)
                do_next(&server->workers[i], apply);
            end_step(&server->workers[i], apply);
            reload->good = apply->good && reload->good;
        }
}

bool reload_first(struct server *server)
{
    struct reload reload = {.server = server, .config = server->config};
    log_set_level(server->config.log_level);
    say_unused(&server->config, server->config.target_count);
    if (!lookup_configure(server->lookup, &server->config))
        return false;
    if (uv_mutex_init(&reload.rings_lock) != 0)
        return false;
    if (prepare(&reload))
        do_steps(&reload);
    else
        reload.good = false;
    end_targets(&reload);
    uv_mutex_destroy(&reload.rings_lock);
    config_clear(&reload.left);
    platform_trim_memory();
    for (unsigned i = 0; i < server->worker_count; ++i)
        server->summary.totals.targets += server->workers[i].targets.count - server->workers[i].targets.old_keys;
    server->config = reload.config;
    ports_configure(server, &server->config);
    if (inherited_close_rest() > 0)
        log_plain(CONFIG_LOG_WARNING,
                  "kdnetd.socket has addresses that are not in `listen`, or are not UDP of one kind "
                  "(BindIPv6Only=ipv6-only): they are closed; make both say the same");
    if (ports_open(server) == 0)
        log_plain(CONFIG_LOG_ERROR, "no listener can be opened, so no machine can be served");
    return ports_open(server) > 0;
}

/* Why the last reload did not count: in the status of the service, too. */
static void set_mistake(struct server *server, const char *text)
{
    (void)snprintf(server->mistake, sizeof server->mistake, "%s", text);
    summary_status(server);
}

static void say_mistakes(struct server *server, const struct config_report *report)
{
    struct log_line line;
    for (size_t i = 0; config_report_line(report, i); ++i) {
        log_begin(&line, CONFIG_LOG_ERROR, "configuration");
        log_text(&line, "mistake", config_report_line(report, i));
        log_end(&line);
    }
    log_begin(&line, CONFIG_LOG_ERROR, "configuration is wrong; the one until now stays in force");
    log_number(&line, "mistakes", config_report_count(report));
    log_end(&line);
    set_mistake(server, config_report_line(report, 0));
}

static void free_reload(struct reload *reload)
{
    config_report_clear(&reload->report);
    free_prepared(reload);
    uv_mutex_destroy(&reload->lock);
    uv_mutex_destroy(&reload->rings_lock);
    free(reload);
}

/* Everything is applied, or nothing was to be. */
static void end_reload(struct reload *reload)
{
    struct server *server = reload->server;
    bool again = reload->again;
    server->reload = NULL;
    free_reload(reload);
    if (server->joined)
        return;
    event_log_reopen(&server->event_log, server->config.events);
    platform_notify_ready();
    if (again)
        reload_again(server);
}

/* A hundred thousand keys are wiped elsewhere: that takes milliseconds. */
static void clear_left(uv_work_t *work)
{
    struct reload *reload = work->data;
    config_clear(&reload->left);
}

static void on_left_cleared(uv_work_t *work, int status)
{
    (void)status;
    end_reload(work->data);
}

static void say_restart(const struct server *server, const struct kdnetd_config *config)
{
    struct log_line line;
    size_t at = 0;
    const char *name = NULL;
    while ((name = config_next_for_restart(&server->config, config, &at))) {
        log_begin(&line, CONFIG_LOG_WARNING, "an option counts from the next start on, not from a reload");
        log_text(&line, "option", name);
        log_end(&line);
    }
}

static void end_apply(struct reload *reload)
{
    struct server *server = reload->server;
    struct log_line line;
    size_t count = reload->config.target_count;
    end_targets(reload);
    ports_close_unwanted(server);
    say_restart(server, &reload->config);
    config_clear(&server->config);
    server->config = reload->config;
    config_init(&reload->config);
    /* Anew also when nothing changed: a reload asks again for what was not there. */
    (void)lookup_configure(server->lookup, &server->config);
    say_unused(&server->config, count);
    set_mistake(server, "");
    log_begin(&line, CONFIG_LOG_NOTICE, "configuration read again");
    log_number(&line, "targets", count);
    log_end(&line);
    reload->applying = false;
    if (uv_queue_work(&server->loop, &reload->work, clear_left, on_left_cleared) != 0) {
        config_clear(&reload->left);
        end_reload(reload);
    }
}

static void begin_apply(struct reload *reload)
{
    struct server *server = reload->server;
    log_set_level(reload->config.log_level);
    server->config.freebind = reload->config.freebind;
    ports_configure(server, &reload->config);
    reload->applying = true;
    reload->step = STEP_FREEZE;
    post_step(reload);
}

/* On the thread that reads. */

static void note_opening(const char *path, void *context)
{
    struct reload *reload = context;
    uv_mutex_lock(&reload->lock);
    (void)snprintf(reload->opening, sizeof reload->opening, "%s", path);
    uv_mutex_unlock(&reload->lock);
}

static void read_configuration(void *user)
{
    struct reload *reload = user;
    struct server *server = reload->server;
    const struct config_access access = {.opening = note_opening, .context = reload};
    reload->good = options_load(server->options, &access, &reload->config, &reload->report);
    if (reload->good)
        (void)prepare(reload);
    mailbox_post(&server->mailbox, &reload->message);
}

/* On the server's thread again. */

/* Wrong, or nobody wants it any more: nothing of it counts. */
static void drop(struct reload *reload)
{
    policies_clear(&reload->policies);
    config_clear(&reload->config);
    end_reload(reload);
}

static void end_reading(struct reload *reload)
{
    struct server *server = reload->server;
    bool right = config_report_count(&reload->report) == 0;
    if (server->joined) {
        drop(reload);
    } else if (right && reload->apply) {
        begin_apply(reload);
    } else {
        if (right)
            log_plain(CONFIG_LOG_ERROR, "out of memory: the configuration is not read again");
        else
            say_mistakes(server, &reload->report);
        drop(reload);
    }
}

/* What was given up has come to its end after all; what it read is old. */
static void forget_hung(struct reload *reload)
{
    struct reload **link = &reload->server->hung_reloads;
    while (*link != reload)
        link = &(*link)->next_hung;
    *link = reload->next_hung;
    policies_clear(&reload->policies);
    config_clear(&reload->config);
    free_reload(reload);
}

static void handle_read(struct message *message, void *owner)
{
    struct reload *reload = (struct reload *)((char *)message - offsetof(struct reload, message));
    (void)owner;
    (void)uv_thread_join(&reload->thread); /* this was the last thing that it did */
    reload->reading = false;
    if (reload->given_up)
        forget_hung(reload);
    else
        end_reading(reload);
}

static unsigned count_hung(const struct server *server)
{
    unsigned count = 0;
    for (const struct reload *hung = server->hung_reloads; hung; hung = hung->next_hung)
        ++count;
    return count;
}

static void give_up(struct reload *reload)
{
    struct server *server = reload->server;
    struct log_line line;
    char path[RELOAD_PATH_SIZE];
    uv_mutex_lock(&reload->lock);
    memcpy(path, reload->opening, sizeof path);
    uv_mutex_unlock(&reload->lock);
    log_begin(&line, CONFIG_LOG_ERROR,
              "reading the configuration takes too long and is given up; the one until now stays in force. Look at the "
              "disk or share where the file is, and reload again");
    log_text(&line, "file", path);
    log_number(&line, "seconds", RELOAD_READ_US / 1000000);
    log_end(&line);
    set_mistake(server, "reading the configuration was given up after 30 s");
    reload->given_up = true;
    reload->next_hung = server->hung_reloads;
    server->hung_reloads = reload;
    server->reload = NULL;
    event_log_reopen(&server->event_log, server->config.events);
    platform_notify_ready();
    if (reload->again)
        reload_again(server);
}

void reload_look(struct server *server, uint64_t now_us)
{
    struct reload *reload = server->reload;
    if (reload && reload->reading && now_us - reload->begun_us >= RELOAD_READ_US)
        give_up(reload);
}

static bool init_locks(struct reload *reload)
{
    if (uv_mutex_init(&reload->lock) != 0)
        return false;
    if (uv_mutex_init(&reload->rings_lock) == 0)
        return true;
    uv_mutex_destroy(&reload->lock);
    return false;
}

static struct reload *new_reload(struct server *server)
{
    struct reload *reload = count_hung(server) < RELOAD_HUNG_MAX ? calloc(1, sizeof *reload) : NULL;
    if (!reload)
        return NULL;
    if (!init_locks(reload)) {
        free(reload);
        return NULL;
    }
    reload->server = server;
    reload->message.handle = handle_read;
    reload->work.data = reload;
    config_init(&reload->config);
    config_report_init(&reload->report);
    return reload;
}

void reload_again(struct server *server)
{
    if (server->reload) {
        server->reload->again = true; /* the files may have changed since they were read */
        return;
    }
    struct reload *reload = new_reload(server);
    if (reload && uv_thread_create(&reload->thread, read_configuration, reload) != 0) {
        free_reload(reload);
        reload = NULL;
    }
    if (!reload) {
        log_plain(CONFIG_LOG_ERROR, count_hung(server) < RELOAD_HUNG_MAX
                                        ? "out of memory or threads: the configuration is not read again"
                                        : "the configuration is not read again: earlier readings of it still hang; "
                                          "look at the disk or share where its files are");
        event_log_reopen(&server->event_log, server->config.events);
        return;
    }
    reload->begun_us = worker_now_us();
    reload->reading = true;
    server->reload = reload;
    platform_notify_reloading();
}

void reload_stop(struct server *server)
{
    struct reload *reload = server->reload;
    if (!reload || !reload->applying)
        return; /* files are being read: open_read comes, and sees that all is over */
    policies_keep(&server->policies, &reload->policies); /* sessions have some of them */
    config_clear(&reload->config);
    end_reload(reload);
}

bool reload_is_over(struct server *server)
{
    for (unsigned i = 0; i < RELOAD_END_LOOK; ++i) {
        (void)mailbox_handle(&server->mailbox);
        if (!server->hung_reloads && !(server->reload && server->reload->reading))
            return true;
        uv_sleep(RELOAD_END_MS);
    }
    return false;
}
