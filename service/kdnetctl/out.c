/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnetctl/out.h"
#include "kdnet/base/wire.h"
#include "service/kdnetctl/character.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define REPLACEMENT 0xfffdU
#define PART        4096 /* text is escaped in pieces of this size, so that one check of room serves many characters */

static const char hex_digits[] = "0123456789abcdef";

void out_init(struct out *out, FILE *file, bool json)
{
    out->file = file;
    out->json = json;
    out->error = 0;
    out->comma = false;
    out->length = 0;
    out->second = -1;
}

static void drain(struct out *out)
{
    if (out->error == 0 && fwrite(out->buffer, 1, out->length, out->file) != out->length)
        out->error = errno ? errno : EIO;
    out->length = 0;
}

bool out_flush(struct out *out)
{
    drain(out);
    if (out->error == 0 && fflush(out->file) != 0)
        out->error = errno ? errno : EIO;
    return out->error == 0;
}

/* Returns room for `count` bytes, at most PART; the caller adds the used bytes to length. */
static char *room(struct out *out, size_t count)
{
    if (sizeof out->buffer - out->length < count)
        drain(out);
    return out->buffer + out->length;
}

void out_char(struct out *out, char c)
{
    *room(out, 1) = c;
    ++out->length;
}

void out_bytes(struct out *out, const char *bytes, size_t length)
{
    while (length > 0) {
        size_t count = length < PART ? length : PART;
        memcpy(room(out, count), bytes, count);
        out->length += count;
        bytes += count;
        length -= count;
    }
}

void out_text(struct out *out, const char *text)
{
    out_bytes(out, text, strlen(text));
}

void out_decimal_padded(struct out *out, uint64_t value, int width)
{
    char digits[64];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    while ((int)(sizeof digits - at) < width && at > 0)
        digits[--at] = ' ';
    out_bytes(out, digits + at, sizeof digits - at);
}

void out_decimal(struct out *out, uint64_t value)
{
    out_decimal_padded(out, value, 0);
}

void out_hex_padded(struct out *out, uint64_t value, int digits)
{
    char text[18];
    size_t at = sizeof text;
    do {
        text[--at] = hex_digits[value & 15];
        value >>= 4;
        --digits;
    } while (at > 2 && (value != 0 || digits > 0));
    text[--at] = 'x';
    text[--at] = '0';
    out_bytes(out, text + at, sizeof text - at);
}

void out_hex(struct out *out, uint64_t value)
{
    out_hex_padded(out, value, 0);
}

void out_hex_bytes(struct out *out, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        size_t count = length < PART / 2 ? length : PART / 2;
        char *p = room(out, 2 * count);
        for (size_t i = 0; i < count; ++i) {
            *p++ = hex_digits[bytes[i] >> 4];
            *p++ = hex_digits[bytes[i] & 15];
        }
        out->length += 2 * count;
        bytes += count;
        length -= count;
    }
}

static void put_micros(char *out, uint64_t micros)
{
    for (int i = 5; i >= 0; --i) {
        out[i] = (char)('0' + micros % 10);
        micros /= 10;
    }
}

void out_time(struct out *out, int64_t time_us)
{
    int64_t second = time_us / 1000000;
    if (second != out->second) { /* most lines share their second with the line before */
        time_t clock = (time_t)second;
        struct tm calendar;
        if (!gmtime_r(&clock, &calendar) ||
            strftime(out->calendar, sizeof out->calendar, "%Y-%m-%dT%H:%M:%S.", &calendar) == 0)
            memcpy(out->calendar, "1970-01-01T00:00:00.", 21);
        out->second = second;
    }
    char micros[7];
    put_micros(micros, (uint64_t)(time_us % 1000000));
    micros[6] = 'Z';
    out_text(out, out->calendar);
    out_bytes(out, micros, sizeof micros);
}

void out_seconds(struct out *out, int64_t us, int width)
{
    char text[32];
    uint64_t value = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
    uint64_t whole = value / 1000000;
    size_t at = sizeof text - 7;
    text[at] = '.';
    put_micros(text + at + 1, value % 1000000);
    do
        text[--at] = (char)('0' + whole % 10);
    while ((whole /= 10) != 0 && at > 1);
    if (us < 0)
        text[--at] = '-';
    while ((int)(sizeof text - at) < width && at > 0)
        text[--at] = ' ';
    out_bytes(out, text + at, sizeof text - at);
}

static bool is_ipv4(const uint8_t ip[static 16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(ip, mapped, sizeof mapped) == 0;
}

bool out_is_nobody(const struct kdnet_address *address)
{
    static const struct kdnet_address mapped = {.ip = {[10] = 0xff, [11] = 0xff}};
    return kdnet_address_is_none(address) || kdnet_address_equal(address, &mapped);
}

void out_ip(struct out *out, const uint8_t ip[static 16])
{
    char text[INET6_ADDRSTRLEN];
    if (is_ipv4(ip)) {
        for (size_t i = 12; i < 16; ++i) {
            if (i > 12)
                out_char(out, '.');
            out_decimal(out, ip[i]);
        }
        return;
    }
    if (inet_ntop(AF_INET6, ip, text, sizeof text))
        out_text(out, text);
}

void out_address(struct out *out, const struct kdnet_address *address)
{
    bool brackets = !is_ipv4(address->ip);
    if (brackets)
        out_char(out, '[');
    out_ip(out, address->ip);
    out_bytes(out, "]:", brackets ? 2 : 0);
    if (!brackets)
        out_char(out, ':');
    out_decimal(out, address->port);
}

static void put_utf8(struct out *out, uint32_t c)
{
    out->length += character_put(room(out, 4), c);
}

static void put_json_escape(struct out *out, uint32_t c)
{
    if (c >= 0x10000) {
        put_json_escape(out, 0xd800 + ((c - 0x10000) >> 10));
        c = 0xdc00 + ((c - 0x10000) & 0x3ffU);
    }
    char *p = room(out, 6);
    p[0] = '\\';
    p[1] = 'u';
    for (unsigned i = 0; i < 4; ++i)
        p[2 + i] = hex_digits[c >> (12 - 4 * i) & 15];
    out->length += 6;
}

static void put_text_escape(struct out *out, uint32_t c)
{
    const char *known = c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : NULL;
    if (known) {
        out_bytes(out, known, 2);
        return;
    }
    if (c < 0x100) {
        uint8_t byte = (uint8_t)c;
        out_bytes(out, "\\x", 2);
        out_hex_bytes(out, &byte, 1);
        return;
    }
    out_bytes(out, "\\u{", 3);
    for (int shift = c >= 0x100000 ? 20 : c >= 0x10000 ? 16 : 12; shift >= 0; shift -= 4)
        out_char(out, hex_digits[c >> shift & 15]);
    out_char(out, '}');
}

static void put_character(struct out *out, uint32_t c)
{
    if (c == '"' || (c == '\\' && out->json)) {
        /* Text output leaves backslashes alone, for readable Windows paths; JSON is exact. */
        out_char(out, '\\');
        out_char(out, (char)c);
    } else if (character_is_plain(c)) {
        put_utf8(out, c);
    } else if (out->json) {
        put_json_escape(out, c == 0 || (c >= 0xd800 && c < 0xe000) ? REPLACEMENT : c);
    } else {
        put_text_escape(out, c);
    }
}

void out_untrusted(struct out *out, const char *text, size_t length)
{
    const uint8_t *p = (const uint8_t *)text;
    while (length > 0) {
        uint32_t c;
        size_t count = character_take(p, length, &c);
        if (count > 0)
            put_character(out, c);
        else if (out->json)
            put_json_escape(out, REPLACEMENT);
        else
            put_text_escape(out, *p);
        p += count > 0 ? count : 1;
        length -= count > 0 ? count : 1;
    }
}

void out_untrusted_utf16(struct out *out, const uint8_t *text, size_t length)
{
    for (size_t i = 0; i + 1 < length; i += 2) {
        uint32_t c = kdnet_get_le16(text + i);
        if (c >= 0xd800 && c < 0xdc00 && i + 3 < length) {
            uint32_t low = kdnet_get_le16(text + i + 2);
            if (low >= 0xdc00 && low < 0xe000) {
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                i += 2;
            }
        }
        put_character(out, c);
    }
}

void out_json_name(struct out *out, const char *name)
{
    if (out->comma)
        out_char(out, ',');
    out->comma = true;
    if (!name)
        return;
    out_char(out, '"');
    out_text(out, name);
    out_bytes(out, "\":", 2);
}

void out_json_open(struct out *out, const char *name, char bracket)
{
    out_json_name(out, name);
    out_char(out, bracket);
    out->comma = false;
}

void out_json_close(struct out *out, char bracket)
{
    out_char(out, bracket);
    out->comma = true;
}

void out_json_string(struct out *out, const char *name, const char *ours)
{
    if (!ours) {
        out_json_null(out, name);
        return;
    }
    out_json_name(out, name);
    out_char(out, '"');
    out_text(out, ours);
    out_char(out, '"');
}

void out_json_untrusted(struct out *out, const char *name, const char *text, size_t length)
{
    out_json_name(out, name);
    out_char(out, '"');
    out_untrusted(out, text, length);
    out_char(out, '"');
}

void out_json_untrusted_utf16(struct out *out, const char *name, const uint8_t *text, size_t length)
{
    out_json_name(out, name);
    out_char(out, '"');
    out_untrusted_utf16(out, text, length);
    out_char(out, '"');
}

void out_json_number(struct out *out, const char *name, uint64_t value)
{
    out_json_name(out, name);
    out_decimal(out, value);
}

void out_json_hex(struct out *out, const char *name, uint64_t value, int digits)
{
    out_json_name(out, name);
    out_char(out, '"');
    out_hex_padded(out, value, digits);
    out_char(out, '"');
}

void out_json_bytes(struct out *out, const char *name, const uint8_t *bytes, size_t length)
{
    out_json_name(out, name);
    out_char(out, '"');
    out_hex_bytes(out, bytes, length);
    out_char(out, '"');
}

void out_json_bool(struct out *out, const char *name, bool value)
{
    out_json_name(out, name);
    out_text(out, value ? "true" : "false");
}

void out_json_null(struct out *out, const char *name)
{
    out_json_name(out, name);
    out_text(out, "null");
}

void out_json_address(struct out *out, const char *name, const struct kdnet_address *address)
{
    if (out_is_nobody(address)) {
        out_json_null(out, name);
        return;
    }
    out_json_name(out, name);
    out_char(out, '"');
    out_address(out, address);
    out_char(out, '"');
}
