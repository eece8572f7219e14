/* SPDX-License-Identifier: Apache-2.0 */
#include "service/server/limits.h"
#include "config/remedies.h"
#include "service/runtime/log.h"
#include "service/platform/platform.h"

#include <stdlib.h>
#include <uv.h>

#define LOOP_FILES     4U /* descriptors of a loop: epoll, its wakeup, its signals */
#define LISTENER_FILES 2U
#define OTHER_FILES    16U /* configuration, results, symbols */
#define POOL_THREADS   4U  /* threads of libuv, which aborts when it cannot have them */
#define OTHER_THREADS  4U  /* results, look-ups */
#define THREADS_MAX    128U

static void wait(void *user)
{
    uv_sem_wait(user);
}

/* Returns how many more threads can be made, up to `most`. */
static unsigned spare_threads(unsigned most)
{
    uv_thread_t threads[THREADS_MAX];
    uv_sem_t end;
    unsigned count = 0;
    if (uv_sem_init(&end, 0) != 0)
        return 0;
    while (count < most && count < THREADS_MAX && uv_thread_create(&threads[count], wait, &end) == 0)
        ++count;
    for (unsigned i = 0; i < count; ++i)
        uv_sem_post(&end);
    for (unsigned i = 0; i < count; ++i)
        (void)uv_thread_join(&threads[i]);
    uv_sem_destroy(&end);
    return count;
}

static void log_fewer(const char *message, unsigned wished, unsigned count)
{
    struct log_line line;
    log_begin(&line, CONFIG_LOG_WARNING, message);
    log_number(&line, "wished", wished);
    log_number(&line, "workers", count);
    log_end(&line);
}

static unsigned by_files(unsigned wished, size_t listeners)
{
    size_t each = LOOP_FILES + LISTENER_FILES * (listeners < 256 ? listeners : 256);
    size_t spare = platform_spare_descriptors(wished * each + OTHER_FILES);
    unsigned count = spare > OTHER_FILES ? (unsigned)((spare - OTHER_FILES) / each) : 0;
    count = count > 0 ? count : 1;
    if (count >= wished)
        return wished;
    log_fewer("workers: fewer serve than were asked for, because few files can be opened; " REMEDY_MORE_FILES, wished,
              count);
    return count;
}

static unsigned by_threads(unsigned wished)
{
    unsigned spare = spare_threads(wished + POOL_THREADS + OTHER_THREADS);
    if (spare >= wished + POOL_THREADS + OTHER_THREADS)
        return wished;
    unsigned count = spare > POOL_THREADS + OTHER_THREADS ? spare - POOL_THREADS - OTHER_THREADS : 1;
    if (count == 1) /* the pool keeps the threads that it has once had */
        (void)uv_os_setenv("UV_THREADPOOL_SIZE", "1");
    if (count < wished)
        log_fewer("workers: fewer serve than were asked for, because few threads can be started; " REMEDY_MORE_THREADS,
                  wished, count);
    return count;
}

unsigned limits_workers(unsigned wished, size_t listeners)
{
    platform_raise_limits();
    return by_threads(by_files(wished, listeners));
}
