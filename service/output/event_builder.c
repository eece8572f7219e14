/* SPDX-License-Identifier: Apache-2.0 */
#include "service/output/event_builder_internal.h"
#include "service/runtime/json_memory.h"

#include <stdlib.h>
#include <string.h>

#define REPORT_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15)) /* 15 digits reproduce the decimal input: 12.345 */
#define LINE_GUESS   4096                                     /* bytes; nearly all lines are shorter */

static const char replacement[3] = {'\xef', '\xbf', '\xbd'}; /* U+FFFD in UTF-8 */

json_t *builder_text(const char *text)
{
    return json_string_nocheck(text);
}

/* Length of the valid sequence at the start of text; 0 when there is none (RFC 3629, table 3-7 of Unicode). */
static size_t utf8_length(const unsigned char *text, size_t length)
{
    unsigned char c = text[0], low = 0x80, high = 0xbf;
    size_t need = c < 0x80                 ? 1
                  : c >= 0xc2 && c <= 0xdf ? 2
                  : c >= 0xe0 && c <= 0xef ? 3
                  : c >= 0xf0 && c <= 0xf4 ? 4
                                           : 0;
    if (need == 0 || need > length)
        return 0;
    if (c == 0xe0)
        low = 0xa0;
    else if (c == 0xed)
        high = 0x9f;
    else if (c == 0xf0)
        low = 0x90;
    else if (c == 0xf4)
        high = 0x8f;
    for (size_t i = 1; i < need; ++i) {
        if (text[i] < low || text[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return need;
}

/* Copies text with U+FFFD for each byte that is not part of valid UTF-8. `out` has room for 3 * length bytes.
 * Returns the bytes written. */
static size_t valid_utf8(const char *text, size_t length, char *out)
{
    size_t written = 0;
    for (size_t at = 0; at < length;) {
        size_t valid = utf8_length((const unsigned char *)text + at, length - at);
        if (valid == 0) {
            memcpy(out + written, replacement, sizeof replacement);
            written += sizeof replacement;
            ++at;
            continue;
        }
        memcpy(out + written, text + at, valid);
        written += valid;
        at += valid;
    }
    return written;
}

json_t *builder_foreign_text(const char *text, size_t length)
{
    char *valid = malloc(3 * length + 1);
    if (!valid) {
        json_memory_failed();
        return NULL;
    }
    json_t *made = json_stringn(valid, valid_utf8(text, length, valid));
    free(valid);
    return made;
}

json_t *builder_text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

json_t *builder_hex(uint64_t value, unsigned digits)
{
    static const char all[] = "0123456789ABCDEF";
    char text[2 + BUILDER_ADDRESS_DIGITS];
    size_t at = sizeof text;
    for (; value != 0 || at > sizeof text - digits; value >>= 4)
        text[--at] = all[value & 15];
    text[--at] = 'x';
    text[--at] = '0';
    return json_stringn_nocheck(text + at, sizeof text - at);
}

json_t *builder_milliseconds(uint64_t us)
{
    return json_real((double)us / 1000.0);
}

json_t *builder_build_lab(bool known, const char *text)
{
    return known ? builder_foreign_text(text, strnlen(text, KDNET_BUILD_LAB_SIZE)) : json_null();
}

void builder_put(struct builder *b, const char *key, json_t *value)
{
    if (json_object_set_new_nocheck(b->object, key, value) != 0)
        b->failed = true;
}

/* A line in the making: in `room` as long as it fits, so that it is allocated once, in its length. */
struct dump {
    char *text;
    size_t length, size;
    char room[LINE_GUESS];
};

/* Copies the line out of `room`, with room for `size` bytes. */
static char *move_out(const struct dump *dump, size_t size)
{
    char *text = malloc(size);
    if (text)
        memcpy(text, dump->room, dump->length);
    return text;
}

static bool make_room(struct dump *dump, size_t more)
{
    if (dump->size - dump->length >= more)
        return true;
    size_t size = 2 * dump->size > dump->length + more ? 2 * dump->size : dump->length + more;
    char *text = dump->text == dump->room ? move_out(dump, size) : realloc(dump->text, size);
    if (!text)
        return false;
    dump->text = text;
    dump->size = size;
    return true;
}

static int take_piece(const char *piece, size_t length, void *user)
{
    struct dump *dump = user;
    if (!make_room(dump, length))
        return -1;
    memcpy(dump->text + dump->length, piece, length);
    dump->length += length;
    return 0;
}

char *builder_finish(struct builder *b, size_t *length)
{
    struct dump dump;
    dump.text = dump.room;
    dump.length = 0;
    dump.size = sizeof dump.room;
    bool made = !b->failed && json_dump_callback(b->object, take_piece, &dump, REPORT_FLAGS) == 0 &&
                take_piece("\n", 2, &dump) == 0 && json_memory_failures() == b->failures;
    json_decref(b->object);
    char *line = dump.text;
    if (made && dump.text == dump.room)
        line = move_out(&dump, dump.length);
    else if (!made && dump.text != dump.room)
        free(dump.text);
    *length = made && line ? dump.length - 1 : 0;
    return made ? line : NULL;
}
