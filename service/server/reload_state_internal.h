/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reload_state_internal: a configuration on its way to the workers, shared by reload.c, on the server's thread, and
 * reload_apply.c, on the workers'.
 */
#ifndef SERVICE_RELOAD_STATE_INTERNAL_H
#define SERVICE_RELOAD_STATE_INTERNAL_H

#include "config/config.h"
#include "service/runtime/mailbox.h"
#include "service/targets/policies.h"
#include "service/worker/worker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define RELOAD_PATH_SIZE 256

struct server;

enum reload_step { STEP_FREEZE, STEP_KEEP, STEP_ADD, STEP_THAW, STEPS };

/* A worker's part, and the message that goes there and back with each step. */
struct apply {
    struct message message;
    struct reload *reload;
    size_t at, end; /* range of its rows, or of the targets */
    bool good, index_due;
};

struct reload {
    struct server *server;
    struct message message; /* from the reading thread */
    uv_thread_t thread;
    uint64_t begun_us;
    struct reload *next_hung;
    uv_mutex_t lock;
    char opening[RELOAD_PATH_SIZE]; /* the file being read; protected by `lock` */
    bool reading, given_up;
    uv_work_t work;
    struct kdnetd_config config, left; /* `left`: targets of `config` once they are applied */
    struct config_report report;
    struct policies policies;
    const struct kdnet_policy **policy_of; /* by target; NULL: out of memory */
    const struct kdnet_policy *let_go;     /* of machines whose targets are removed */
    struct keyring **rings;                /* by target: the keyring; protected by `rings_lock` */
    uv_mutex_t rings_lock;
    uint8_t *homes;      /* by target: its first worker, or HINTING_ANYWHERE; NULL: no hints */
    bool *stays;         /* by key: has a row; each entry is written by one worker */
    struct apply *apply; /* of each worker */
    enum reload_step step;
    void (*done)(struct message *message, void *owner); /* on the server's thread: a worker has done the step */
    unsigned working;                                   /* workers that have not done the step */
    bool good, again, applying;
};

#endif
