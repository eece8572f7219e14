/* SPDX-License-Identifier: Apache-2.0 */
#include "service/log.h"
#include "service/lookup.h"
#include "service/platform/platform.h"
#include "service/server_internal.h"

#include <stdlib.h>
#include <string.h>

#define RELOAD_SLICE_US 1000U
#define RELOAD_LOOK     64 /* rows between two looks at the clock */

enum reload_step { STEP_KEEP, STEP_ADD };

/* A configuration on its way into the server: read on a thread of the pool, applied in slices. */
struct reload {
    struct server *server;
    uv_work_t work;
    uv_idle_t idle;                    /* active while targets are applied */
    struct kdnetd_config config, left; /* `left`: its targets, when they are applied */
    struct config_report report;
    bool good, again, applying;
    enum reload_step step;
    size_t at, ids; /* STEP_KEEP: the next of the rows that there were; STEP_ADD: the next target */
    bool *stays;    /* by target: it has a row */
    bool index_due;
    struct policies policies;
};

static bool same_address(const struct listener *listener, const struct config_address *address)
{
    return listener->local.port == address->port && address_same_ip(&listener->local, address->ip);
}

/* A listener that cannot be opened is told in the log; the others serve. Returns whether all could. */
static bool open_listeners(struct server *server, const struct kdnetd_config *config)
{
    bool all = true;
    for (size_t i = 0; i < config->listen_count; ++i) {
        const struct listener *listener = server->listeners;
        while (listener && !same_address(listener, &config->listens[i].address))
            listener = listener->next;
        if (!listener && !listener_open(server, &config->listens[i].address))
            all = false;
    }
    return all;
}

static void close_listeners(struct server *server, const struct kdnetd_config *config)
{
    for (struct listener *listener = server->listeners, *next = NULL; listener; listener = next) {
        bool wanted = false;
        next = listener->next;
        for (size_t i = 0; i < config->listen_count && !wanted; ++i)
            wanted = same_address(listener, &config->listens[i].address);
        if (wanted)
            continue;
        char text[ADDRESS_TEXT_SIZE];
        struct log_line line;
        address_format(&listener->local, text);
        log_begin(&line, CONFIG_LOG_NOTICE, "no longer listening");
        log_text(&line, "listen", text);
        log_end(&line);
        listener_close(listener);
    }
}

static void say_target(enum config_log_level level, const char *message, const char *name)
{
    struct log_line line;
    log_begin(&line, level, message);
    log_text(&line, "target", name);
    log_end(&line);
}

/* A machine that is held must not stand still for ever because its target was taken out. */
static void remove_target(struct server *server, struct target *target)
{
    uint64_t now_us = server_now_us();
    if (kdnet_session_release(target->session, KDNET_ACTION_CONTINUE, now_us) == KDNET_OK)
        dispatch_pump(server, target, NULL, NULL, now_us);
    if (target->halted)
        say_target(CONFIG_LOG_WARNING,
                   "target removed while its machine was halted; add it again, or the machine may "
                   "stand still",
                   target->name);
    else
        say_target(CONFIG_LOG_NOTICE, "target removed", target->name);
    dispatch_uncount(server, target);
    timers_set(&server->timers, target->id, TIMERS_NEVER, now_us);
    targets_remove(&server->targets, target);
}

static bool is_same_session(const struct target *row, const struct config_target *config)
{
    const struct kdnet_key *key = kdnet_session_key(row->session);
    return kdnet_crypto_differ(key->bytes, config->key.bytes, sizeof key->bytes) == 0 && row->port == config->port;
}

static bool has_same_address(const struct target *row, const struct config_target *config)
{
    struct address address = targets_configured(row);
    return row->has_address == config->has_address &&
           (!row->has_address || address_same_ip(&address, config->address.ip));
}

static bool update_target(struct reload *reload, struct target *row, const struct config_target *target)
{
    const struct kdnet_policy *policy = policies_of(&reload->policies, &reload->config, target);
    if (!policy)
        return false;
    kdnet_session_set_policy(row->session, policy);
    if (has_same_address(row, target))
        return true;
    targets_set_address(&reload->server->targets, row, target->has_address, &target->address);
    reload->index_due = true;
    return true;
}

/* Updates a row that stays, removes another. `stays` gets a true for each target that has a row. */
static bool keep_target(struct reload *reload, uint32_t id)
{
    struct server *server = reload->server;
    struct target *row = targets_row(&server->targets, id);
    const struct config_target *target = row ? config_find_target(&reload->config, row->name) : NULL;
    if (!row)
        return true;
    if (target && is_same_session(row, target)) {
        reload->stays[target - reload->config.targets] = true;
        return update_target(reload, row, target);
    }
    reload->index_due = reload->index_due || row->has_address;
    remove_target(server, row);
    return true;
}

static bool add_target(struct reload *reload, const struct config_target *target)
{
    struct server *server = reload->server;
    const struct kdnet_policy *policy = policies_of(&reload->policies, &reload->config, target);
    struct target *row = policy ? targets_add(&server->targets, target) : NULL;
    if (!row)
        return false;
    row->session = kdnet_session_new(&server->shared, policy, &target->key);
    reload->index_due = reload->index_due || row->has_address;
    if (row->session)
        return true;
    targets_remove(&server->targets, row);
    return false;
}

/* Rows that could not be changed for want of memory keep what they have; the others go on. */
static bool next_target(struct reload *reload)
{
    const struct kdnetd_config *config = &reload->config;
    if (reload->step == STEP_KEEP && reload->at < reload->ids) {
        reload->good = keep_target(reload, (uint32_t)reload->at++) && reload->good;
        return true;
    }
    if (reload->step == STEP_KEEP) {
        reload->step = STEP_ADD;
        reload->at = 0;
    }
    if (reload->at == config->target_count)
        return false;
    size_t at = reload->at++;
    if (!reload->stays[at])
        reload->good = add_target(reload, &config->targets[at]) && reload->good;
    return true;
}

static bool begin_targets(struct reload *reload)
{
    struct server *server = reload->server;
    size_t count = reload->config.target_count;
    size_t ids = server->targets.ids > count ? server->targets.ids : count;
    reload->step = STEP_KEEP;
    reload->at = 0;
    reload->ids = server->targets.ids;
    reload->index_due = false;
    reload->stays = calloc(count + 1, sizeof *reload->stays);
    policies_init(&reload->policies);
    reload->good = reload->stays && targets_reserve(&server->targets, ids) && timers_reserve(&server->timers, ids);
    return reload->good;
}

/* When a policy could not be made, rows may still have one of before: then those stay, too. */
static void end_targets(struct reload *reload)
{
    struct server *server = reload->server;
    free(reload->stays);
    reload->stays = NULL;
    if (reload->index_due)
        reload->good = targets_index(&server->targets) && reload->good;
    if (!reload->good)
        log_plain(CONFIG_LOG_ERROR, "out of memory: some targets are not served; give kdnetd more, and reload");
    if (!reload->good)
        policies_keep(&reload->policies, &server->policies);
    policies_clear(&server->policies);
    server->policies = reload->policies;
    config_take_targets(&reload->config, &reload->left); /* the rows have all of it */
}

static void apply_settings(struct server *server, const struct kdnetd_config *config)
{
    server->shared.read_deadline_us = config->read_deadline_ms * 1000;
    server->shared.lost_after_us = config->lost_after_ms * 1000;
    server->shared.dump_for_us = config->dump_for_ms * 1000;
    server->shared.prints = config->prints;
    server_choose_symbols(server, config);
    log_set_level(config->log_level);
}

static void say_unused(const struct kdnetd_config *config)
{
    if (config->target_count == 0)
        log_plain(CONFIG_LOG_WARNING, "targets: there are none, so no machine is served; `kdnetctl keygen` makes the "
                                      "lines for one");
    if (config->has_http)
        log_plain(CONFIG_LOG_WARNING, "http: this version has no HTTP interface; its results are in events:");
    if (!config->events)
        log_plain(CONFIG_LOG_WARNING, "events: is not set: results are told in this log only");
}

bool reload_first(struct server *server)
{
    struct reload reload = {.server = server, .config = server->config};
    apply_settings(server, &server->config);
    say_unused(&server->config);
    if (!lookup_configure(server->lookup, &server->config))
        return false;
    if (begin_targets(&reload))
        while (next_target(&reload))
            ;
    end_targets(&reload);
    config_clear(&reload.left);
    platform_trim_memory();
    server->config = reload.config;
    return reload.good && open_listeners(server, &server->config);
}

static void say_mistakes(const struct config_report *report)
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
}

static void on_idle_closed(uv_handle_t *idle)
{
    free(idle->data);
}

/* Everything is applied, or nothing was to be. */
static void end_reload(struct reload *reload)
{
    struct server *server = reload->server;
    bool again = reload->again;
    server->reload = NULL;
    config_report_clear(&reload->report);
    uv_close((uv_handle_t *)&reload->idle, on_idle_closed);
    if (server->finished)
        return;
    results_reopen(&server->results, server->config.events);
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

static void end_apply(struct reload *reload)
{
    struct server *server = reload->server;
    struct log_line line;
    end_targets(reload);
    close_listeners(server, &reload->config);
    config_clear(&server->config);
    server->config = reload->config;
    /* Anew also when nothing changed: a reload asks again for what was not there. */
    (void)lookup_configure(server->lookup, &server->config);
    say_unused(&server->config);
    log_begin(&line, CONFIG_LOG_NOTICE, "configuration read again");
    log_number(&line, "targets", server->targets.count);
    log_end(&line);
    reload->applying = false;
    (void)uv_idle_stop(&reload->idle);
    if (uv_queue_work(&server->loop, &reload->work, clear_left, on_left_cleared) != 0) {
        config_clear(&reload->left);
        end_reload(reload);
    }
}

/* Some rows between two rounds of the loop: machines do not wait for the others' rows. */
static void on_idle(uv_idle_t *idle)
{
    struct reload *reload = idle->data;
    uint64_t until_us = server_now_us() + RELOAD_SLICE_US;
    bool more = true;
    do
        for (size_t i = 0; i < RELOAD_LOOK && more; ++i)
            more = next_target(reload);
    while (more && server_now_us() < until_us);
    if (!more)
        end_apply(reload);
}

static void begin_apply(struct reload *reload)
{
    struct server *server = reload->server;
    apply_settings(server, &reload->config);
    (void)open_listeners(server, &reload->config);
    reload->applying = true;
    if (begin_targets(reload))
        (void)uv_idle_start(&reload->idle, on_idle);
    else
        end_apply(reload);
}

static void read_configuration(uv_work_t *work)
{
    struct reload *reload = work->data;
    reload->good = options_load(reload->server->options, &reload->config, &reload->report);
}

static void on_read(uv_work_t *work, int status)
{
    struct reload *reload = work->data;
    bool good = status == 0 && reload->good && !reload->server->finished;
    if (good) {
        begin_apply(reload);
        return;
    }
    if (!reload->server->finished)
        say_mistakes(&reload->report);
    config_clear(&reload->config);
    end_reload(reload);
}

void reload_again(struct server *server)
{
    if (server->reload) {
        server->reload->again = true; /* the files may have changed since they were read */
        return;
    }
    struct reload *reload = calloc(1, sizeof *reload);
    if (!reload || uv_idle_init(&server->loop, &reload->idle) != 0) {
        log_plain(CONFIG_LOG_ERROR, "out of memory: the configuration is not read again");
        free(reload);
        return;
    }
    ++server->totals.reloads;
    reload->server = server;
    reload->idle.data = reload->work.data = reload;
    config_init(&reload->config);
    config_report_init(&reload->report);
    server->reload = reload;
    platform_notify_reloading();
    if (uv_queue_work(&server->loop, &reload->work, read_configuration, on_read) != 0)
        on_read(&reload->work, UV_ENOMEM);
}

bool reload_is_applying(const struct server *server)
{
    return server->reload && server->reload->applying;
}

void reload_stop(struct server *server)
{
    struct reload *reload = server->reload;
    if (!reload || !reload->applying)
        return; /* files are being read: on_read comes, and sees that all is over */
    free(reload->stays);
    policies_keep(&server->policies, &reload->policies); /* sessions have some of them */
    config_clear(&reload->config);
    end_reload(reload);
}
