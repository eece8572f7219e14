/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applies the configuration, at the start and again on HUP.
 *
 * On HUP: a thread of its own reads the configuration and makes each target's policy. A hanging share holds up that
 * thread and nothing else, and after RELOAD_READ_US it is no longer waited for. Then the workers take four steps
 * together; each step begins when all workers have done the previous one. FREEZE: the settings apply, and no row moves
 * to another worker. KEEP: each worker goes through its rows: they stay, are changed, or go. ADD: targets without a row
 * get one. THAW: rows move again. KEEP and ADD proceed in slices between the rounds of each loop.
 */
#include "config/characters.h"
#include "config/remedies.h"
#include "service/platform/inherited.h"
#include "service/runtime/log.h"
#include "service/symbols/lookup.h"
#include "service/platform/platform.h"
#include "service/server/reload_apply.h"
#include "service/server/server_internal.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RELOAD_READ_US  30000000U
#define RELOAD_HUNG_MAX 4U  /* given-up readings whose threads still run */
#define RELOAD_END_MS   10U /* between two looks at a reading, at the end */

static void handle_done(struct message *message, void *owner);

/* Again: the steps go round. */

static void post_step(struct reload *reload)
{
    struct server *server = reload->server;
    reload->working = server->worker_count;
    for (unsigned i = 0; i < server->worker_count; ++i) {
        reload->apply[i].message.handle = reload_apply_step;
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

/* --- configuration, on the server's thread or the reading one ----------------------------------------------------- */

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
    struct snapshots *snapshots = reload->server->observe.snapshots;
    if (snapshots && !snapshots_reserve(snapshots, count))
        return false;
    if (!reload->policy_of || !reload->rings || !reload->stays || !reload->apply || !reload->let_go)
        return false;
    for (unsigned i = 0; i < reload->server->worker_count; ++i)
        reload->apply[i].reload = reload;
    reload->homes = reload->server->hinting.hints ? calloc(count + 1, 1) : NULL;
    for (size_t i = 0; reload->homes && i < count; ++i)
        reload->homes[i] = hinting_home(reload->server, reload->config.targets[i].name);
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
    free(reload->homes);
    free(reload->apply);
    reload->rings = NULL;
    reload->policy_of = NULL;
    reload->stays = NULL;
    reload->homes = NULL;
    reload->apply = NULL;
}

/* When a policy could not be made, rows may still use an old one: then the old policies stay, too. */
static void end_targets(struct reload *reload)
{
    struct server *server = reload->server;
    free_prepared(reload);
    if (!reload->good) {
        log_plain(CONFIG_LOG_ERROR, "out of memory: some targets are not served; give kdnetd more, and reload");
        policies_keep(&reload->policies, &server->policies);
    }
    if (server->observe.snapshots)
        snapshots_collect(server->observe.snapshots); /* nobody reads labels of the old policies any more */
    policies_clear(&server->policies);
    server->policies = reload->policies;
    config_take_targets(&reload->config, &reload->left); /* the rows have copies of everything */
}

static void say_unused(const struct kdnetd_config *config, size_t target_count)
{
    if (target_count == 0)
        log_plain(CONFIG_LOG_WARNING, "targets: there are none, so no machine is served; `kdnetctl keygen` makes the "
                                      "lines for one");
    if (!config->events)
        log_plain(CONFIG_LOG_WARNING, "events: is not set: results are told in this log only");
}

/* While no worker runs, does the workers' part for them. */
static void do_steps(struct reload *reload)
{
    struct server *server = reload->server;
    for (reload->step = STEP_FREEZE; reload->step < STEPS; ++reload->step)
        for (unsigned i = 0; i < server->worker_count; ++i) {
            struct apply *apply = &reload->apply[i];
            reload_apply_begin(&server->workers[i], apply);
            while (apply->at < apply->end)
                reload_apply_next(&server->workers[i], apply);
            reload_apply_end(&server->workers[i], apply);
            reload->good = apply->good && reload->good;
        }
}

bool reload_first(struct server *server)
{
    struct reload reload = {.server = server, .config = server->config};
    log_set_level(server->config.log_level);
    say_unused(&server->config, server->config.target_count);
    if (!lookup_configure(server->lookup, &server->config) || uv_mutex_init(&reload.rings_lock) != 0) {
        log_plain(CONFIG_LOG_ERROR, "out of memory; " REMEDY_LIMITS);
        return false;
    }
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
    characters_mend(server->mistake);
    summary_status(server);
}

/* Before a reload is told as done, or as not: whoever has renamed the file finds no later result in it. */
static void open_results_again(struct server *server)
{
    event_log_reopen(&server->event_log, server->config.events);
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
    api_reloaded(server, report, NULL);
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
    platform_notify_ready();
    if (again)
        reload_again(server);
}

/* Wipes a hundred thousand keys on a pool thread, because that takes milliseconds. */
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
    /* Also without a change: a reload asks again for symbols that were missing. */
    (void)lookup_configure(server->lookup, &server->config);
    say_unused(&server->config, count);
    set_mistake(server, "");
    hinting_reloaded(server);
    observe_configure(&server->observe, &server->config);
    api_serve(&server->api, &server->config);
    open_results_again(server);
    log_begin(&line, CONFIG_LOG_NOTICE, "configuration read again");
    log_number(&line, "targets", count);
    log_end(&line);
    reload->applying = false;
    api_reloaded(server, NULL, NULL);
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

/* On the reading thread. */

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
    if (reload->good && !prepare(reload))
        free_prepared(reload); /* so that nothing of it is applied */
    mailbox_post(&server->mailbox, &reload->message);
}

/* On the server's thread again. */

/* Drops a reload that is invalid or no longer wanted. */
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
        open_results_again(server);
        if (right) {
            log_plain(CONFIG_LOG_ERROR, "out of memory: the configuration is not read again");
            api_reloaded(server, NULL, "out of memory: the configuration is not read again");
        } else
            say_mistakes(server, &reload->report);
        drop(reload);
    }
}

/* A given-up reading has ended after all; its content is outdated. */
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
    (void)uv_thread_join(&reload->thread); /* the message was the thread's last action */
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
    open_results_again(server);
    log_begin(&line, CONFIG_LOG_ERROR,
              "reading the configuration takes too long and is given up; the one until now stays in force. Look at the "
              "disk or share where the file is, and reload again");
    log_text(&line, "file", path);
    log_number(&line, "seconds", RELOAD_READ_US / 1000000);
    log_end(&line);
    set_mistake(server, "reading the configuration was given up after 30 s");
    api_reloaded(server, NULL, server->mistake);
    reload->given_up = true;
    reload->next_hung = server->hung_reloads;
    server->hung_reloads = reload;
    server->reload = NULL;
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
    reload->done = handle_done;
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
        open_results_again(server);
        log_plain(CONFIG_LOG_ERROR, count_hung(server) < RELOAD_HUNG_MAX
                                        ? "out of memory or threads: the configuration is not read again"
                                        : "the configuration is not read again: earlier readings of it still hang; "
                                          "look at the disk or share where its files are");
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
        return;                                          /* files are being read: open_read comes and notices the end */
    policies_keep(&server->policies, &reload->policies); /* sessions have some of them */
    config_clear(&reload->config);
    end_reload(reload);
}

bool reload_is_over(struct server *server, unsigned wait_ms)
{
    for (unsigned waited_ms = 0; waited_ms <= wait_ms; waited_ms += RELOAD_END_MS) {
        (void)mailbox_handle(&server->mailbox);
        if (!server->hung_reloads && !(server->reload && server->reload->reading))
            return true;
        uv_sleep(RELOAD_END_MS);
    }
    return false;
}
