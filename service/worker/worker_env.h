/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_env: all that a worker sees of the service besides its own rooms. A worker does not know the server.
 *
 * The server fills in one worker_env, which all workers share; it is constant while they run. What it points at is
 * borrowed, outlives the workers, and may be used from any thread. Callbacks are called on a worker's thread and must
 * not wait: those that need the server's thread post a message to it. A test fills in one of its own.
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

/* Where symbols are: the functions of symbols/lookup.h, of the same names and contracts. */
struct worker_lookup {
    struct lookup_asker *(*join)(struct lookup *lookup, uv_loop_t *loop, void (*came)(void *user), void *user);
    void (*leave)(struct lookup_asker *asker);
    void (*asking)(struct lookup_asker *asker, const struct kdnet_key *key);
    enum kdnet_rva_answer (*find)(struct lookup_asker *asker, const struct kdnet_pdb *pdb, const char *symbol,
                                  uint32_t *rva, enum kdnet_source *source);
    void (*want)(struct lookup_asker *asker, const struct kdnet_pdb *pdb, const char *const *symbols, size_t count);
    bool (*name)(struct lookup_asker *asker, const struct kdnet_pdb *pdb, uint32_t rva, char *name, size_t size,
                 uint32_t *offset);
    bool (*recall)(struct lookup_asker *asker, const struct kdnet_image_print *print, struct kdnet_pdb *pdb);
    void (*remember)(struct lookup_asker *asker, const struct kdnet_image_print *print, const struct kdnet_pdb *pdb);
    void (*explain)(struct lookup_asker *asker, const struct kdnet_pdb *pdb, const char *symbol, char *out,
                    size_t size);
};

/* What a worker says of one of its sockets. */
enum worker_trouble {
    WORKER_TROUBLE_SLOW,  /* a call that takes or sends many datagrams is refused; one that takes one serves */
    WORKER_TROUBLE_DEAF,  /* nothing can be received */
    WORKER_TROUBLE_STAYS, /* for a while */
    WORKER_TROUBLE_OVER,
};

struct worker_env {
    uint64_t seed;               /* of the keyed hashes; random */
    struct steer steer;          /* which worker an address has */
    unsigned worker_count;       /* 1 or more */
    struct mailbox **mailboxes;  /* of each worker, by its number */
    struct locals *locals;       /* the addresses of this computer that datagrams came to */
    struct publisher *publisher; /* takes each event */
    struct lookup *lookup;       /* handed to `symbols->join`; NULL: this service knows no symbols */
    const struct worker_lookup *symbols;
    atomic_uint *keys_shown; /* counts machines that have shown another key of their target */

    void *user; /* of the callbacks */
    /* A listener of a worker has trouble with its socket; `error`: a UV_ code. */
    void (*trouble)(void *user, uint32_t listener_id, enum worker_trouble trouble, int error);
    /* A poke that no key of any worker opens. Borrowed for the call. */
    void (*unknown_poke)(void *user, const struct search_poke *poke);
    /*
     * What can be said of a target is another than before: its state, address, session, kernel or policy; or the row
     * is new here. Called once for each datagram or deadline that changed something, never for a poke that changed
     * nothing. Of a target with several keys each row has its own calls: targets_stands_for_all says which one counts.
     * NULL: nobody wants to know.
     */
    void (*target_changed)(void *user, struct worker *worker, struct target *target);
    /* Whose machine was here last, as far as is known; false: nobody's. NULL: nothing is known of that. */
    bool (*hinted)(void *user, const struct address *source, uint16_t local_port, unsigned *worker,
                   struct ask_machine *out);
    /* Its target is to have another name; then target_gone is called for the one of now. NULL: as above. */
    void (*target_renamed)(void *user, struct target *target, const char *name);
    /* The row goes: its target was taken out or gets another name, or its key is used no more. NULL: as above. */
    void (*target_gone)(void *user, struct worker *worker, struct target *target);
};

#endif
