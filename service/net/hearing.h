/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hearing: whether one machine is lost, or a whole listener has fallen silent.
 *
 * Uses kdnet session. A machine's loss is told while others are heard at its listener. When none is, it waits: at least
 * HEARING_MACHINES that fall silent together are one silent listener, and their losses are not told until it hears
 * somebody again, and not of those that are heard within lost_after of that. Fewer are told one by one.
 *
 * A worker keeps the losses of its machines (struct losses); the server judges for all workers once a second (struct
 * hearing), and its verdict comes back with the next census. The clock is the caller's.
 */
#ifndef SERVICE_HEARING_H
#define SERVICE_HEARING_H

#include "kdnet/session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEARING_MACHINES      3U
#define HEARING_HOUR_US       UINT64_C(3600000000)
#define HEARING_GAP_US        5000000U /* a listener that hears nobody for so long may be silent: machines poke every 3 s */
#define HEARING_MARGIN_US     10000000U /* who was heard so long after a machine has outlived it, or half of lost_after */
#define HEARING_MARGIN_MIN_US 4000000U
#define LOSSES_SLICE          65536U /* looked at in one round */

enum hearing_verdict {
    HEARING_WAIT,   /* a loss is told when others were heard since */
    HEARING_TELL,   /* and when they are too few to be a silent listener */
    HEARING_SILENT, /* no loss is told */
};

/* Of one listener, all workers together. */
struct hearing_facts {
    uint64_t heard_us; /* when any machine was heard last */
    size_t waiting;    /* losses that are not told yet */
    size_t machines;   /* heard in the last hour and not told as lost; counted when `count` was wished */
    bool counted;
};

struct hearing {
    enum hearing_verdict verdict;
    bool count;         /* the number of machines is wished with the next facts */
    uint64_t silent_us; /* when it was heard last before it fell silent */
    size_t machines;    /* that fell silent */
};

enum hearing_news { HEARING_NO_NEWS, HEARING_FELL_SILENT, HEARING_HEARD_AGAIN };

/* Makes a verdict of what is known now. */
enum hearing_news hearing_judge(struct hearing *hearing, const struct hearing_facts *facts, uint64_t lost_after_us,
                                uint64_t now_us);

struct loss {
    uint32_t row, listener; /* ids */
    uint64_t last_seen_us;
    uint64_t due_us; /* when it is told at the earliest; 0: at once when others were heard since */
    uint8_t session[KDNET_SESSION_ID_LENGTH];
    uint32_t number;     /* of its event in the session */
    bool halted, silent; /* silent: its listener was */
};

/* The losses of a worker's machines that are not told yet. */
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

/* False: out of memory; tell it then. */
bool losses_add(struct losses *losses, const struct loss *loss);

/* How many are of a listener. */
size_t losses_of(const struct losses *losses, uint32_t listener);

/* Whether others were heard so much later than a machine that it is lost by itself. */
bool losses_outlived(uint64_t heard_us, uint64_t last_seen_us, uint64_t lost_after_us);

/* What a verdict means for the losses of a listener, where somebody was heard at heard_us: some are told, some go. */
void losses_settle(struct losses *losses, uint32_t listener, enum hearing_verdict verdict, uint64_t heard_us,
                   uint64_t lost_after_us, uint64_t now_us, const struct losses_calls *calls);

#endif
