/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conversation: what a capture has shown so far of each pair of addresses: which key is theirs, the data keys that
 * their responses led to, the kind of machine.
 *
 * Uses of kdnet handshake and machine. Bounded: at most CONVERSATION_LIMIT pairs are kept, and the one that was silent
 * for longest goes first. Only authentic datagrams make one, so strangers in a capture push nothing out. Finding one
 * is a hash lookup. Holds keys: conversations_free wipes them.
 */
#ifndef SERVICE_CTL_CONVERSATION_H
#define SERVICE_CTL_CONVERSATION_H

#include "kdnet/crypto/crypto.h"
#include "kdnet/wire/handshake.h"
#include "kdnet/wire/machine.h"

#include <stddef.h>
#include <stdint.h>

#define CONVERSATION_LIMIT     65536
#define CONVERSATION_DATA_KEYS 4 /* responses are repeated, overtaken, or not accepted: the newest is not always it */

struct conversation_data_key {
    uint8_t aes[KDNET_AES_KEY_LENGTH];
    size_t key; /* index of the control key that it comes from */
};

struct conversation {
    struct kdnet_address a, b; /* a sorts before b */
    size_t key;                /* index of the control key that opened the last datagram */
    struct conversation_data_key data_keys[CONVERSATION_DATA_KEYS]; /* the one that opened last is first */
    size_t data_key_count;
    enum kdnet_machine machine; /* as the last GetVersion said; unknown before */

    struct conversation *next_in_bucket, *newer, *older; /* the table's */
};

struct conversations;

/* limit: most conversations to keep, at least 1. NULL: out of memory. */
struct conversations *conversations_new(size_t limit);
void conversations_free(struct conversations *table);

/* The conversation of two addresses, in whichever order, or NULL. It becomes the newest. */
struct conversation *conversations_find(struct conversations *table, const struct kdnet_address *from,
                                        const struct kdnet_address *to);

/* The same, but makes it when there is none; takes the oldest one's place when the table is full. NULL: out of memory.
 * A pointer is good until the next add. */
struct conversation *conversations_add(struct conversations *table, const struct kdnet_address *from,
                                       const struct kdnet_address *to);

/* How many are kept. */
size_t conversations_count(const struct conversations *table);

/* Remembers a data key, as the second to try while another one is in use. One that is known already changes nothing. */
void conversation_add_data_key(struct conversation *conversation, const uint8_t aes[static KDNET_AES_KEY_LENGTH],
                               size_t key);

/* Says that the data key at `index` opened a datagram: it is the first to try from now on. */
void conversation_use_data_key(struct conversation *conversation, size_t index);

#endif
