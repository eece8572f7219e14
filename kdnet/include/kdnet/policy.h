/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: what a session does with a machine at each kind of break.
 */
#ifndef KDNET_POLICY_H
#define KDNET_POLICY_H

#include "kdnet/header.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

KDNET_HEADER_BEGIN

#define KDNET_ACTION_MAP(X)                                                                                            \
    X(CONTINUE, "continue")                                                                                            \
    X(HOLD, "hold")                                                                                                    \
    X(REBOOT, "reboot")

/* Kinds of break that a policy distinguishes. X(NAME, text) */
#define KDNET_BREAK_MAP(X)                                                                                             \
    X(BUGCHECK_FIRST, "bugcheck_first")                                                                                \
    X(BUGCHECK_SECOND, "bugcheck_second")                                                                              \
    X(SHUTDOWN, "shutdown")                                                                                            \
    X(BREAK, "break")                                                                                                  \
    X(EXCEPTION, "exception")                                                                                          \
    X(LOAD_SYMBOLS, "load_symbols")                                                                                    \
    X(PROMPT, "prompt")

#define KDNET_ACTION_ENUM(name, text) KDNET_ACTION_##name,
#define KDNET_BREAK_ENUM(name, text)  KDNET_BREAK_KIND_##name,
enum kdnet_action { KDNET_ACTION_MAP(KDNET_ACTION_ENUM) };
enum kdnet_break_kind { KDNET_BREAK_MAP(KDNET_BREAK_ENUM) KDNET_BREAK_KINDS };
#undef KDNET_ACTION_ENUM
#undef KDNET_BREAK_ENUM

/* Return the texts of the lists above; never NULL. */
const char *kdnet_action_name(enum kdnet_action action);
const char *kdnet_break_kind_name(enum kdnet_break_kind kind);

struct kdnet_policy {
    enum kdnet_action action[KDNET_BREAK_KINDS];
    uint64_t hold_for_us; /* duration of `hold`; 0: until somebody releases the machine */
};

/* Fills in the defaults: continue at every break, but hold at the second bug check break, after which a machine can
 * only spin (DESIGN section 4). */
void kdnet_policy_init(struct kdnet_policy *policy);

KDNET_HEADER_END

#endif
