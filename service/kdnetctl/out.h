/* SPDX-License-Identifier: Apache-2.0 */
/*
 * out: buffered output of text and JSON that makes everything from a capture harmless.
 *
 * A capture of a gigabyte is millions of lines, so this writes straight into a buffer: no printf, no tree of JSON
 * values (which would cost several times the decryption).
 *
 * Data from a target may hold anything. Control characters (C0, C1, DEL), characters that reorder or hide text on a
 * terminal, and invalid UTF-8 are never written as they are: text has \n, \r, \t, \xNN or \u{NNNN} for them, JSON
 * \uNNNN, and U+FFFD for what is no character and for NUL, which many JSON parsers refuse.
 */
#ifndef SERVICE_CTL_OUT_H
#define SERVICE_CTL_OUT_H

#include "kdnet/wire/handshake.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define OUT_BUFFER 65536

struct out {
    FILE *file;
    bool json;  /* how untrusted text is escaped */
    int error;  /* errno of the first failed write; nothing is written afterwards */
    bool comma; /* JSON: a value went before at this level */
    size_t length;
    int64_t second; /* the second that `calendar` represents */
    char calendar[24];
    char buffer[OUT_BUFFER];
};

void out_init(struct out *out, FILE *file, bool json);

/* Writes the buffer and flushes the file. Returns false once a write has failed (EPIPE: the reader went away). */
bool out_flush(struct out *out);

void out_char(struct out *out, char c);
void out_bytes(struct out *out, const char *bytes, size_t length); /* as they are: for our own texts */
void out_text(struct out *out, const char *text);
void out_decimal(struct out *out, uint64_t value);
void out_decimal_padded(struct out *out, uint64_t value, int width); /* with spaces on the left */
void out_hex(struct out *out, uint64_t value);                       /* 0x, and as many digits as needed */
void out_hex_padded(struct out *out, uint64_t value, int digits);    /* 0x, and at least `digits` of them */
void out_hex_bytes(struct out *out, const uint8_t *bytes, size_t length);
void out_time(struct out *out, int64_t time_us);          /* RFC 3339, UTC, microseconds; 1970 to 9999 */
void out_seconds(struct out *out, int64_t us, int width); /* "-0.000123", right-aligned */

/* No address at all: zero, or 0.0.0.0 as IPv4-mapped (the form seen in the pokes of a real machine), without a port. */
bool out_is_nobody(const struct kdnet_address *address);
void out_ip(struct out *out, const uint8_t ip[static 16]);
void out_address(struct out *out, const struct kdnet_address *address); /* 192.0.2.1:50000, [2001:db8::1]:50000 */

/* Write untrusted text, escaped, without quotes: of unknown encoding (UTF-8 where valid), and UTF-16LE. */
void out_untrusted(struct out *out, const char *text, size_t length);
void out_untrusted_utf16(struct out *out, const uint8_t *text, size_t length);

/* JSON. `name` is a member's name, ours; NULL in an array. */
void out_json_open(struct out *out, const char *name, char bracket);
void out_json_close(struct out *out, char bracket);
void out_json_string(struct out *out, const char *name, const char *ours); /* null when NULL */
void out_json_untrusted(struct out *out, const char *name, const char *text, size_t length);
void out_json_untrusted_utf16(struct out *out, const char *name, const uint8_t *text, size_t length);
void out_json_number(struct out *out, const char *name, uint64_t value);
void out_json_hex(struct out *out, const char *name, uint64_t value, int digits); /* a string, "0x…" */
void out_json_bytes(struct out *out, const char *name, const uint8_t *bytes, size_t length);
void out_json_bool(struct out *out, const char *name, bool value);
void out_json_null(struct out *out, const char *name);
void out_json_address(struct out *out, const char *name, const struct kdnet_address *address); /* null for nobody */
void out_json_name(struct out *out, const char *name); /* for a value that the caller writes */

#endif
