/* SPDX-License-Identifier: Apache-2.0 */
/* A store that does not work: logged once when the trouble begins and once when it ends. */
#include "service/runtime/log.h"
#include "service/store/store_internal.h"

#include <stdio.h>

uint64_t store_clock_ms(void)
{
    return uv_hrtime() / 1000000;
}

uint64_t store_wall_us(void)
{
    uv_timeval64_t now = {0};
    (void)uv_gettimeofday(&now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_usec;
}

void store_fail(struct store *store, const char *error)
{
    bool is_new = !store->told;
    struct log_line line;
    store->told = true;
    store->retry_ms = store_clock_ms() + STORE_RETRY_MS;
    uv_mutex_lock(&store->lock);
    ++store->status.errors;
    if (store->status.state != STORE_DEGRADED)
        store->status.since_us = store_wall_us();
    store->status.state = STORE_DEGRADED;
    (void)snprintf(store->status.error, STORE_ERROR_SIZE, "%s", error);
    uv_mutex_unlock(&store->lock);
    if (!is_new)
        return;
    log_begin(&line, CONFIG_LOG_ERROR,
              "store cannot be written: results go to the result file alone, and into the store when it works again; "
              "look at its disk, its folder and who may write there");
    log_text(&line, "store", store->settings.path);
    log_text(&line, "error", error);
    log_end(&line);
}

void store_recover(struct store *store)
{
    struct log_line line;
    uv_mutex_lock(&store->lock);
    store->status.state = STORE_OK;
    store->status.since_us = 0;
    store->status.error[0] = '\0';
    uv_mutex_unlock(&store->lock);
    if (!store->told)
        return;
    store->told = false;
    log_begin(&line, CONFIG_LOG_NOTICE, "store can be written again");
    log_text(&line, "store", store->settings.path);
    log_end(&line);
}
