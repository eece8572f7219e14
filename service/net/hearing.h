/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hearing: decides whether one machine is lost, or a whole listener has fallen silent.
 *
 * A machine's loss is reported while its listener hears other machines. When the listener hears none, the loss waits:
 * HEARING_MACHINES or more that fall silent together mean a silent listener. Their losses are not reported until the
 * listener hears somebody again, and never for machines that are heard within lost_after of that moment. Fewer losses
 * are reported one by one.
 *
 * A worker keeps the losses of its machines (struct losses). The server judges once a second for all workers (struct
 * hearing), and the verdict comes back with the next census. The caller provides the clock.
 */
#ifndef SERVICE_HEARING_H
#define SERVICE_HEARING_H

#include "kdnet/session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEARING_MACHINES      3U
#define HEARING_HOUR_US       UINT64_C(3600000000)
#define HEARING_GAP_US        5000000U /* a listener without datagrams for so long may be silent: machines poke every 3 s */
#define HEARING_MARGIN_US     10000000U /* outlived by so much, a machine is lost; half of lost_after at most */
#define HEARING_MARGIN_MIN_US 4000000U
#define LOSSES_SLICE          65536U /* losses examined in one round */

enum hearing_verdict {
    HEARING_WAIT,   /* a loss is told when others were heard since */
    HEARING_TELL,   /* and when they are too few to be a silent listener */
    HEARING_SILENT, /* no loss is told */
};

/* Facts about one listener, of all workers together. */
struct hearing_facts {
    uint64_t heard_us; /* when any machine was heard last */
    size_t waiting;    /* losses not reported yet */
    size_t machines;   /* heard in the last hour and not told as lost; counted when `count` was wished */
    bool counted;
};

struct hearing {
    enum hearing_verdict verdict;
    bool count;         /* the number of machines is wished with the next facts */
    uint64_t silent_us; /* when the listener was last heard before it fell silent */
    size_t machines;    /* machines that fell silent */
};

enum hearing_news { HEARING_NO_NEWS, HEARING_FELL_SILENT, HEARING_HEARD_AGAIN };

/* Judges the current facts. */
enum hearing_news hearing_judge(struct hearing *hearing, const struct hearing_facts *facts, uint64_t lost_after_us,
                                uint64_t now_us);

struct loss {
    uint32_t row, listener; /* ids */
    uint64_t last_seen_us;
    uint64_t due_us; /* earliest report; 0: at once when others were heard since */
    uint8_t session[KDNET_SESSION_ID_LENGTH];
    uint32_t number;     /* number of the loss event in its session */
    bool halted, silent; /* silent: the listener was silent */
};

/* Losses of a worker's machines that are not reported yet. */
struct losses {
    struct loss *items;
    size_t count, capacity;
    size_t at; /* the next to be looked at */
};

struct losses_calls {
    bool (*is_still)(void *user, const struct loss *loss); /* the machine is there, and was not heard since */
    void (*publish)(void *user, const struct loss *loss);
    void *user;
};

void losses_clear(struct losses *losses);

/* False: out of memory; report the loss at once. */
bool losses_add(struct losses *losses, const struct loss *loss);

/* How many are of a listener. */
size_t losses_of(const struct losses *losses, uint32_t listener);

/* Whether others were heard so much later than a machine that the machine is lost by itself. */
bool losses_outlived(uint64_t heard_us, uint64_t last_seen_us, uint64_t lost_after_us);

/* Applies a verdict to the losses of a listener, which heard somebody at heard_us: some are reported, some dropped. */
void losses_settle(struct losses *losses, uint32_t listener, enum hearing_verdict verdict, uint64_t heard_us,
                   uint64_t lost_after_us, uint64_t now_us, const struct losses_calls *calls);

#endif
