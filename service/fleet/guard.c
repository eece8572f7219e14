/* SPDX-License-Identifier: Apache-2.0 */
#include "service/fleet/guard.h"
#include "service/platform/connecting.h"

#include <stdatomic.h>
#include <uv.h>

#define LOOK_MS 250
#define UP_MAX  16 /* connections that are up; a kdnetd has three */
#define ALL_MAX 64
#define NS_A_MS UINT64_C(1000000)

struct up {
    const void *connection;
    uint16_t port;
};

/* When a connection was seen first. */
struct seen {
    uint64_t id, since_ns;
};

static uv_once_t once = UV_ONCE_INIT;
static uv_mutex_t lock;
static uv_cond_t changed;
static struct up ups[UP_MAX]; /* under lock, as `waiting` */
static atomic_uint broken;
static unsigned waiting; /* connections that are being set up */

/* The thread */

static bool is_up(uint16_t port)
{
    bool found = false;
    uv_mutex_lock(&lock);
    for (unsigned i = 0; i < UP_MAX; ++i)
        found = found || (ups[i].connection && ups[i].port == port);
    uv_mutex_unlock(&lock);
    return found;
}

static uint64_t first_seen(const struct seen *before, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; ++i)
        if (before[i].id == id)
            return before[i].since_ns;
    return uv_hrtime();
}

static void judge(const struct platform_connection *one, uint64_t since_ns)
{
    uint64_t limit_ns = (one->blocks ? FLEET_TLS_MS : FLEET_GREET_MS) * NS_A_MS;
    if (uv_hrtime() - since_ns >= limit_ns && !is_up(one->port)) {
        atomic_fetch_add(&broken, 1);
        platform_break_connection(one);
    }
}

/* Looks at all connections; returns how many there are, with when each was seen first. */
static size_t look(struct seen seen[static ALL_MAX], size_t count)
{
    struct platform_connection all[ALL_MAX];
    struct seen now[ALL_MAX];
    size_t found = platform_connections(all, ALL_MAX);
    for (size_t i = 0; i < found; ++i) {
        now[i] = (struct seen){.id = all[i].id, .since_ns = first_seen(seen, count, all[i].id)};
        judge(&all[i], now[i].since_ns);
    }
    for (size_t i = 0; i < found; ++i)
        seen[i] = now[i];
    return found;
}

static void run(void)
{
    struct seen seen[ALL_MAX];
    size_t count = 0;
    while (true) {
        uv_mutex_lock(&lock);
        while (waiting == 0) {
            count = 0;
            uv_cond_wait(&changed, &lock);
        }
        uv_mutex_unlock(&lock);
        count = look(seen, count);
        uv_sleep(LOOK_MS);
    }
}

static void start(void)
{
    (void)uv_mutex_init(&lock);
    (void)uv_cond_init(&changed);
    (void)platform_start_forever(run);
}

/* What connections tell */

/* Under lock; NULL: none. `connection` NULL: a free place. */
static struct up *find_up(const void *connection)
{
    for (unsigned i = 0; i < UP_MAX; ++i)
        if (ups[i].connection == connection)
            return &ups[i];
    return NULL;
}

static void begin_waiting(void)
{
    ++waiting;
    uv_cond_signal(&changed);
}

static void end_waiting(void)
{
    waiting -= waiting > 0;
}

void guard_begin(void)
{
    uv_once(&once, start);
    uv_mutex_lock(&lock);
    begin_waiting();
    uv_mutex_unlock(&lock);
}

void guard_failed(void)
{
    uv_mutex_lock(&lock);
    end_waiting();
    uv_mutex_unlock(&lock);
}

void guard_up(const void *connection, uint16_t port)
{
    uv_mutex_lock(&lock);
    struct up *up = find_up(connection);
    if (!up) {
        end_waiting();
        up = find_up(NULL);
    }
    if (up)
        *up = (struct up){.connection = connection, .port = port};
    uv_mutex_unlock(&lock);
}

void guard_lost(const void *connection)
{
    uv_mutex_lock(&lock);
    struct up *up = find_up(connection);
    if (up)
        up->connection = NULL;
    begin_waiting();
    uv_mutex_unlock(&lock);
}

void guard_ended(const void *connection)
{
    uv_mutex_lock(&lock);
    struct up *up = find_up(connection);
    if (up)
        up->connection = NULL;
    else
        end_waiting();
    uv_mutex_unlock(&lock);
}

unsigned guard_broken(void)
{
    return atomic_load(&broken);
}
