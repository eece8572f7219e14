/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "service/server/server_api_internal.h"
#include "service/http/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void tell_port(struct api *api, const struct port *port)
{
    struct http_status *status = api->status;
    struct http_listener *to = &status->listeners[status->listener_count++];
    const struct listener_counts *counts = &port->counts;
    *to = (struct http_listener){.open = port->open,
                                 .heard_us = api_people_us(port->facts.heard_us),
                                 .received = counts->received,
                                 .malformed = counts->malformed,
                                 .forged = counts->forged,
                                 .unknown = counts->unknown,
                                 .unknown_data = counts->unknown_data,
                                 .refused = counts->refused,
                                 .shed = counts->shed,
                                 .overflowed = counts->overflowed,
                                 .sent = counts->sent,
                                 .send_failed = counts->send_failed,
                                 .send_dropped = counts->send_dropped};
    address_format(&port->local, to->address);
    memcpy(api->ports[api->port_count].address, to->address, sizeof to->address);
    api->ports[api->port_count++].counts = *counts;
}

/* Keeps the start time of a component that was degraded a second ago. */
static void tell_degraded(struct http_status *status, const struct http_status *before, const char *what,
                          const char *name, const char *why)
{
    if (status->degraded_count == HTTP_DEGRADED)
        return;
    struct http_degraded *to = &status->degraded[status->degraded_count++];
    (void)snprintf(to->what, sizeof to->what, "%s", what);
    (void)snprintf(to->name, sizeof to->name, "%s", name);
    (void)snprintf(to->why, sizeof to->why, "%s", why);
    characters_mend(to->why);
    to->since_us = api_wall_us();
    for (size_t i = 0; i < before->degraded_count; ++i)
        if (strcmp(before->degraded[i].what, to->what) == 0 && strcmp(before->degraded[i].name, to->name) == 0)
            to->since_us = before->degraded[i].since_us;
}

static void tell_ports(struct api *api, const struct http_status *before)
{
    struct http_status *status = api->status;
    status->listener_count = api->port_count = 0;
    for (const struct port *port = api->server->ports; port && status->listener_count < HTTP_LISTENERS;
         port = port->next) {
        if (!port->wanted)
            continue;
        tell_port(api, port);
        const char *name = status->listeners[status->listener_count - 1].address;
        if (!port->open)
            tell_degraded(status, before, "listener", name, port->error ? uv_strerror(port->error) : "it is not open");
        else if (port->deaf > 0)
            tell_degraded(status, before, "listener", name, "nothing can be received there");
        else if (port->hearing.verdict == HEARING_SILENT)
            tell_degraded(status, before, "listener", name, "its machines fell silent together");
    }
}

static void tell_store(struct api *api, const struct http_status *before)
{
    struct store_status *store = api->server->observe.store ? malloc(sizeof *store) : NULL;
    if (!store)
        return;
    store_status(api->server->observe.store, store);
    if (store->state == STORE_DEGRADED)
        tell_degraded(api->status, before, "store", store->path, store->error);
    free(store);
}

static void tell_event_log(struct api *api, const struct http_status *before)
{
    struct event_log_counts counts;
    event_log_count(&api->server->event_log, &counts);
    api->status->results_pending = counts.waiting_lines;
    if (counts.waiting_lines > 0 && counts.errors > 0 && event_log_is_wanted(&api->server->event_log))
        tell_degraded(api->status, before, "results", api->server->config.events ? api->server->config.events : "",
                      "lines wait, for the file cannot be written: look at its disk, its folder and who may write "
                      "there");
}

struct sinks_to_tell {
    struct http_status *status;
    const struct http_status *before;
};

static void tell_sink(void *user, const struct sinks_status *sink)
{
    const struct sinks_to_tell *to = user;
    if (sink->failing_us != 0)
        tell_degraded(to->status, to->before, "sink", sink->name, sink->last_error);
}

static void tell_sinks(struct api *api, const struct http_status *before)
{
    struct sinks_to_tell to = {api->status, before};
    if (api->server->observe.sinks)
        sinks_each(api->server->observe.sinks, tell_sink, &to);
}

static void tell_readiness(struct api *api)
{
    const struct server *server = api->server;
    struct http_status *status = api->status;
    const char *why = server->stopping          ? "kdnetd is stopping"
                      : server->draining        ? "kdnetd is draining"
                      : ports_open(server) == 0 ? "no listener is open"
                                                : "";
    status->draining = server->draining;
    status->stopping = server->stopping;
    status->ready = why[0] == '\0';
    (void)snprintf(status->not_ready, sizeof status->not_ready, "%s", why);
}

static void tell_configuration(struct api *api, const struct http_status *before)
{
    struct server *server = api->server;
    struct http_status *status = api->status;
    const char *path = server->options->config_path;
    memcpy(status->collector, server->config.collector, sizeof status->collector);
    observe_absolute(path ? path : "", status->configuration, sizeof status->configuration);
    (void)snprintf(status->configuration_error, sizeof status->configuration_error, "%s", server->mistake);
    status->reload_failed = server->mistake[0] != '\0';
    status->read_us = api->read_us;
    if (status->reload_failed)
        tell_degraded(status, before, "configuration", path ? path : "", server->mistake);
}

void api_look(struct api *api)
{
    struct http_status *before = api->status ? malloc(sizeof *before) : NULL;
    if (!before)
        return;
    api_turned(api, 0, 0);
    atomic_store(&api->loop_count,
                 api->server->worker_count + 1 < HTTP_LOOPS ? api->server->worker_count + 1 : HTTP_LOOPS);
    uv_mutex_lock(&api->lock);
    *before = *api->status;
    api->status->degraded_count = 0;
    api->status->workers = api->server->worker_count;
    api->totals = api->server->summary.totals;
    api->sessions = api->server->summary.sessions;
    tell_ports(api, before);
    tell_store(api, before);
    tell_event_log(api, before);
    tell_configuration(api, before);
    tell_sinks(api, before);
    api->status->degraded_count += http_degraded(api->http, api->status->degraded + api->status->degraded_count,
                                                 HTTP_DEGRADED - api->status->degraded_count);
    tell_readiness(api);
    api_renew_unknowns(api);
    api->status->unknown_sources = api_count_unknown(api);
    uv_mutex_unlock(&api->lock);
    free(before);
}

void api_get_status(void *user, struct http_status *out)
{
    struct api *api = user;
    uv_mutex_lock(&api->lock);
    *out = *api->status;
    uv_mutex_unlock(&api->lock);
    if (api->server->observe.snapshots)
        snapshots_count(api->server->observe.snapshots, out->targets);
}
