/* SPDX-License-Identifier: Apache-2.0 */
/* The writer's file: opened, opened again when it was moved away, set aside when it is damaged. */
#include "service/runtime/log.h"
#include "service/store/store_internal.h"

#include <stdio.h>

void store_close_file(struct store *store)
{
    database_close(store->database);
    store->database = NULL;
}

static void set_aside(struct store *store)
{
    char aside[4300];
    struct log_line line;
    int code = database_set_aside(store->settings.path, aside, sizeof aside);
    if (code != 0) {
        store_fail(store, "the file is damaged, and cannot be moved away");
        return;
    }
    store->retry_ms = 0;
    log_begin(&line, CONFIG_LOG_ERROR,
              "store is damaged: it was set aside, and a new one begins with what the result file has");
    log_text(&line, "store", store->settings.path);
    log_text(&line, "damaged", aside);
    log_end(&line);
}

void store_fail_code(struct store *store, int code)
{
    char error[STORE_ERROR_SIZE];
    (void)snprintf(error, sizeof error, "%s", database_error(store->database));
    database_rollback(store->database);
    if (!database_is_full(code))
        store_close_file(store);
    store_fail(store, error);
    if (database_is_damage(code))
        set_aside(store);
}

static void tell_targets(struct store *store)
{
    if (store->targets_told || !store->callbacks.on_target)
        return;
    store->targets_told = true;
    (void)database_targets(store->database, store->callbacks.on_target, store->callbacks.user);
}

/* Another process's transaction is waited for a short time only when there are other settings, or no time. */
static bool is_hurried(void *user)
{
    struct store *store = user;
    uv_mutex_lock(&store->lock);
    bool is_hurried = store->ending || store->wanted;
    uv_mutex_unlock(&store->lock);
    return is_hurried;
}

/* Opens the file, or renames a damaged one: the next call then makes a new file. */
static void open_file(struct store *store)
{
    const struct database_patience patience = {is_hurried, store};
    char error[STORE_ERROR_SIZE];
    bool damaged;
    store->database = database_open(store->settings.path, &patience, error, &damaged);
    if (!store->database) {
        store_fail(store, error);
        if (damaged)
            set_aside(store);
        return;
    }
    uint64_t newest = database_newest(store->database);
    if (newest < store->newest) {
        database_skip_to(store->database, store->newest);
        store->catch_up_due = true; /* the file is another one than before */
    }
    store_begin_age(store);
    store->sinks_due = true;
    (void)atomic_fetch_add(&store->generation, 1);
    tell_targets(store);
}

/* A reader or a statement found damage: checks the whole file. */
static void look_at_suspect(struct store *store)
{
    if (!atomic_exchange(&store->suspect, false) || !store->database)
        return;
    if (database_check(store->database))
        return;
    store_close_file(store);
    store_fail(store, "the file is damaged");
    set_aside(store);
}

void store_look_at_file(struct store *store)
{
    look_at_suspect(store);
    if (store->database && !database_is_ours(store->database)) {
        struct log_line line;
        log_begin(&line, CONFIG_LOG_WARNING, "store was moved or replaced: the file at its path is opened");
        log_text(&line, "store", store->settings.path);
        log_end(&line);
        store_close_file(store);
        store->catch_up_due = true;
        store->retry_ms = 0;
    }
    if (!store->database && store_clock_ms() >= store->retry_ms)
        open_file(store);
}
