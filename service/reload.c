/* SPDX-License-Identifier: Apache-2.0 */
#include "service/log.h"
#include "service/lookup.h"
#include "service/platform/platform.h"
#include "service/server_internal.h"

#include <stdlib.h>
#include <string.h>

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
    if (target->session && kdnet_session_release(target->session, KDNET_ACTION_CONTINUE, now_us) == KDNET_OK)
        dispatch_pump(server, target, NULL, NULL, now_us);
    if (target->halted)
        say_target(CONFIG_LOG_WARNING,
                   "target removed while its machine was halted; add it again, or the machine may "
                   "stand still",
                   target->name);
    else
        say_target(CONFIG_LOG_NOTICE, "target removed", target->name);
    dispatch_uncount(server, target);
    timers_set(&server->timers, target->id, TIMERS_NEVER);
    targets_remove(&server->targets, target);
}

static bool is_same_session(const struct target *row, const struct config_target *config)
{
    return kdnet_crypto_differ(row->key.bytes, config->key.bytes, sizeof row->key.bytes) == 0 &&
           row->port == config->port;
}

static void update_target(struct server *server, struct target *row, const struct kdnetd_config *config,
                          const struct config_target *target)
{
    struct address address = address_from_config(&target->address);
    targets_policy(config, target, &row->policy);
    if (row->session)
        kdnet_session_set_policy(row->session, &row->policy);
    if (row->has_address != target->has_address || !address_equal(&row->address, &address))
        targets_set_address(&server->targets, row, target->has_address, &target->address);
}

/* Updates the rows that stay, removes the others. `stays` gets a true for each target of `config` that has a row. */
static void keep_targets(struct server *server, const struct kdnetd_config *config, bool *stays)
{
    for (uint32_t id = 0; id < server->targets.ids; ++id) {
        struct target *row = targets_row(&server->targets, id);
        const struct config_target *target = row ? config_find_target(config, row->name) : NULL;
        if (!row)
            continue;
        if (!target || !is_same_session(row, target)) {
            remove_target(server, row);
            continue;
        }
        update_target(server, row, config, target);
        stays[target - config->targets] = true;
    }
}

static bool add_target(struct server *server, const struct kdnetd_config *config, const struct config_target *target)
{
    struct target *row = targets_add(&server->targets, target);
    if (!row)
        return false;
    targets_policy(config, target, &row->policy);
    return dispatch_new_session(server, row);
}

static bool apply_targets(struct server *server, const struct kdnetd_config *config)
{
    size_t ids = server->targets.ids > config->target_count ? server->targets.ids : config->target_count;
    bool *stays = calloc(config->target_count + 1, sizeof *stays);
    bool good = stays && targets_reserve(&server->targets, ids) && timers_reserve(&server->timers, ids);
    if (good)
        keep_targets(server, config, stays);
    for (size_t i = 0; good && i < config->target_count; ++i)
        if (!stays[i])
            good = add_target(server, config, &config->targets[i]);
    free(stays);
    good = targets_index(&server->targets) && good;
    if (!good)
        log_plain(CONFIG_LOG_ERROR, "out of memory: some targets are not served; give kdnetd more, and reload");
    return good;
}

static void apply_settings(struct server *server, const struct kdnetd_config *config)
{
    server->shared.read_deadline_us = config->read_deadline_ms * 1000;
    server->shared.lost_after_us = config->lost_after_ms * 1000;
    server->shared.dump_for_us = config->dump_for_ms * 1000;
    server->shared.prints = config->prints;
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
    apply_settings(server, &server->config);
    say_unused(&server->config);
    return lookup_configure(server->lookup, &server->config) && apply_targets(server, &server->config) &&
           open_listeners(server, &server->config);
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

static void apply(struct server *server, struct kdnetd_config *config)
{
    struct log_line line;
    apply_settings(server, config);
    (void)open_listeners(server, config);
    (void)apply_targets(server, config);
    close_listeners(server, config);
    struct kdnetd_config old = server->config;
    server->config = *config;
    config_clear(&old);
    (void)lookup_configure(
        server->lookup,
        &server->config); /* anew also when nothing changed: a reload asks again for what was not there */
    say_unused(&server->config);
    log_begin(&line, CONFIG_LOG_NOTICE, "configuration read again");
    log_number(&line, "targets", server->targets.count);
    log_end(&line);
}

void reload_again(struct server *server)
{
    struct kdnetd_config config;
    struct config_report report;
    ++server->totals.reloads;
    config_report_init(&report);
    platform_notify_reloading();
    if (options_load(server->options, &config, &report)) {
        apply(server, &config);
    } else {
        say_mistakes(&report);
        config_clear(&config);
    }
    config_report_clear(&report);
    results_reopen(&server->results, server->config.events);
    platform_notify_ready();
}
