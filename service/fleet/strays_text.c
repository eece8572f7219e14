/* SPDX-License-Identifier: Apache-2.0 */
/* The messages: "KDS", '1', kind, two places (IP, port), two names behind their lengths, and the datagram; of the word
 * that a result was told: the break, 4 bytes, lowest first. */
#include "service/fleet/strays.h"

#include <string.h>

#define KIND_SHOWN 0U
#define KIND_KEPT  1U
#define KIND_TOLD  2U

#define TOLD_LENGTH 4U

static const uint8_t magic[4] = {'K', 'D', 'S', '1'};

struct reader {
    const uint8_t *at;
    size_t left;
};

static uint8_t *put_place(uint8_t *at, const struct address *address)
{
    memcpy(at, address->ip, sizeof address->ip);
    at[16] = (uint8_t)(address->port >> 8);
    at[17] = (uint8_t)address->port;
    return at + 18;
}

static uint8_t *put_name(uint8_t *at, const char *name)
{
    size_t length = strnlen(name, CONFIG_NAME_SIZE - 1);
    *at++ = (uint8_t)length;
    memcpy(at, name, length);
    return at + length;
}

static uint8_t kind_of(const struct stray *stray)
{
    if (!stray->kept)
        return KIND_SHOWN;
    return stray->told != 0 ? KIND_TOLD : KIND_KEPT;
}

size_t strays_encode(const struct stray *stray, const char *collector, uint8_t out[static STRAYS_SIZE])
{
    size_t length = stray->kept ? 0 : stray->length;
    if (length > STRAYS_DATAGRAM_MAX || (!stray->kept && length == 0))
        return 0;
    memcpy(out, magic, sizeof magic);
    out[sizeof magic] = kind_of(stray);
    uint8_t *at = put_place(out + sizeof magic + 1, &stray->machine);
    at = put_place(at, &stray->local);
    at = put_name(at, collector);
    at = put_name(at, stray->kept ? stray->target : "");
    if (length > 0)
        memcpy(at, stray->payload, length);
    for (unsigned i = 0; i < TOLD_LENGTH && out[sizeof magic] == KIND_TOLD; ++i, ++length)
        at[i] = (uint8_t)(stray->told >> 8 * i);
    return (size_t)(at - out) + length;
}

static const uint8_t *take(struct reader *reader, size_t length)
{
    const uint8_t *at = reader->at;
    if (reader->left < length)
        return NULL;
    reader->at += length;
    reader->left -= length;
    return at;
}

static bool take_place(struct reader *reader, struct address *out)
{
    const uint8_t *at = take(reader, 18);
    if (!at)
        return false;
    *out = (struct address){.port = (uint16_t)(at[16] << 8 | at[17])};
    memcpy(out->ip, at, sizeof out->ip);
    return true;
}

static bool take_name(struct reader *reader, char name[static CONFIG_NAME_SIZE])
{
    const uint8_t *length = take(reader, 1);
    const uint8_t *text = length && *length < CONFIG_NAME_SIZE ? take(reader, *length) : NULL;
    if (!text || memchr(text, '\0', *length))
        return false;
    memcpy(name, text, *length);
    name[*length] = '\0';
    return true;
}

bool strays_decode(const uint8_t *data, size_t length, char collector[static CONFIG_NAME_SIZE], struct stray *out)
{
    struct reader reader = {.at = data, .left = length};
    const uint8_t *head = take(&reader, sizeof magic + 1);
    *out = (struct stray){.kept = false};
    if (!head || memcmp(head, magic, sizeof magic) != 0 || head[sizeof magic] > KIND_TOLD ||
        !take_place(&reader, &out->machine) || !take_place(&reader, &out->local) || !take_name(&reader, collector) ||
        !take_name(&reader, out->target))
        return false;
    out->kept = head[sizeof magic] != KIND_SHOWN;
    const uint8_t *told = head[sizeof magic] == KIND_TOLD ? take(&reader, TOLD_LENGTH) : NULL;
    for (unsigned i = 0; told && i < TOLD_LENGTH; ++i)
        out->told |= (uint32_t)told[i] << 8 * i;
    if (head[sizeof magic] == KIND_TOLD && out->told == 0)
        return false;
    out->length = reader.left;
    out->payload = reader.at;
    return out->kept ? reader.left == 0 : reader.left > 0 && reader.left <= STRAYS_DATAGRAM_MAX;
}
