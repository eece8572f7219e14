/* SPDX-License-Identifier: Apache-2.0 */
/* options: the command line of kdnet-target. */
#ifndef SERVICE_TARGET_OPTIONS_H
#define SERVICE_TARGET_OPTIONS_H

#include "service/kdnet-target/machine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define OPTIONS_COUNT_MAX 100000U
#define OPTIONS_RATE_MAX  100000U
#define OPTIONS_LOSS_MAX  99U

struct options {
    struct sockaddr_storage host, bind; /* family 0: not given */
    struct kdnet_key key, replay_key;
    bool has_key, has_replay_key, has_status, has_seed;
    uint32_t count;
    const char *scenario;
    uint32_t status, bugcheck, cause, images;
    uint32_t version; /* 0: the default, or the capture's */
    uint64_t seed;
    enum kdnet_machine machine;
    struct kdnet_pdb pdb;
    uint32_t dump_ms, reboot_ms, delay_ms, spread_ms, duration_ms, replay_gap_ms;
    uint32_t path_ms, path_then_ms, path_at_ms;
    struct machine_think think;
    uint32_t loss;        /* percent */
    uint32_t rate, times; /* 0: the scenario's own */
    const char *replay;
    bool no_reboot, no_dump, dump_log, new_port, lenient, one_key, print_targets, exit_when_ended, json;
};

enum options_result {
    OPTIONS_RUN,
    OPTIONS_HELP,  /* --help: printed to standard output */
    OPTIONS_WRONG, /* said on standard error: exit 2 */
};

enum options_result options_parse(struct options *options, int argc, char **argv);

/* Returns the key of machine `index`: w.x.y.(z + index), or the same for all with --one-key. */
void options_key(const struct options *options, uint32_t index, struct kdnet_key *out);

/* Port and address bytes of an IPv4 or IPv6 socket address, in the form of pokes. */
void options_address(const struct sockaddr_storage *in, struct kdnet_address *out);

#endif
