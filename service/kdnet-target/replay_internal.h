/* SPDX-License-Identifier: Apache-2.0 */
/* replay_internal: a capture's script, made by replay.c and played by replay_play.c. Not for others. */
#ifndef SERVICE_TARGET_REPLAY_INTERNAL_H
#define SERVICE_TARGET_REPLAY_INTERNAL_H

#include "service/kdnet-target/replay.h"

enum item_kind {
    ITEM_PRINT,
    ITEM_STATE,
    ITEM_FILE,
    ITEM_PROMPT,
    ITEM_REPLY,
};

/* One data packet of the capture's target. */
struct item {
    enum item_kind kind;
    uint16_t type;
    uint32_t api;
    uint64_t time_us;
    uint8_t *payload;
    size_t length;
};

struct machine_replay {
    struct item *items;
    size_t count;
    struct replay_summary summary;
};

#endif
