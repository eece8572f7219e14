/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admission: which halted machines are read now, and which wait.
 *
 * Uses nothing: no sockets, no sessions, no clock. Machines are numbers below what was reserved; time is an argument.
 *
 * When very many machines crash at once, asking all of them at a time ends in no answer from any within its deadline:
 * sockets overflow, and every datagram is sent again. So there are places, and a machine whose break finds none waits
 * in line until it is admitted. How many places there are is found by trying (additive increase, multiplicative
 * decrease by how long machines take).
 *
 * A machine that our packets do not reach must not keep others waiting:
 * - A machine that is silent for its patience (two timeouts of its link) gives its place up. It is asked all the same,
 *   by its session, and takes a place again when it answers.
 * - When few of the machines that are asked answer at all, a first question takes only a part of a place.
 * - A quarter of the places is for machines that have shown lately that they hear us, and a quarter is for the others.
 * - The silence of a machine that never answered does not lower the number of places.
 * - Where first answers are late, because many machines are asked, patience is longer: else more and more are asked.
 */
#ifndef SERVICE_ADMISSION_H
#define SERVICE_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADMISSION_LIMIT_MAX         384U /* places; the datagrams of so many fit into a socket's buffer */
#define ADMISSION_LIMIT_MIN         32U
#define ADMISSION_LIMIT_START       256U
#define ADMISSION_SCAN_US           10000U /* between two looks for machines that are silent */
#define ADMISSION_PATIENCE_MIN      20000U /* for the first answer: bounds of what is asked for */
#define ADMISSION_PATIENCE_MAX      200000U
#define ADMISSION_HEARD_PATIENCE_US 500000U  /* at least, with one that has shown that it hears us */
#define ADMISSION_READING_US        1000000U /* patience with a machine that has answered before, at most */
#define ADMISSION_HEARD_US          1000000U /* a machine that was heard to hear us in this time comes first */
#define ADMISSION_MISSED_US         10000000U
#define ADMISSION_WHOLE             256U /* of a place */
#define ADMISSION_PART_MIN          16U

struct admission_row {
    uint32_t next, previous; /* in its line, or among those with places; number + 1; 0: none */
    uint32_t since_ms;       /* when its state began, or it answered last; the low 32 bits */
    uint32_t taken_ms;       /* when its break was taken */
    uint32_t heard_ms;       /* when it showed last that it hears us */
    uint16_t patience_ms;
    uint8_t state;
    bool hears; /* its line is that of the machines that hear us */
    bool was_heard;
    bool silenced; /* it gave its place up before it had answered */
};

struct admission_line {
    uint32_t first, last; /* number + 1; 0: empty */
    size_t count;
};

struct admission {
    struct admission_row *rows;
    size_t ids;
    struct admission_line waiting[2]; /* by whether they hear us */
    struct admission_line placed;
    size_t asked[2], reading[2]; /* of them: without an answer so far, and with one */
    size_t limit;                /* whole places */
    unsigned part;               /* of a place that a first question takes */
    uint64_t deadline_us;        /* read_deadline */
    uint32_t answer_us;          /* how long first answers take of late, roughly */
    uint64_t scanned_us, slowed_us;
};

void admission_init(struct admission *admission);
void admission_clear(struct admission *admission);

/* Room for numbers below `ids`. False: out of memory, and all is as it was. */
bool admission_reserve(struct admission *admission, size_t ids);

/* How long a machine may take for all of its break: more than a quarter of it is too slow. */
void admission_configure(struct admission *admission, uint64_t read_deadline_us);

/* Whether a break that comes from this machine now is taken. If it is not, and it is a break: admission_wait. */
bool admission_takes(struct admission *admission, uint32_t id, uint64_t now_us);

/* Its break was not taken: it waits in line. patience_us: for its break, when it is called. */
void admission_wait(struct admission *admission, uint32_t id, uint64_t patience_us, uint64_t now_us);

/* The next machine that is to say its break again; false: nobody waits, or there is no place. */
bool admission_next(struct admission *admission, uint64_t now_us, uint32_t *id);

/* When admission_next wants to be called next; UINT64_MAX: nobody waits. */
uint64_t admission_deadline(const struct admission *admission);

/* It is halted, or not, as far as we know; held: by policy, and so not asked. Call it after each change.
 * patience_us: for its first answer. */
void admission_note(struct admission *admission, uint32_t id, bool halted, bool held, uint64_t patience_us,
                    uint64_t now_us);

/* It has acknowledged or answered something of ours. */
void admission_heard(struct admission *admission, uint32_t id, uint64_t now_us);

/* It has said something that is acknowledged: when it breaks in next, it has heard that. */
void admission_said(struct admission *admission, uint32_t id, uint64_t now_us);

/* Its number will be another's. */
void admission_forget(struct admission *admission, uint32_t id);

/* Whether it is in line, or was admitted and has not said its break again yet. */
bool admission_is_waiting(const struct admission *admission, uint32_t id);

/* Whether it is in line: all that it says is its break again. */
bool admission_is_in_line(const struct admission *admission, uint32_t id);

size_t admission_waiting_count(const struct admission *admission);

/* Machines that are read, and those that wait. */
size_t admission_halted_count(const struct admission *admission);

#endif
