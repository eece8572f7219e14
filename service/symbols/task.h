/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task: calls that may block for ever, each on a thread of its own, with a deadline.
 *
 * A hanging share or a silent server costs a thread, never a loop and never libuv's pool. A task that misses its
 * deadline is given up: its thread stays until the call returns, if ever, and counts. The threads of all loops of the
 * process together are bounded; those that may wait for a network have a lower bound, so that a local folder always
 * finds a thread while folders do not hang.
 *
 * Thread: all functions on the loop's; `run` on the task's own.
 */
#ifndef SERVICE_SYMBOLS_TASK_H
#define SERVICE_SYMBOLS_TASK_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define TASK_THREADS_MAX 32U /* threads of the process, including given-up ones */
#define TASK_REMOTE_MAX  16U /* of them, for remote tasks */

struct tasks;

/* The first member of a task's data. */
struct task {
    void (*run)(struct task *task); /* on its thread */
    void (*done)(struct task *task,
                 bool in_time);      /* on the loop; false: run has not returned, and only drop may free the task */
    void (*drop)(struct task *task); /* after done(false), when run has returned: on any thread */
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

/* Gives up all unfinished tasks: `done` is called for each. */
void tasks_give_up(struct tasks *tasks);

/* Frees `tasks` when no task is left; then calls `closed`. */
void tasks_close(struct tasks *tasks, void (*closed)(void *user), void *user);

/* Threads of this process whose task was given up and has not returned. Thread: any. */
unsigned tasks_hung(void);

#endif
