/* SPDX-License-Identifier: Apache-2.0 */
/* two_ways: by which ways a machine's datagrams reach two hosts. Only for test_two_hosts.c. */
#ifndef TESTS_SESSION_TWO_WAYS_H
#define TESTS_SESSION_TWO_WAYS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * In turn: so many datagrams to one, then so many to the other; by chance: so many of a hundred to one; bursts: to the
 * same as the one before but for one in so many.
 */
enum way { BOTH, IN_TURN, BY_CHANCE, BURSTS, FLAPPING };

struct route {
    const char *label;
    enum way way;
    unsigned to_one, to_other;
    uint64_t flip_us;
    unsigned flips; /* so many; 0: on and on */
    uint32_t think_ms;
    bool alone; /* what the host sends that has not the way is lost: the address has moved */
    bool knows; /* and that host knows it: takes nothing that it is shown, and leaves breaks that the other has told */
};

struct weather {
    uint32_t delay_us, jitter_us;
    unsigned loss_percent;
    uint32_t relay_us; /* from one host to the other; 0: they do not show each other what goes astray */
};

static const struct route routes[] = {
    {.label = "to one", .way = FLAPPING}, /* what the network alone costs */
    {.label = "to both", .way = BOTH},
    {.label = "in turn, 1:1", .way = IN_TURN, .to_one = 1, .to_other = 1},
    {.label = "the same, thinks 5 ms", .way = IN_TURN, .to_one = 1, .to_other = 1, .think_ms = 5},
    {.label = "in turn, 2:1", .way = IN_TURN, .to_one = 2, .to_other = 1},
    {.label = "in turn, 1:2", .way = IN_TURN, .to_one = 1, .to_other = 2},
    {.label = "in turn, 2:2", .way = IN_TURN, .to_one = 2, .to_other = 2},
    {.label = "in turn, 3:1", .way = IN_TURN, .to_one = 3, .to_other = 1},
    {.label = "in turn, 3:2", .way = IN_TURN, .to_one = 3, .to_other = 2},
    {.label = "in turn, 5:5", .way = IN_TURN, .to_one = 5, .to_other = 5},
    {.label = "by chance, 10 %", .way = BY_CHANCE, .to_one = 10},
    {.label = "by chance, 30 %", .way = BY_CHANCE, .to_one = 30},
    {.label = "by chance, 50 %", .way = BY_CHANCE, .to_one = 50},
    {.label = "by chance, 70 %", .way = BY_CHANCE, .to_one = 70},
    {.label = "by chance, 90 %", .way = BY_CHANCE, .to_one = 90},
    {.label = "bursts of 3", .way = BURSTS, .to_one = 3},
    {.label = "bursts of 10", .way = BURSTS, .to_one = 10},
    {.label = "bursts of 30", .way = BURSTS, .to_one = 30},
    {.label = "changes every 0.1 s", .way = FLAPPING, .flip_us = 100000},
    {.label = "changes every 0.3 s", .way = FLAPPING, .flip_us = 300000},
    {.label = "changes every 0.7 s", .way = FLAPPING, .flip_us = 700000},
    {.label = "changes every 3 s", .way = FLAPPING, .flip_us = 3000000},
};

/* The address moves from host to host while machines run, halt and crash, and the host that has lost it lives on. */
static const struct route moves[] = {
    {.label = "moves once", .way = FLAPPING, .flip_us = 5500000, .flips = 1, .alone = true},
    {.label = "the same, thinks 60 ms", .way = FLAPPING, .flip_us = 5000000, .flips = 1, .alone = true, .think_ms = 60},
    {.label = "moves away and back", .way = FLAPPING, .flip_us = 1900000, .flips = 2, .alone = true},
    {.label = "moves every 0.9 s", .way = FLAPPING, .flip_us = 900000, .alone = true},
    {.label = "moves every 2 s", .way = FLAPPING, .flip_us = 2000000, .alone = true},
    {.label = "moves every 3.1 s", .way = FLAPPING, .flip_us = 3100000, .alone = true},
    {.label = "moves every 5 s", .way = FLAPPING, .flip_us = 5000000, .alone = true},
};

static const struct weather move_weathers[] = {{.delay_us = 50, .relay_us = 500},
                                               {.delay_us = 250, .jitter_us = 200, .relay_us = 5000},
                                               {.delay_us = 2500, .jitter_us = 500, .relay_us = 20000},
                                               {.delay_us = 10000, .relay_us = 1000},
                                               {.delay_us = 250, .loss_percent = 5, .relay_us = 1000}};

#endif
