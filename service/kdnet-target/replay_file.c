/* SPDX-License-Identifier: Apache-2.0 */
/* Decrypts the KDNET datagrams of a capture and makes a replay of its data channel. */
#include "kdnet/wire/datagram.h"
#include "kdnet/error.h"
#include "kdnet/wire/handshake.h"
#include "service/capture/capture.h"
#include "service/kdnet-target/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct loader {
    struct kdnet_crypto *crypto;
    struct kdnet_key key;
    struct kdnet_keys keys;
    bool keyed, failed;
    uint8_t data_key[KDNET_AES_KEY_LENGTH];
    struct replay_record *records;
    size_t count, room;
    size_t seen, opened; /* datagrams that look like KDNET; authentic ones */
};

static bool keep(struct loader *loader, const struct kdnet_datagram *datagram, uint64_t time_us)
{
    if (loader->count == loader->room) {
        size_t room = loader->room == 0 ? 256 : 2 * loader->room;
        struct replay_record *records = realloc(loader->records, room * sizeof *records);
        if (!records)
            return false;
        loader->records = records;
        loader->room = room;
    }
    uint8_t *body = malloc(datagram->body_length + 1);
    if (!body)
        return false;
    memcpy(body, datagram->body, datagram->body_length);
    loader->records[loader->count++] = (struct replay_record){.from_host = datagram->from_host,
                                                              .version = datagram->version,
                                                              .time_us = time_us,
                                                              .body = body,
                                                              .length = datagram->body_length};
    return true;
}

static void take(struct loader *loader, const struct capture_datagram *in)
{
    uint8_t plain[KDNET_DATAGRAM_MAX], version, channel;
    struct kdnet_datagram datagram;
    struct kdnet_response response;
    if (kdnet_datagram_peek(in->payload, in->length, &version, &channel) != KDNET_OK)
        return;
    ++loader->seen;
    if (channel == KDNET_CHANNEL_DATA && !loader->keyed)
        return;
    const uint8_t *key = channel == KDNET_CHANNEL_DATA ? loader->data_key : loader->keys.control.bytes;
    if (kdnet_datagram_open(loader->crypto, key, &loader->keys.hmac, in->payload, in->length, plain, &datagram) !=
        KDNET_OK)
        return;
    ++loader->opened;
    if (channel == KDNET_CHANNEL_DATA) {
        loader->failed |= !keep(loader, &datagram, (uint64_t)in->relative_us);
    } else if (kdnet_response_decode(datagram.body, datagram.body_length, &response) == KDNET_OK) {
        kdnet_data_key(&loader->key, datagram.body, loader->data_key);
        loader->keyed = true;
    }
}

/* False, with a sentence, when there is nothing to replay. */
static bool check(const struct loader *loader, const char *path, char *error, size_t error_size)
{
    if (loader->failed)
        (void)snprintf(error, error_size, "%s: out of memory", path);
    else if (loader->seen == 0)
        (void)snprintf(error, error_size, "%s: has no KDNET datagrams; is it a capture of the debugging port?", path);
    else if (loader->opened == 0)
        (void)snprintf(
            error, error_size,
            "%s: none of its %zu KDNET datagrams opens with this key; check --replay-key: it is the key that the "
            "captured machine had",
            path, loader->seen);
    else if (loader->count == 0)
        (void)snprintf(
            error, error_size,
            "%s: has no open session: the response that makes the data key was not captured; start the capture "
            "before the debugger",
            path);
    else
        return true;
    return false;
}

static void clear(struct loader *loader)
{
    for (size_t i = 0; i < loader->count; ++i)
        free((void *)(uintptr_t)loader->records[i].body);
    free(loader->records);
    kdnet_crypto_free(loader->crypto);
    kdnet_crypto_wipe(loader, sizeof *loader);
}

struct machine_replay *machine_replay_load(const char *path, const struct kdnet_key *key, char *error,
                                           size_t error_size)
{
    char reason[CAPTURE_ERROR_SIZE];
    struct capture_datagram datagram;
    struct loader loader = {.key = *key, .crypto = kdnet_crypto_new()};
    struct machine_replay *replay = NULL;
    struct capture *capture = capture_open(path, reason);
    if (!capture || !loader.crypto) {
        (void)snprintf(error, error_size, "%s", capture ? "OpenSSL has no AES-256-CBC" : reason);
        capture_close(capture);
        clear(&loader);
        return NULL;
    }
    kdnet_keys_init(&loader.keys, key);
    while (capture_next(capture, &datagram) == CAPTURE_DATAGRAM)
        take(&loader, &datagram);
    capture_close(capture);
    if (check(&loader, path, error, error_size)) {
        replay = machine_replay_new(loader.records, loader.count);
        if (!replay)
            (void)snprintf(error, error_size, "%s: out of memory", path);
    }
    clear(&loader);
    return replay;
}
