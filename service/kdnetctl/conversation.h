/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conversation: facts about each pair of addresses in a capture: their key, the data keys that their responses
 * established, the kind of machine.
 *
 * Bounded: at most CONVERSATION_LIMIT pairs are kept; the one that was silent for longest is dropped first. Only
 * authentic datagrams make one, so strangers in a capture push nothing out. Finding one is a hash look-up. Holds keys:
 * conversations_free wipes them.
 */
#ifndef SERVICE_CTL_CONVERSATION_H
#define SERVICE_CTL_CONVERSATION_H

#include "kdnet/crypto/crypto.h"
#include "kdnet/wire/handshake.h"
#include "kdnet/wire/machine.h"

#include <stddef.h>
#include <stdint.h>

#define CONVERSATION_LIMIT     65536
#define CONVERSATION_DATA_KEYS 4 /* responses are repeated or reordered: the newest key may be unused */

struct conversation_data_key {
    uint8_t aes[KDNET_AES_KEY_LENGTH];
    size_t key; /* index of the control key that it derives from */
};

struct conversation {
    struct kdnet_address a, b; /* a sorts before b */
    size_t key;                /* index of the control key that opened the last datagram */
    struct conversation_data_key data_keys[CONVERSATION_DATA_KEYS]; /* the key that opened last is first */
    size_t data_key_count;
    enum kdnet_machine machine; /* as the last GetVersion said; unknown before */

    struct conversation *next_in_bucket, *newer, *older; /* the table's */
};

struct conversations;

/* limit: most conversations to keep, at least 1. NULL: out of memory. */
struct conversations *conversations_new(size_t limit);
void conversations_free(struct conversations *table);

/* Finds the conversation of two addresses, in either order, or NULL. It becomes the newest. */
struct conversation *conversations_find(struct conversations *table, const struct kdnet_address *from,
                                        const struct kdnet_address *to);

/* Finds or makes a conversation; a full table drops the oldest. NULL: out of memory. A pointer is valid until the
 * next add. */
struct conversation *conversations_add(struct conversations *table, const struct kdnet_address *from,
                                       const struct kdnet_address *to);

/* How many are kept. */
size_t conversations_count(const struct conversations *table);

/* Remembers a data key, as the second to try while another one is in use. A known key changes nothing. */
void conversation_add_data_key(struct conversation *conversation, const uint8_t aes[static KDNET_AES_KEY_LENGTH],
                               size_t key);

/* Notes that the data key at `index` opened a datagram: it is tried first from now on. */
void conversation_use_data_key(struct conversation *conversation, size_t index);

#endif
