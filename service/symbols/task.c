/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/task.h"

#include <stdlib.h>

struct task_thread {
    uv_thread_t id;
    struct task_thread *next; /* of `over` */
};

struct tasks {
    uv_async_t ended;
    uv_timer_t timer;
    uv_loop_t *loop;
    struct task *running; /* with the lock, as all below */
    void (*closed)(void *user);
    void *user;
};

/* Of the process. A thread whose task was given up knows nothing of a loop any more. */
static uv_once_t once = UV_ONCE_INIT;
static uv_mutex_t lock;
static unsigned threads, remote_threads, hung;
static struct task_thread *over; /* ended threads of given-up tasks, to be joined */

static void make_lock(void)
{
    if (uv_mutex_init(&lock) != 0)
        abort();
}

unsigned tasks_hung(void)
{
    uv_once(&once, make_lock);
    uv_mutex_lock(&lock);
    unsigned count = hung;
    uv_mutex_unlock(&lock);
    return count;
}

static void join(struct task_thread *thread)
{
    (void)uv_thread_join(&thread->id);
    free(thread);
}

/* Joins threads that have ended or are about to. */
static void join_over(void)
{
    uv_mutex_lock(&lock);
    struct task_thread *list = over;
    over = NULL;
    uv_mutex_unlock(&lock);
    while (list) {
        struct task_thread *thread = list;
        list = thread->next;
        join(thread);
    }
}

static void leave(const struct task *task)
{
    --threads;
    remote_threads -= task->remote;
}

static void run_thread(void *argument)
{
    struct task *task = argument;
    task->run(task);
    uv_mutex_lock(&lock);
    task->finished = true;
    bool given_up = task->owner == NULL;
    if (!given_up)
        (void)uv_async_send(&task->owner->ended); /* with the lock: then the owner is there */
    uv_mutex_unlock(&lock);
    if (!given_up)
        return;
    struct task_thread *thread = task->thread;
    bool remote = task->remote;
    task->drop(task);
    uv_mutex_lock(&lock);
    --threads;
    --hung;
    remote_threads -= remote;
    thread->next = over;
    over = thread;
    uv_mutex_unlock(&lock);
}

/* --- on the loop -------------------------------------------------------------------------------------------------- */

static void arm(struct tasks *tasks);

/* Takes a task that has finished, or whose deadline is over; NULL: none. */
static struct task *take(struct tasks *tasks, uint64_t now_ms, bool *in_time)
{
    uv_mutex_lock(&lock);
    struct task **at = &tasks->running, *task;
    while ((task = *at) != NULL && !task->finished && task->deadline_ms > now_ms)
        at = &task->next;
    if (task) {
        *at = task->next;
        *in_time = task->finished;
        if (task->finished)
            leave(task);
    }
    uv_mutex_unlock(&lock);
    return task;
}

/* The task may have finished meanwhile. */
static void give_up(struct task *task)
{
    task->done(task, false);
    uv_mutex_lock(&lock);
    bool finished = task->finished;
    task->owner = NULL;
    if (finished)
        leave(task);
    else
        ++hung;
    uv_mutex_unlock(&lock);
    if (!finished)
        return;
    join(task->thread);
    task->drop(task);
}

static void look(struct tasks *tasks, uint64_t now_ms)
{
    bool in_time = false;
    for (struct task *task; (task = take(tasks, now_ms, &in_time)) != NULL;) {
        if (in_time) {
            join(task->thread);
            task->done(task, true);
        } else {
            give_up(task);
        }
    }
    arm(tasks);
}

static void on_ended(uv_async_t *ended)
{
    struct tasks *tasks = ended->data;
    look(tasks, uv_now(tasks->loop));
}

static void on_timer(uv_timer_t *timer)
{
    struct tasks *tasks = timer->data;
    look(tasks, uv_now(tasks->loop));
}

static void arm(struct tasks *tasks)
{
    uint64_t now_ms = uv_now(tasks->loop), next_ms = UINT64_MAX;
    uv_mutex_lock(&lock);
    for (const struct task *task = tasks->running; task; task = task->next)
        if (task->deadline_ms < next_ms)
            next_ms = task->deadline_ms;
    uv_mutex_unlock(&lock);
    if (next_ms == UINT64_MAX || uv_is_closing((uv_handle_t *)&tasks->timer))
        (void)uv_timer_stop(&tasks->timer);
    else
        (void)uv_timer_start(&tasks->timer, on_timer, next_ms > now_ms ? next_ms - now_ms : 0, 0);
}

struct tasks *tasks_new(uv_loop_t *loop)
{
    uv_once(&once, make_lock);
    struct tasks *tasks = calloc(1, sizeof *tasks);
    if (!tasks || uv_async_init(loop, &tasks->ended, on_ended) != 0) {
        free(tasks);
        return NULL;
    }
    (void)uv_timer_init(loop, &tasks->timer);
    tasks->loop = loop;
    tasks->ended.data = tasks->timer.data = tasks;
    return tasks;
}

/* Counts a thread, if one more is allowed. */
static bool enter(const struct task *task)
{
    uv_mutex_lock(&lock);
    bool free_one = threads < TASK_THREADS_MAX && (!task->remote || remote_threads < TASK_REMOTE_MAX);
    if (free_one) {
        ++threads;
        remote_threads += task->remote;
    }
    uv_mutex_unlock(&lock);
    return free_one;
}

bool task_start(struct tasks *tasks, struct task *task, bool remote, uint64_t limit_ms)
{
    join_over();
    task->remote = remote;
    task->finished = false;
    task->owner = tasks;
    task->deadline_ms = uv_now(tasks->loop) + limit_ms;
    task->thread = malloc(sizeof *task->thread);
    if (!task->thread || !enter(task)) {
        free(task->thread);
        return false;
    }
    uv_mutex_lock(&lock);
    bool started = uv_thread_create(&task->thread->id, run_thread, task) == 0;
    if (started) {
        task->next = tasks->running;
        tasks->running = task;
    } else {
        leave(task);
    }
    uv_mutex_unlock(&lock);
    if (!started)
        free(task->thread);
    arm(tasks);
    return started;
}

void tasks_give_up(struct tasks *tasks)
{
    look(tasks, UINT64_MAX);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct tasks *tasks = handle->data;
    void (*closed)(void *user) = tasks->closed;
    void *user = tasks->user;
    free(tasks);
    closed(user);
}

static void on_ended_closed(uv_handle_t *handle)
{
    struct tasks *tasks = handle->data;
    uv_close((uv_handle_t *)&tasks->timer, on_timer_closed);
}

void tasks_close(struct tasks *tasks, void (*closed)(void *user), void *user)
{
    tasks->closed = closed;
    tasks->user = user;
    join_over();
    uv_close((uv_handle_t *)&tasks->ended, on_ended_closed);
}
