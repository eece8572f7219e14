/* SPDX-License-Identifier: Apache-2.0 */
/* feeder CONFIG STORE: a store and the sinks of a configuration; each line of standard input is an event, or `status`,
 * or `reload`: the same configuration once more. Ends with standard input, once the store has taken all, and says each
 * sink's counts. */
#include "service/sinks/sinks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define WAIT_MS 10000U

static struct sinks *sinks; /* NULL: not yet, or not any more; by `lock` where the store's thread uses it */
static uv_mutex_t lock;

static void on_committed(void *user, const struct store_event *events, size_t count)
{
    (void)user;
    (void)events;
    (void)count;
    uv_mutex_lock(&lock);
    if (sinks)
        sinks_wake(sinks);
    uv_mutex_unlock(&lock);
}

static void set_sinks(struct sinks *now)
{
    uv_mutex_lock(&lock);
    sinks = now;
    uv_mutex_unlock(&lock);
}

static void say(void *user, const struct sinks_status *status)
{
    (void)user;
    (void)fprintf(stderr,
                  "%s %s delivered=%" PRIu64 " errors=%" PRIu64 " rejected=%" PRIu64 " failing=%d error=\"%s\"\n",
                  status->name, status->type, status->delivered, status->errors, status->rejected,
                  status->failing_us != 0, status->last_error);
}

static void feed(struct store *store, const struct kdnetd_config *config)
{
    char *line = NULL;
    size_t size = 0;
    for (ssize_t length = getline(&line, &size, stdin); length > 0; length = getline(&line, &size, stdin)) {
        if (strcmp(line, "status\n") == 0) {
            sinks_each(sinks, say, NULL);
            continue;
        }
        if (strcmp(line, "reload\n") == 0) {
            (void)sinks_configure(sinks, store, config);
            continue;
        }
        if (!store_add(store, line, (size_t)length - 1, NULL))
            abort();
    }
    free(line);
}

int main(int argc, char **argv)
{
    struct kdnetd_config config;
    struct config_report report;
    const char *names[CONFIG_SINKS_MAX + 1]; /* and that of nats */
    if (argc != 3 || uv_mutex_init(&lock) != 0)
        return 2;
    config_init(&config);
    config_report_init(&report);
    bool good = config_load(argv[1], &config, &report) && config_check(&config, &report);
    config_report_print(&report, stderr);
    for (size_t i = 0; good && i < config.sink_count; ++i)
        names[i] = config.sinks[i].name;
    const struct store_options options = {.path = argv[2], .sinks = names, .sink_count = config.sink_count};
    const struct store_callbacks callbacks = {.on_committed = on_committed};
    struct store *store = good ? store_open(&options, &callbacks) : NULL;
    struct sinks *opened = store ? sinks_open() : NULL;
    if (!opened || !sinks_configure(opened, store, &config))
        return 1;
    set_sinks(opened);
    feed(store, &config);
    sinks_each(sinks, say, NULL);
    set_sinks(NULL);
    if (!sinks_close(opened, WAIT_MS) || !store_close(store, WAIT_MS))
        _Exit(3);
    config_report_clear(&report);
    config_clear(&config);
    return 0;
}
