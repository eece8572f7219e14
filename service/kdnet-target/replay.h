/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay: a script made of a real capture: what its target said, in order, for a simulated machine to say again.
 *
 * Prints, state changes, file questions and prompts are played one after another, each as the host of today lets them:
 * a print when it was acknowledged, a state change when it was continued, a question when it was answered. Between them
 * the machine answers requests with the replies of the capture: the next one of that API in this halt, else the latest
 * one before; memory with all that the capture's reads brought, and C0000001 elsewhere.
 */
#ifndef SERVICE_TARGET_REPLAY_H
#define SERVICE_TARGET_REPLAY_H

#include "kdnet/key.h"
#include "kdnet/wire/machine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct machine_replay;

/* One authentic datagram of the capture's data channel, in the order of the capture. */
struct replay_record {
    bool from_host;
    uint8_t version; /* KDNET protocol version of its datagram; 0: not known */
    uint64_t time_us;
    const uint8_t *body;
    size_t length;
};

/* What a replay will play. */
struct replay_summary {
    size_t prints, load_symbols, unload_all, exceptions, file_questions, prompts, replies;
    uint8_t version;            /* of the first record; 0: not known */
    enum kdnet_machine machine; /* from its GetVersion replies; x64 when there are none */
};

/* Copies what it needs. NULL without memory. May be shared by any number of machines; read-only from then on. */
struct machine_replay *machine_replay_new(const struct replay_record *records, size_t count);
void machine_replay_free(struct machine_replay *replay);
void machine_replay_summary(const struct machine_replay *replay, struct replay_summary *out);

/*
 * Reads a pcap or pcapng file (Ethernet with VLAN tags, or raw IP; IPv4, IPv6) and opens its KDNET datagrams.
 *
 * error  of `error_size` bytes: a sentence when it returns NULL: no such file, no datagram opens with this key, …
 */
struct machine_replay *machine_replay_load(const char *path, const struct kdnet_key *key, char *error,
                                           size_t error_size);

#endif
