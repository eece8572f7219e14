/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strays: collectors show each other the datagrams of machines that another one of them has, and say what they have.
 *
 * Where the network brings a machine's datagrams to several collectors, the one that has the machine's key gets all of
 * them so. A datagram is shown as it came, sealed: keys never go there, and whoever cannot open it learns nothing.
 * Nothing waits for it: without a broker, or without the right to publish, collectors serve as without.
 *
 * Subject kdnetd.astray.BUCKET, no stream. Threads of its own publish and receive.
 */
#ifndef SERVICE_FLEET_STRAYS_H
#define SERVICE_FLEET_STRAYS_H

#include "config/config.h"
#include "service/net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STRAYS_DATAGRAM_MAX 2048U /* none of KDNET is longer */
#define STRAYS_SIZE         (4 + 1 + 2 * 18 + 2 * (1 + CONFIG_NAME_SIZE) + STRAYS_DATAGRAM_MAX)

/* A datagram, or the word of a collector: that it has opened one, or that it has told the result of a break. */
struct stray {
    bool kept;                     /* a word */
    uint32_t told;                 /* that of a result: of which break (kdnet_session_told_break); otherwise 0 */
    char target[CONFIG_NAME_SIZE]; /* of the word: whose machine it is. Otherwise empty */
    struct address machine;        /* where the datagram came from */
    struct address local;          /* our address that it was sent to */
    size_t length;                 /* 0: a word */
    const uint8_t *payload;
};

/* Writes a message of this collector. Returns its length; 0: no such message. */
size_t strays_encode(const struct stray *stray, const char *collector, uint8_t out[static STRAYS_SIZE]);

/* Parses a message; `out` borrows from it. False: no message of a collector. */
bool strays_decode(const uint8_t *data, size_t length, char collector[static CONFIG_NAME_SIZE], struct stray *out);

struct strays;

/* What another collector shows or says. On a thread of its own; `stray` borrows for the call. */
typedef void strays_came(void *user, const struct stray *stray);

/* Starts the threads; copies the needed part of `config`. NULL: the configuration names no bucket, the build has no
 * NATS, or memory or threads are out. */
struct strays *strays_open(const struct kdnetd_config *config, strays_came *came, void *user);

/* Shows the others a datagram, or says that it was opened. May be dropped. Thread: any. Cost: a lock, a copy. NULL is
 * fine. */
void strays_show(struct strays *strays, const struct stray *stray);

/* False: a thread still waits for a broker. NULL does nothing. */
bool strays_close(struct strays *strays, unsigned wait_ms);

#endif
