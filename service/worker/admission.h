/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admission: decides which halted machines are read now, and which wait.
 *
 * No sockets, no sessions, no clock. Machines are numbers below the reserved count; time is an argument.
 *
 * When very many machines crash at once, asking all of them together gets no answer from any within its deadline:
 * sockets overflow, and every datagram is retransmitted. So there are places, and a machine whose break finds none
 * waits in line until it is admitted. The number of places adapts (additive increase, multiplicative decrease, by how
 * long machines take).
 *
 * A machine that our packets do not reach must not keep others waiting:
 * - A machine that is silent for its patience (two timeouts of its link) loses its place. Its session still asks it,
 *   and it gets a place again when it answers.
 * - When few of the asked machines answer at all, a first question takes only a part of a place.
 * - A quarter of the places is for machines that have recently shown that they hear us, a quarter for the others.
 * - The silence of a machine that never answered does not lower the number of places.
 * - When first answers are late, because many machines are asked, patience grows: otherwise ever more would be asked.
 *
 * No machine stands in line for ever, however busy this computer is: beyond ADMISSION_LINE_FACTOR read deadlines it is
 * called without a place, and goes on unread.
 */
#ifndef SERVICE_ADMISSION_H
#define SERVICE_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADMISSION_LIMIT_MAX         384U /* places; the datagrams of so many fit into a socket's buffer */
#define ADMISSION_LIMIT_MIN         32U
#define ADMISSION_LIMIT_LEAST       8U /* however many workers share a socket */
#define ADMISSION_LIMIT_START       256U
#define ADMISSION_SCAN_US           10000U /* interval of looking for silent machines */
#define ADMISSION_PATIENCE_MIN      20000U /* bounds of the patience for the first answer */
#define ADMISSION_PATIENCE_MAX      200000U
#define ADMISSION_HEARD_PATIENCE_US 500000U  /* least patience with a machine that has shown that it hears us */
#define ADMISSION_READING_US        1000000U /* most patience with a machine that has answered before */
#define ADMISSION_HEARD_US          1000000U /* a machine that showed within this time that it hears us comes first */
#define ADMISSION_MISSED_US         10000000U
#define ADMISSION_LINE_FACTOR       15U  /* read deadlines that a machine waits in line */
#define ADMISSION_WHOLE             256U /* of a place */
#define ADMISSION_PART_MIN          16U

struct admission_row {
    uint32_t next, previous; /* in its line, or among the machines with places; number + 1; 0: none */
    uint32_t since_ms;       /* start of its state, or its last answer; the low 32 bits */
    uint32_t taken_ms;       /* when its break was taken; in line: when its wait began, on people's clock */
    uint32_t heard_ms;       /* when it last showed that it hears us */
    uint16_t patience_ms;
    uint8_t state;
    bool hears; /* in the line of the machines that hear us */
    bool was_heard;
    bool silenced; /* lost its place before it had answered */
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
    struct admission_line late;  /* called after too long a wait, or going on unread */
    size_t asked[2], reading[2]; /* those without an answer so far, and those with one */
    size_t limit;                /* whole places */
    size_t limit_min, limit_max;
    unsigned part;        /* part of a place that a first question takes */
    uint64_t deadline_us; /* read_deadline */
    uint64_t lag_us;      /* set by the caller: by how much its clock lags behind people's (worker_clock.h) */
    uint32_t answer_us;   /* how long first answers take of late, roughly */
    uint64_t scanned_us, slowed_us;
};

void admission_init(struct admission *admission);
void admission_clear(struct admission *admission);

/* Makes room for numbers below `ids`. False: out of memory, unchanged. */
bool admission_reserve(struct admission *admission, size_t ids);

/* Sets how long a machine may take for a whole break: more than a quarter of that is too slow. sharers: workers whose
 * machines share one socket, 1 or more; each gets its part of the places. */
void admission_configure(struct admission *admission, uint64_t read_deadline_us, unsigned sharers);

/* Whether a break that comes from this machine now is taken. For a break that is not, call admission_wait. */
bool admission_takes(struct admission *admission, uint32_t id, uint64_t now_us);

/* Puts a machine whose break was not taken in line. patience_us: for its break, once it is called. */
void admission_wait(struct admission *admission, uint32_t id, uint64_t patience_us, uint64_t now_us);

/* Gets the next machine to ask for its break again; false: nobody waits, or no place is free. */
bool admission_next(struct admission *admission, uint64_t now_us, uint32_t *id);

/* Whether the machine was called because its wait was too long: its break is taken, and not read. */
bool admission_is_late(const struct admission *admission, uint32_t id);

/* When admission_next wants to be called next; UINT64_MAX: nobody waits. */
uint64_t admission_deadline(const struct admission *admission);

/* Notes whether a machine is halted, and held by policy, so not asked. Call it after each change. patience_us: for
 * its first answer. */
void admission_note(struct admission *admission, uint32_t id, bool halted, bool held, uint64_t patience_us,
                    uint64_t now_us);

/* Notes that a machine acknowledged or answered one of our packets. */
void admission_heard(struct admission *admission, uint32_t id, uint64_t now_us);

/* Notes that a machine sent a packet that is acknowledged: when it next breaks in, it has heard the ACK. */
void admission_said(struct admission *admission, uint32_t id, uint64_t now_us);

/* Forgets a number, which another machine will get. */
void admission_forget(struct admission *admission, uint32_t id);

/* Whether the machine is in line, or was admitted and has not repeated its break yet. */
bool admission_is_waiting(const struct admission *admission, uint32_t id);

/* Whether the machine is in line: its only packets are repeats of its break. */
bool admission_is_in_line(const struct admission *admission, uint32_t id);

size_t admission_waiting_count(const struct admission *admission);

/* Returns the machines that are read, and those that wait. */
size_t admission_halted_count(const struct admission *admission);

#endif
