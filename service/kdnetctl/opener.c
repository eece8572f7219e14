/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnetctl/opener.h"
#include "kdnet/error.h"

#include <stdlib.h>
#include <string.h>

#define TRY_WHOLE 8 /* with so few keys each is tried in full, which also opens absurd sequence numbers */

struct opener {
    struct kdnet_crypto *crypto;
    struct conversations *conversations;
    struct kdnet_keys *keys;
    size_t key_count, key_capacity;
    uint8_t plain[KDNET_DATAGRAM_MAX];
};

struct opener *opener_new(void)
{
    struct opener *opener = calloc(1, sizeof *opener);
    if (!opener)
        return NULL;
    opener->crypto = kdnet_crypto_new();
    opener->conversations = conversations_new(CONVERSATION_LIMIT);
    if (!opener->crypto || !opener->conversations) {
        opener_free(opener);
        return NULL;
    }
    return opener;
}

static void free_keys(struct kdnet_keys *keys, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        kdnet_keys_clear(&keys[i]);
    free(keys);
}

void opener_free(struct opener *opener)
{
    if (!opener)
        return;
    free_keys(opener->keys, opener->key_count);
    conversations_free(opener->conversations);
    kdnet_crypto_free(opener->crypto);
    free(opener);
}

/* Not realloc, which could leave a copy of the keys behind. */
static bool grow(struct opener *opener)
{
    size_t capacity = opener->key_capacity ? 2 * opener->key_capacity : 8;
    struct kdnet_keys *keys = calloc(capacity, sizeof *keys);
    if (!keys)
        return false;
    if (opener->key_count > 0)
        memcpy(keys, opener->keys, opener->key_count * sizeof *keys);
    free_keys(opener->keys, opener->key_count);
    opener->keys = keys;
    opener->key_capacity = capacity;
    return true;
}

int opener_add_key(struct opener *opener, const struct kdnet_key *key)
{
    if (opener->key_count == opener->key_capacity && !grow(opener))
        return KDNET_ERR_MEMORY;
    kdnet_keys_init(&opener->keys[opener->key_count++], key);
    return KDNET_OK;
}

static bool try_key(struct opener *opener, const uint8_t *aes, size_t key, const struct capture_datagram *captured,
                    struct opener_opened *out)
{
    int error = kdnet_datagram_open(opener->crypto, aes, &opener->keys[key].hmac, captured->payload, captured->length,
                                    opener->plain, &out->datagram);
    out->error = error;
    if (error == KDNET_OK)
        out->key = key;
    return error != KDNET_ERR_AUTH; /* anything else is the last word */
}

static bool try_control_key(struct opener *opener, size_t key, const struct capture_datagram *captured,
                            struct opener_opened *out)
{
    const uint8_t *aes = opener->keys[key].control.bytes;
    if (opener->key_count > TRY_WHOLE &&
        !kdnet_datagram_may_open(opener->crypto, aes, captured->payload, captured->length))
        return false;
    return try_key(opener, aes, key, captured, out);
}

static void open_control(struct opener *opener, const struct conversation *conversation,
                         const struct capture_datagram *captured, struct opener_opened *out)
{
    size_t first = conversation ? conversation->key : 0;
    if (try_control_key(opener, first, captured, out))
        return;
    for (size_t i = 0; i < opener->key_count; ++i)
        if (i != first && try_control_key(opener, i, captured, out))
            return;
}

static void open_data(struct opener *opener, struct conversation *conversation, const struct capture_datagram *captured,
                      struct opener_opened *out)
{
    if (!conversation || conversation->data_key_count == 0) {
        out->result = OPENER_NO_RESPONSE;
        return;
    }
    for (size_t i = 0; i < conversation->data_key_count; ++i) {
        const struct conversation_data_key *data_key = &conversation->data_keys[i];
        if (!try_key(opener, data_key->aes, data_key->key, captured, out))
            continue;
        if (out->error == KDNET_OK)
            conversation_use_data_key(conversation, i);
        return;
    }
}

/* Learns facts about the conversation from an authentic datagram. */
static void learn(struct opener *opener, const struct capture_datagram *captured, struct opener_opened *out)
{
    struct kdnet_response response;
    const struct kdnet_datagram *datagram = &out->datagram;
    out->result = OPENER_VERIFIED;
    if (!out->conversation)
        out->conversation = conversations_add(opener->conversations, &captured->from, &captured->to);
    if (!out->conversation) {
        out->result = OPENER_ERROR;
        out->error = KDNET_ERR_MEMORY;
        return;
    }
    out->conversation->key = out->key;
    if (datagram->channel != KDNET_CHANNEL_CONTROL || !datagram->from_host ||
        kdnet_response_decode(datagram->body, datagram->body_length, &response) != KDNET_OK)
        return;
    uint8_t aes[KDNET_AES_KEY_LENGTH];
    kdnet_data_key(&opener->keys[out->key].control, datagram->body, aes);
    conversation_add_data_key(out->conversation, aes, out->key);
    kdnet_crypto_wipe(aes, sizeof aes);
}

static bool is_kdnet(const struct capture_datagram *captured)
{
    return captured->length >= 4 && memcmp(captured->payload, "MDBG", 4) == 0;
}

bool opener_open(struct opener *opener, const struct capture_datagram *captured, struct opener_opened *out)
{
    if (!is_kdnet(captured))
        return false;
    memset(out, 0, sizeof *out);
    out->result = OPENER_ERROR;
    if (captured->length >= KDNET_HEADER_LENGTH) {
        out->has_header = true;
        out->version = captured->payload[4];
        out->channel = captured->payload[5];
    }
    if (captured->length < captured->wire_length) {
        out->result = OPENER_CUT;
        return true;
    }
    out->error = kdnet_datagram_peek(captured->payload, captured->length, &out->version, &out->channel);
    if (out->error != KDNET_OK)
        return true;
    if (opener->key_count == 0) {
        out->result = OPENER_NO_KEY;
        return true;
    }
    out->error = KDNET_ERR_AUTH;
    out->conversation = conversations_find(opener->conversations, &captured->from, &captured->to);
    if (out->channel == KDNET_CHANNEL_CONTROL)
        open_control(opener, out->conversation, captured, out);
    else
        open_data(opener, out->conversation, captured, out);
    if (out->error == KDNET_OK)
        learn(opener, captured, out);
    return true;
}

const char *opener_reason(const struct opener_opened *opened)
{
    switch (opened->result) {
    case OPENER_VERIFIED:
        return "verified";
    case OPENER_NO_KEY:
        return "no key";
    case OPENER_NO_RESPONSE:
        return "no data key: no response that would tell it was seen before";
    case OPENER_CUT:
        return "cut by the capture's snapshot length";
    case OPENER_ERROR:
        break;
    }
    return kdnet_error_text(opened->error);
}
