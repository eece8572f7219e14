/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay: a script made from a real capture: its target's packets, in order, to be sent again by a simulated machine.
 *
 * Prints, state changes, file questions and prompts are replayed one after another, each when the present host permits:
 * after a print's ACK, a state change's Continue, a question's answer. Between them the machine answers requests with
 * the capture's replies: the next one of that API in this halt, else the latest earlier one; memory reads with all
 * bytes that the capture contains, and C0000001 elsewhere.
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
    uint8_t version; /* KDNET protocol version of its datagram; 0: unknown */
    uint64_t time_us;
    const uint8_t *body;
    size_t length;
};

/* Content of a replay. */
struct replay_summary {
    size_t prints, load_symbols, unload_all, exceptions, file_questions, prompts, replies;
    uint8_t version;            /* of the first record; 0: not known */
    enum kdnet_machine machine; /* from its GetVersion replies; x64 without any */
};

/* Makes a replay; copies what it needs. NULL: out of memory. Read-only; any number of machines may share it. */
struct machine_replay *machine_replay_new(const struct replay_record *records, size_t count);
void machine_replay_free(struct machine_replay *replay);
void machine_replay_summary(const struct machine_replay *replay, struct replay_summary *out);

/*
 * Makes a replay from the KDNET datagrams in a pcap or pcapng file (Ethernet with VLAN tags, or raw IP; IPv4, IPv6).
 *
 * error  of `error_size` bytes: a sentence when NULL is returned: no such file, no datagram opens with this key, …
 */
struct machine_replay *machine_replay_load(const char *path, const struct kdnet_key *key, char *error,
                                           size_t error_size);

#endif
