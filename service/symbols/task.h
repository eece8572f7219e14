/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task: calls that may block for ever, each on a thread of its own, with a deadline.
 *
 * Uses libuv. A share that hangs or a server that does not answer costs a thread, never a loop and never libuv's pool.
 * A task that is not back at its deadline is given up: its thread stays until the call returns, if ever, and counts.
 * The threads of all loops of the process together are bounded, and those that may wait for a network have fewer, so
 * that there is always one for a local folder while folders do not hang.
 *
 * Thread: all functions on the loop's, but for what a task itself does.
 */
#ifndef SERVICE_SYMBOLS_TASK_H
#define SERVICE_SYMBOLS_TASK_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define TASK_THREADS_MAX 32U /* of the process, those included that were given up */
#define TASK_REMOTE_MAX  16U /* of them, for remote tasks */

struct tasks;

/* The first member of what a task works on. */
struct task {
    void (*run)(struct task *task);                /* on its thread */
    void (*done)(struct task *task, bool in_time); /* on the loop; false: run has not returned, only drop may free it */
    void (*drop)(struct task *task);               /* after done(false), when run has returned: on any thread */
    /* The rest is task.c's. */
    struct tasks *owner; /* NULL: given up */
    struct task *next;
    struct task_thread *thread;
    uint64_t deadline_ms; /* uv_now */
    bool remote, finished;
};

/* NULL: out of memory. */
struct tasks *tasks_new(uv_loop_t *loop);

/* Starts a task, whose run, done and drop are set. False: no thread is to be had; nothing is called. */
bool task_start(struct tasks *tasks, struct task *task, bool remote, uint64_t limit_ms);

/* Gives up all tasks that are not back: `done` is called for each. */
void tasks_give_up(struct tasks *tasks);

/* Frees it when no task is left; then calls `closed`. */
void tasks_close(struct tasks *tasks, void (*closed)(void *user), void *user);

/* Threads of this process whose task was given up and has not returned. Thread: any. */
unsigned tasks_hung(void);

#endif
