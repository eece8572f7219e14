/* SPDX-License-Identifier: Apache-2.0 */
/*
 * release_gate: machines whose Continue waits for their result to be written.
 *
 * A machine that has gone on cannot be asked again: if kdnetd is killed between a release and the write of its result,
 * the result is lost. So a session's datagrams wait until the result is in its file or pipe, some 0.1 ms later; but
 * never longer than RELEASE_GATE_US: the wire does not wait for a hanging disk, and after one wait in vain no other
 * begins until the results have caught up.
 *
 * A queue: marks and times only grow.
 */
#ifndef SERVICE_RELEASE_GATE_H
#define SERVICE_RELEASE_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELEASE_GATE_US 20000U

struct release_gate_entry {
    uint32_t id;   /* of the target */
    uint64_t mark; /* results_added() after its last result line */
    uint64_t until_us;
};

struct release_gate {
    struct release_gate_entry *rows; /* a ring */
    size_t first, count, capacity;
    bool slow; /* results are: nobody waits for them */
};

void release_gate_init(struct release_gate *release_gate);
void release_gate_clear(struct release_gate *release_gate);

/* Queues a target. False: it must not wait, because results are slow or memory is out. */
bool release_gate_add(struct release_gate *release_gate, uint32_t id, uint64_t mark, uint64_t now_us);

/*
 * Gets the next target that need not wait any more, because everything up to `settled` is written or its time is over;
 * false: none. all_settled: nothing waits to be written, so results are fast again.
 */
bool release_gate_next(struct release_gate *release_gate, uint64_t settled, bool all_settled, uint64_t now_us,
                       uint32_t *id);

/* When time is over for the first of them; UINT64_MAX: nobody waits. */
uint64_t release_gate_deadline(const struct release_gate *release_gate);

#endif
