/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/base/wire.h"
#include "kdnet/session/evidence.h"

#include <string.h>

const char *kdnet_read_kind_name(enum kdnet_read_kind kind)
{
#define TEXT(name, text) text,
    static const char *const names[] = {KDNET_READ_MAP(TEXT)};
#undef TEXT
    return (size_t)kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}

const char *kdnet_value_state_name(enum kdnet_value_state state)
{
#define TEXT(name, text) text,
    static const char *const names[] = {KDNET_VALUE_MAP(TEXT)};
#undef TEXT
    return (size_t)state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

uint32_t kdnet_read_length(const struct kdnet_machine_layout *layout, enum kdnet_read_kind kind)
{
    switch (kind) {
    case KDNET_READ_U8:
        return 1;
    case KDNET_READ_U16:
        return 2;
    case KDNET_READ_U32:
        return 4;
    case KDNET_READ_U64:
        return 8;
    case KDNET_READ_STRING:
        return KDNET_TEXT_MAX;
    case KDNET_READ_UNICODE:
        return 2 * (uint32_t)layout->pointer_size; /* Length, MaximumLength, and padding before Buffer */
    case KDNET_READ_POINTER:
    default:
        return (uint32_t)layout->pointer_size;
    }
}

void kdnet_evidence_number(struct kdnet_evidence *evidence, size_t i, const uint8_t *data, size_t length)
{
    uint64_t number = 0;
    for (size_t at = length < 8 ? length : 8; at > 0; --at)
        number = number << 8 | data[at - 1];
    evidence->value[i].number = number;
    evidence->value[i].state = KDNET_VALUE_KNOWN;
}

/* Converts one UTF-16 unit to UTF-8, up to 3 bytes. Surrogates, which names of drivers do not have, become U+FFFD. */
static size_t to_utf8(uint16_t c, char out[static 3])
{
    if (c >= 0xd800 && c <= 0xdfff)
        c = 0xfffd;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | c >> 12);
    out[1] = (char)(0x80 | (c >> 6 & 0x3f));
    out[2] = (char)(0x80 | (c & 0x3f));
    return 3;
}

void kdnet_evidence_text(struct kdnet_evidence *evidence, size_t i, const uint8_t *data, size_t length, bool wide,
                         bool more)
{
    struct kdnet_value *value = &evidence->value[i];
    char *text = evidence->texts + evidence->texts_length;
    size_t room = sizeof evidence->texts - evidence->texts_length, unit = wide ? 2 : 1, used = 0;
    for (size_t at = 0; at + unit <= length; at += unit) {
        uint16_t c = wide ? kdnet_get_le16(data + at) : data[at];
        char bytes[3] = {(char)c};
        size_t count = wide ? to_utf8(c, bytes) : 1;
        if (c == 0) {
            more = false;
            break;
        }
        if (used + count > room || used + count > UINT8_MAX) {
            more = true;
            break;
        }
        memcpy(text + used, bytes, count);
        used += count;
    }
    value->text_at = evidence->texts_length;
    value->text_length = (uint8_t)used;
    value->state = !more ? KDNET_VALUE_KNOWN : used > 0 ? KDNET_VALUE_CUT : KDNET_VALUE_NO_ROOM;
    evidence->texts_length = (uint16_t)(evidence->texts_length + used);
}

bool kdnet_evidence_find(const struct kdnet_evidence *evidence, const char *symbol, enum kdnet_read_kind kind,
                         uint64_t *number)
{
    for (size_t i = 0; evidence && i < evidence->reads->count; ++i) {
        const struct kdnet_read *read = &evidence->reads->read[i];
        if (evidence->value[i].state != KDNET_VALUE_KNOWN || read->kind != kind || read->steps != 0 ||
            read->offset[0] != 0 || strcmp(read->module, "nt") != 0 || strcmp(read->symbol, symbol) != 0)
            continue;
        *number = evidence->value[i].number;
        return true;
    }
    return false;
}
