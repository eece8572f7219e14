/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_env: everything that a worker knows of the service besides its own rooms. A worker does not know the server.
 *
 * The server fills in one worker_env, shared by all workers and constant while they run. Its pointers are borrowed,
 * outlive the workers, and may be used from any thread. Callbacks are called on a worker's thread and must not wait:
 * those that need the server's thread post a message. Tests fill in their own.
 */
#ifndef SERVICE_WORKER_ENV_H
#define SERVICE_WORKER_ENV_H

#include "config/config.h"
#include "kdnet/session.h"
#include "service/net/locals.h"
#include "service/net/steer.h"
#include "service/output/publisher.h"
#include "service/runtime/mailbox.h"
#include "service/worker/key_search.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct ask_machine;
struct lookup;
struct lookup_asker;
struct target;
struct worker;

/* Symbol look-ups: the functions of symbols/lookup.h, with the same names and contracts. */
struct worker_lookup {
    struct lookup_asker *(*join)(struct lookup *lookup, uv_loop_t *loop, void (*came)(void *user), void *user);
    void (*leave)(struct lookup_asker *asker);
    void (*asking)(struct lookup_asker *asker, const struct kdnet_key *key);
    enum kdnet_rva_answer (*find)(struct lookup_asker *asker, const struct kdnet_pdb *pdb, const char *symbol,
                                  uint32_t *rva, enum kdnet_source *source);
    void (*want)(struct lookup_asker *asker, const struct kdnet_pdb *pdb, const char *const *symbols, size_t count);
    bool (*name)(struct lookup_asker *asker, const struct kdnet_pdb *pdb, uint32_t rva, char *name, size_t size,
                 uint32_t *offset);
    bool (*recall)(struct lookup_asker *asker, const struct kdnet_fingerprint *fingerprint, struct kdnet_pdb *pdb);
    void (*remember)(struct lookup_asker *asker, const struct kdnet_fingerprint *fingerprint,
                     const struct kdnet_pdb *pdb);
    void (*explain)(struct lookup_asker *asker, const struct kdnet_pdb *pdb, const char *symbol, char *out,
                    size_t size);
};

/* Trouble of a worker's socket. */
enum worker_trouble {
    WORKER_TROUBLE_SLOW,  /* calls for many datagrams are refused; calls for one datagram work */
    WORKER_TROUBLE_DEAF,  /* nothing can be received */
    WORKER_TROUBLE_STAYS, /* for a while */
    WORKER_TROUBLE_OVER,
};

struct worker_env {
    uint64_t seed;               /* of the keyed hashes; random */
    struct steer steer;          /* which worker an address has */
    unsigned worker_count;       /* 1 or more */
    struct mailbox **mailboxes;  /* of each worker, by its number */
    struct locals *locals;       /* this computer's addresses that datagrams came to */
    struct publisher *publisher; /* takes each event */
    struct lookup *lookup;       /* handed to `symbols->join`; NULL: this service knows no symbols */
    const struct worker_lookup *symbols;
    atomic_uint *keys_shown; /* counts machines that have shown another key of their target */

    void *user; /* of the callbacks */
    /* A listener's socket has trouble; `error`: a UV_ code. */
    void (*trouble)(void *user, uint32_t listener_id, enum worker_trouble trouble, int error);
    /* A poke that no worker's key opens. Borrowed for the call. */
    void (*unknown_poke)(void *user, const struct search_poke *poke);
    /*
     * A target's published state has changed: state, address, session, kernel or policy; or its row is new here. Called
     * once for each datagram or deadline with a change, never for a poke without. For a target with several keys each
     * row has its own calls: targets_stands_for_all says which one counts. May be NULL.
     */
    void (*target_changed)(void *user, struct worker *worker, struct target *target);
    /* Finds the machine that was last at a source, by the hints; false: none. May be NULL. */
    bool (*hinted)(void *user, const struct address *source, uint16_t local_port, unsigned *worker,
                   struct ask_machine *out);
    atomic_bool *others; /* whether another collector is heard now; NULL: none ever */
    /* Shows the other collectors a datagram from `machine` to our address `local`. May be NULL. */
    void (*astray)(void *user, const struct address *machine, const struct address *local, const uint8_t *payload,
                   size_t length);
    /* Whether datagrams can leave from this address of ours. NULL: from each. Asked of what other collectors show. */
    bool (*here)(void *user, const struct address *local);
    /* Says to them that such a datagram, which one of them has shown, is of a machine of ours; or, `told` not 0,
     * that the result of this break of it has been told. May be NULL. */
    void (*kept)(void *user, const struct address *machine, const struct address *local, const char *target,
                 uint32_t told);
    /* The target will be renamed; target_gone is then called for the current name. May be NULL. */
    void (*target_renamed)(void *user, struct target *target, const char *name);
    /* The row goes: its target was removed or renamed, or its key is no longer used. May be NULL. */
    void (*target_gone)(void *user, struct worker *worker, struct target *target);
};

#endif
