/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stop_time: shares out the time that the end of the service has as a whole.
 *
 * Each stage of the end gets what is left of one deadline, less what the stages after it need at least: a quick stage
 * leaves its time to the others, and however many of them hang, the process has ended before a service manager loses
 * patience. First machines are released, then results are written, then comes the rest.
 *
 * No clock: time is an argument, in microseconds of one that does not stand still with kdnetd, as that of the service
 * manager does not.
 */
#ifndef SERVICE_STOP_TIME_H
#define SERVICE_STOP_TIME_H

#include "service/worker/worker_loop.h"

#include <stdbool.h>
#include <stdint.h>

#define STOP_TIME_US          14000000U /* from the word to end to the end of the process */
/* Of it, for machines; a shorter read_deadline counts. */
#define STOP_TIME_MACHINES_US (WORKER_STOP_READ_US + 500000U)

/* In their order. */
enum stop_stage {
    STOP_MACHINES,  /* are released; they are never cut short, and may take longer on an overloaded computer */
    STOP_CLOSING,   /* of HTTP, sinks and store, while machines are served */
    STOP_AGAIN,     /* for machines that broke in meanwhile */
    STOP_RESULTS,   /* are written */
    STOP_UNWRITTEN, /* what was not written goes into the log */
    STOP_KEPT,      /* the store's last commit, and the last hints */
    STOP_LOOP,      /* look-ups of symbols, and what else the loop waits for */
    STOP_READING,   /* of a configuration */
    STOP_LOG,       /* of the system (platform_notify_stopping) */
    STOP_STAGES
};

struct stop_time {
    bool begun;
    uint64_t by_us;
};

/* The end begins now; it began when it was called first. */
void stop_time_begin(struct stop_time *time, uint64_t now_us);

/* How long a stage that begins now may take. After stop_time_begin. */
uint64_t stop_time_share(const struct stop_time *time, enum stop_stage stage, uint64_t now_us);

#endif
