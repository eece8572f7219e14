/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hinting: the service's use of address hints: workers report where their machines are, and machines that another
 * process or collector served are asked to poke when this one takes over.
 *
 * A round asks each hint once, machines in a crash first: at the start, when a listener's address comes to this
 * computer (freebind), and when a machine shows that another host served it.
 *
 * Thread: the server's, but for the functions that say otherwise.
 */
#ifndef SERVICE_HINTING_H
#define SERVICE_HINTING_H

#include "config/config.h"
#include "service/fleet/hints.h"
#include "service/fleet/hints_file.h"
#include "service/fleet/hints_kv.h"
#include "service/fleet/strays.h"
#include "service/worker/ask.h"
#include "service/worker/worker.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define HINTING_PLACES 16U /* addresses whose place (here or elsewhere) a round remembers */

struct server;

struct hinting {
    struct hints *hints;          /* NULL: there is no folder for them, and no bucket */
    struct hints_file *file;      /* NULL: none */
    struct hints_kv *kv;          /* NULL: none */
    struct strays *strays;        /* NULL: none */
    atomic_bool others;           /* another collector is heard now */
    _Atomic uint64_t round_hr_us; /* when the last round began: uv_hrtime / 1000 */
    atomic_bool late;             /* others' hints have come */
    struct message wanted_message;
    atomic_bool shown;  /* a machine has come here that another collector had */
    atomic_bool wanted; /* the message is on its way */
    bool timers_ready, asking;
    uint64_t begun_us;
    bool feeling; /* whether machines come here by now: some that do not stand still are asked first */
    uint64_t feel_until_us, feel_next_us, feel_gap_us;
    atomic_uint left_collector; /* drains, has ended or is silent; 0: none */
    struct message left_message;
    struct hints_round round;
    struct {
        struct address local;
        bool here;
    } places[HINTING_PLACES];
    size_t place_count;
    uv_timer_t round_timer, place_timer;
};

/* Before any worker has rows: reads the file in the state's folder. Without a folder nothing happens. */
void hinting_init(struct server *server);

/* Of worker_env: here, astray and kept. */
bool hinting_here(void *user, const struct address *local);
void hinting_astray(void *user, const struct address *machine, const struct address *local, const uint8_t *payload,
                    size_t length);
void hinting_kept(void *user, const struct address *machine, const struct address *local, const char *target,
                  uint32_t told);

/* The workers run, and listeners are open: asks for the first time. */
void hinting_begin(struct server *server);

/* All targets of another configuration have their rows: hints of new targets are looked up, those of removed ones
 * dropped. */
void hinting_reloaded(struct server *server);

/* Machines are to go to other collectors, or may come again. */
void hinting_drain(struct server *server, bool draining);

/* For a successor: the hints of this process's last minute as text, malloc'd; NULL: none. The collector stays. */
char *hinting_pass_on(struct server *server, size_t *length);

/* In a successor whose turn has come: its predecessor's last hints. */
void hinting_take_over(struct server *server, const char *text, size_t length);

/* Closes the handles. */
void hinting_stop(struct server *server);

/* No worker runs any more: tells each thread to end, and waits for it until `by_us` (uv_hrtime / 1000); 0: does not
 * wait. False: one of them has not ended, as the disk, or a broker, hangs; call it again. */
bool hinting_end(struct server *server, uint64_t by_us);

/* Which worker a target without an address begins at; HINTING_ANYWHERE: nothing is known. Thread: any. */
#define HINTING_ANYWHERE UINT8_MAX
uint8_t hinting_home(struct server *server, const char *name);

/* As worker_env.h has them. Thread: a worker's. */
void hinting_target_changed(struct server *server, struct worker *worker, struct target *target);
void hinting_target_gone(struct server *server, struct target *target);
void hinting_target_renamed(struct server *server, struct target *target, const char *name);
bool hinting_hinted(void *user, const struct address *source, uint16_t local_port, unsigned *worker,
                    struct ask_machine *out);

#endif
