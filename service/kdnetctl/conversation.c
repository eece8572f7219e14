/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnetctl/conversation.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS 65536

struct conversations {
    size_t limit, count;
    struct conversation *newest, *oldest;
    struct conversation *buckets[BUCKETS];
};

struct conversations *conversations_new(size_t limit)
{
    struct conversations *table = calloc(1, sizeof *table);
    if (table)
        table->limit = limit;
    return table;
}

void conversations_free(struct conversations *table)
{
    if (!table)
        return;
    struct conversation *conversation = table->newest;
    while (conversation) {
        struct conversation *older = conversation->older;
        kdnet_crypto_wipe(conversation, sizeof *conversation);
        free(conversation);
        conversation = older;
    }
    free(table);
}

size_t conversations_count(const struct conversations *table)
{
    return table->count;
}

static int compare(const struct kdnet_address *a, const struct kdnet_address *b)
{
    int order = memcmp(a->ip, b->ip, sizeof a->ip);
    return order != 0 ? order : (int)a->port - (int)b->port;
}

static uint64_t mix(uint64_t hash, const struct kdnet_address *address)
{
    uint64_t words[2];
    memcpy(words, address->ip, sizeof words);
    hash = (hash ^ words[0]) * 0x9e3779b97f4a7c15U;
    hash = (hash ^ hash >> 29 ^ words[1]) * 0xbf58476d1ce4e5b9U;
    return (hash ^ hash >> 32 ^ address->port) * 0x94d049bb133111ebU;
}

static struct conversation **bucket(struct conversations *table, const struct kdnet_address *a,
                                    const struct kdnet_address *b)
{
    uint64_t hash = mix(mix(0, a), b);
    return &table->buckets[(hash ^ hash >> 31) % BUCKETS];
}

static void unlink_age(struct conversations *table, struct conversation *conversation)
{
    *(conversation->newer ? &conversation->newer->older : &table->newest) = conversation->older;
    *(conversation->older ? &conversation->older->newer : &table->oldest) = conversation->newer;
}

static void link_newest(struct conversations *table, struct conversation *conversation)
{
    conversation->newer = NULL;
    conversation->older = table->newest;
    *(table->newest ? &table->newest->newer : &table->oldest) = conversation;
    table->newest = conversation;
}

static void unlink_bucket(struct conversations *table, const struct conversation *conversation)
{
    struct conversation **at = bucket(table, &conversation->a, &conversation->b);
    while (*at != conversation)
        at = &(*at)->next_in_bucket;
    *at = conversation->next_in_bucket;
}

struct conversation *conversations_find(struct conversations *table, const struct kdnet_address *from,
                                        const struct kdnet_address *to)
{
    const struct kdnet_address *a = compare(from, to) <= 0 ? from : to;
    const struct kdnet_address *b = a == from ? to : from;
    struct conversation *found = *bucket(table, a, b);
    while (found && !(kdnet_address_equal(&found->a, a) && kdnet_address_equal(&found->b, b)))
        found = found->next_in_bucket;
    if (found && found != table->newest) {
        unlink_age(table, found);
        link_newest(table, found);
    }
    return found;
}

/* Returns memory for one more: new, or the oldest one's. */
static struct conversation *claim(struct conversations *table)
{
    struct conversation *conversation = table->oldest;
    if (table->count < table->limit) {
        conversation = malloc(sizeof *conversation);
        if (!conversation)
            return NULL;
        ++table->count;
    } else {
        unlink_bucket(table, conversation);
        unlink_age(table, conversation);
    }
    memset(conversation, 0, sizeof *conversation);
    return conversation;
}

struct conversation *conversations_add(struct conversations *table, const struct kdnet_address *from,
                                       const struct kdnet_address *to)
{
    struct conversation *conversation = conversations_find(table, from, to);
    if (conversation)
        return conversation;
    conversation = claim(table);
    if (!conversation)
        return NULL;
    bool ordered = compare(from, to) <= 0;
    conversation->a = ordered ? *from : *to;
    conversation->b = ordered ? *to : *from;
    struct conversation **head = bucket(table, &conversation->a, &conversation->b);
    conversation->next_in_bucket = *head;
    *head = conversation;
    link_newest(table, conversation);
    return conversation;
}

void conversation_add_data_key(struct conversation *conversation, const uint8_t aes[static KDNET_AES_KEY_LENGTH],
                               size_t key)
{
    struct conversation_data_key *keys = conversation->data_keys;
    for (size_t i = 0; i < conversation->data_key_count; ++i)
        if (memcmp(keys[i].aes, aes, sizeof keys[i].aes) == 0)
            return;
    if (conversation->data_key_count < CONVERSATION_DATA_KEYS)
        ++conversation->data_key_count;
    /* Behind the first key, so that responses which the target never accepted cannot push out the key in force. */
    size_t at = conversation->data_key_count > 1 ? 1 : 0;
    memmove(keys + at + 1, keys + at, (conversation->data_key_count - at - 1) * sizeof *keys);
    memcpy(keys[at].aes, aes, sizeof keys[at].aes);
    keys[at].key = key;
}

void conversation_use_data_key(struct conversation *conversation, size_t index)
{
    struct conversation_data_key used = conversation->data_keys[index];
    memmove(conversation->data_keys + 1, conversation->data_keys, index * sizeof used);
    conversation->data_keys[0] = used;
    conversation->key = used.key;
}
