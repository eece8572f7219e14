/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/http/fake_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

struct fake_world fake_world = {.targets = 12, .crashes = 30, .ready = true, .scene = "calm"};
uint64_t fake_started_us;
static char stuck[32];

uint64_t fake_now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Machines. */

bool fake_is_storm(void)
{
    return strcmp(fake_world.scene, "storm") == 0;
}

bool fake_is_hostile(void)
{
    return strcmp(fake_world.scene, "hostile") == 0;
}

unsigned fake_draw(size_t number, unsigned sides)
{
    uint64_t x = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x ^= x >> 29;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    return (unsigned)((x >> 33) % sides);
}

static enum http_state state_of(size_t number)
{
    unsigned roll = fake_draw(number, 1000);
    if (number == 0)
        return HTTP_STATE_HELD;
    if (fake_is_hostile() && number < HTTP_STATES)
        return (enum http_state)number == HTTP_STATE_HELD ? HTTP_STATE_NEVER_SEEN : (enum http_state)number;
    if (fake_is_storm() && roll < 300)
        return roll < 40 ? HTTP_STATE_HALTED : roll < 220 ? HTTP_STATE_DUMPING : HTTP_STATE_REBOOTING;
    return roll < 2    ? HTTP_STATE_HELD
           : roll < 4  ? HTTP_STATE_DUMPING
           : roll < 12 ? HTTP_STATE_LOST
           : roll < 30 ? HTTP_STATE_NEVER_SEEN
                       : HTTP_STATE_CONNECTED;
}

void fake_name_of(size_t number, char out[static 32])
{
    static const char *const roles[] = {"db", "file", "hv", "mail", "web"};
    size_t each = fake_world.targets / 5 + 1;
    (void)snprintf(out, 32, "%s-%06zu", roles[number / each % 5], number % each);
    if (fake_world.targets < 1000)
        (void)snprintf(out, 32, "%s-%02zu", roles[number / each % 5], number % each + 1);
}

struct made {
    char name[32], address[48], labels[96], crash[20], boot[20];
    struct http_target target;
};

static void make_target(size_t number, struct made *out)
{
    fake_name_of(number, out->name);
    enum http_state state = state_of(number);
    (void)snprintf(out->address, sizeof out->address, "10.%zu.%zu.%zu:51111", number >> 16, (number >> 8) & 255,
                   number & 255);
    (void)snprintf(out->labels, sizeof out->labels, "{\"rack\":\"b%u\",\"site\":\"%s\"}", fake_draw(number, 40),
                   fake_is_hostile()      ? HOSTILE
                   : fake_draw(number, 2) ? "north"
                                          : "south");
    (void)snprintf(out->crash, sizeof out->crash, "%016zx", number + 1);
    (void)snprintf(out->boot, sizeof out->boot, "%016zx", number * 7919 + 1);
    bool known = state != HTTP_STATE_NEVER_SEEN;
    bool crashed = known && (state != HTTP_STATE_CONNECTED || number < fake_world.crashes);
    out->target = (struct http_target){
        .name = out->name,
        .state = state,
        .since_us = known ? fake_started_us - fake_draw(number, 500) * HOUR_US / 10 : 0,
        .last_seen_us = known ? fake_now_us() - fake_draw(number, 3000) * 1000U : 0,
        .address = known ? out->address : NULL,
        .version = known ? 5 : 0,
        .boot = known ? out->boot : NULL,
        .session = known ? out->boot : NULL,
        .kernel = known ? "{\"build_lab\":\"26100.1.amd64fre.ge_release.240331-1435\",\"machine\":\"x64\",\"pdb\":null}"
                        : NULL,
        .listener = "0.0.0.0:50000",
        .worker = known ? (int)(number % 2) : -1,
        .crash = crashed ? out->crash : NULL,
        .crash_us = crashed ? fake_started_us - number * HOUR_US / 7 : 0,
        .verdict = crashed ? (fake_draw(number, 8) == 0 ? "failed" : "written") : NULL,
        .labels = out->labels};
}

static bool has_text(const char *in, const char *text)
{
    return in && strcasestr(in, text);
}

static bool matches(const struct http_target_query *query, const struct http_target *target)
{
    char label[200];
    if (query->name && strcmp(query->name, target->name) != 0)
        return false;
    if (query->states && !(query->states & 1U << target->state))
        return false;
    if (query->substring && !has_text(target->name, query->substring) && !has_text(target->address, query->substring) &&
        !has_text(target->labels, query->substring))
        return false;
    for (size_t i = 0; i < query->label_count; ++i) {
        (void)snprintf(label, sizeof label, "\"%s\":\"%s\"", query->labels[i].key, query->labels[i].value);
        if (!strstr(target->labels, label))
            return false;
    }
    return true;
}

/* Made once: to print 100,000 of them takes ten times as long as the real server takes to find one. */
static struct made *made_targets;

static void make_targets(void)
{
    made_targets = calloc(fake_world.targets + 1, sizeof *made_targets);
    if (!made_targets)
        abort();
    for (size_t i = 0; i < fake_world.targets; ++i)
        make_target(i, &made_targets[i]);
}

static bool tell_target(size_t number, http_target_fn *each, void *each_user)
{
    struct http_target target = made_targets[number].target;
    if (target.last_seen_us != 0)
        target.last_seen_us = fake_now_us() - fake_draw(number, 3000) * 1000U;
    return each(each_user, &target);
}

static size_t fake_targets(void *user, const struct http_target_query *query, http_target_fn *each, void *each_user)
{
    size_t total = 0, told = 0;
    bool more = each != NULL;
    (void)user;
    for (size_t i = 0; i < fake_world.targets; ++i) {
        const struct made *made = &made_targets[i];
        if (!matches(query, &made->target))
            continue;
        ++total;
        if (more && told < query->limit && (!query->after || strcmp(made->name, query->after) > 0)) {
            ++told;
            more = tell_target(i, each, each_user);
        }
    }
    return total;
}

/* The rest of the server. */

static void fake_status(void *user, struct http_status *out)
{
    (void)user;
    out->version = "0.0.0-fake";
    (void)snprintf(out->collector, sizeof out->collector, "fake");
    out->started_us = fake_started_us;
    out->workers = 2;
    out->ready = fake_world.ready;
    (void)snprintf(out->not_ready, sizeof out->not_ready, "%s", fake_world.ready ? "" : "kdnetd is draining");
    out->listener_count = 1;
    (void)snprintf(out->listeners[0].address, sizeof out->listeners[0].address, "0.0.0.0:50000");
    out->listeners[0].open = true;
    out->listeners[0].heard_us = fake_now_us();
    out->listeners[0].received = 12345;
    for (size_t i = 0; i < fake_world.targets; ++i)
        ++out->targets[state_of(i)];
    (void)snprintf(out->configuration, sizeof out->configuration, "/etc/kdnetd/kdnetd.yaml");
    out->read_us = fake_started_us;
    if (!fake_is_storm())
        return;
    out->degraded_count = 1;
    (void)snprintf(out->degraded[0].what, sizeof out->degraded[0].what, "results");
    (void)snprintf(out->degraded[0].name, sizeof out->degraded[0].name, "/var/log/kdnetd/events.json");
    (void)snprintf(out->degraded[0].why, sizeof out->degraded[0].why, "the disk is full; results wait in memory");
    out->degraded[0].since_us = fake_started_us - HOUR_US / 20;
}

static void fake_metrics(void *user, struct http_metrics *out)
{
    static const char *const phases[] = {"bugcheck_first", "bugcheck_second", "shutdown", "break", "boot"};
    static const char *const verdicts[] = {"written", "not_started", "failed", "unknown"};
    static const char *const breaks[] = {"bugcheck_first", "bugcheck_second", "shutdown", "break",
                                         "exception",      "load_symbols",    "prompt"};
    (void)user;
    memcpy(out->phase_names, phases, sizeof phases);
    memcpy(out->verdict_names, verdicts, sizeof verdicts);
    memcpy(out->break_names, breaks, sizeof breaks);
    out->crashes = fake_world.crashes;
    out->crash_status[0][0] = 3;
    out->crash_status[2][2] = fake_world.newer; /* shutdown, failed */
    out->halted.bucket[6] = 5;
    out->halted.count = 5;
    out->halted.sum_us = 40000;
    out->loop_count = 1;
    (void)snprintf(out->loops[0].name, sizeof out->loops[0].name, "worker-0");
}

static void fake_counters(void *user, http_counter_fn *each, void *each_user)
{
    (void)user;
    each(each_user, &(struct http_counter){.name = "keys_tried", .number = 17});
}

static const char *fake_stuck(void *user)
{
    (void)user;
    return stuck[0] != '\0' ? stuck : NULL;
}

void fake_set_stuck(const char *name)
{
    (void)snprintf(stuck, sizeof stuck, "%s", strcmp(name, "none") == 0 ? "" : name);
}

static size_t fake_unknown(void *user, http_unknown_fn *each, void *each_user)
{
    (void)user;
    (void)each(each_user, &(struct http_unknown){.address = "192.0.2.9",
                                                 .first_us = fake_started_us,
                                                 .last_us = fake_started_us,
                                                 .count = 3,
                                                 .version = 5,
                                                 .hint = "a machine pokes with a key that no target has: <b>\"x\"</b>",
                                                 .remedy = "kdnetctl keygen"});
    return 1;
}

static void fake_act(void *user, const struct http_act *act,
                     void (*done)(void *done_user, const struct http_acted *acted), void *done_user)
{
    struct http_acted acted = {.outcome = HTTP_ACTED, .id = "fake-0000000000000000-1"};
    struct http_target_query query = {.name = act->target};
    (void)user;
    if (act->target && fake_targets(NULL, &query, NULL, NULL) == 0) {
        acted.outcome = HTTP_NO_SUCH_TARGET;
    } else if (act->action == HTTP_ACTION_RELEASE && strcmp(act->target, "db-01") != 0) {
        acted.outcome = HTTP_WRONG_STATE;
        acted.state = "connected";
        acted.detail = "it is not held; only a held machine is released";
    } else if (act->action == HTTP_ACTION_READ && act->break_in) {
        acted.outcome = HTTP_FORBIDDEN;
        acted.detail = "set break_in: allowed";
    } else if (act->action == HTTP_ACTION_TAKE_BACK) {
        acted.outcome = HTTP_TOO_OFTEN;
        acted.retry_s = 42;
    } else if (act->action == HTTP_ACTION_RELOAD) {
        acted.outcome = HTTP_CONFIGURATION;
        acted.errors = "[{\"file\":\"kdnetd.yaml\",\"line\":3,\"field\":\"listen\",\"detail\":\"is no address\"}]";
    } else if (act->action == HTTP_ACTION_DRAIN) {
        acted.draining = true;
    }
    done(done_user, &acted);
}

static void fake_sinks(void *user, http_sink_fn *each, void *each_user)
{
    (void)user;
    each(each_user, &(struct http_sink){.name = "soc",
                                        .type = "http",
                                        .last_error = "503 Service Unavailable",
                                        .last_error_us = 1795692645000000,
                                        .errors = 3,
                                        .rejected = 2,
                                        .dropped = 1});
}

const struct http_ops fake_ops = {.status = fake_status,
                                  .metrics = fake_metrics,
                                  .counters = fake_counters,
                                  .sinks = fake_sinks,
                                  .stuck = fake_stuck,
                                  .targets = fake_targets,
                                  .unknown = fake_unknown,
                                  .act = fake_act};

void fake_make(void)
{
    fake_started_us = fake_now_us();
    make_targets();
    fake_make_events();
}

void fake_clear(void)
{
    fake_clear_events();
    free(made_targets);
    made_targets = NULL;
}
