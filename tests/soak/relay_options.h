/* SPDX-License-Identifier: Apache-2.0 */
/* relay_options: the relay's command line. */
#ifndef TESTS_SOAK_RELAY_OPTIONS_H
#define TESTS_SOAK_RELAY_OPTIONS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELAY_WHOLE 1000000U /* chances are in millionths */

enum relay_chance {
    RELAY_LOSS,
    RELAY_DUPLICATE,
    RELAY_CORRUPT,
    RELAY_LATE,
    RELAY_CHANCES,
};

struct relay_settings {
    struct sockaddr_in near, host, from;
    uint64_t seed;
    uint32_t chance[RELAY_CHANCES]; /* of RELAY_WHOLE */
    uint64_t delay_us, jitter_us, late_us;
    uint64_t cut_after, cut_us; /* begins with so many datagrams passed */
    size_t longest;             /* longer ones are dropped; 0: none */
    uint64_t stop_first, stop_step;
    bool keep;        /* what comes while a machine is stopped passes later, instead of being lost */
    const char *pcap; /* what was delivered; NULL: not kept */
};

/* Ends the program when the command line is wrong. */
void relay_parse(int argc, char **argv, struct relay_settings *settings);

#endif
