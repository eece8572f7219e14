/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_out: writes JSON into an evbuffer, with its commas.
 *
 * Escapes text; invalid UTF-8 becomes U+FFFD. After an allocation failure the rest is left out, and `failed` is set.
 */
#ifndef SERVICE_HTTP_JSON_OUT_H
#define SERVICE_HTTP_JSON_OUT_H

#include <event2/buffer.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_OUT_SIZE  4096
#define JSON_TIME_SIZE 32

struct json_out {
    struct evbuffer *to; /* borrowed */
    bool comma;          /* before the next value */
    bool failed;
    size_t used;
    char text[JSON_OUT_SIZE];
};

void out_begin(struct json_out *json, struct evbuffer *to);
void out_end(struct json_out *json); /* flushes the rest; check `failed` */

void out_open(struct json_out *json, char bracket);  /* { or [ */
void out_close(struct json_out *json, char bracket); /* } or ] */
void out_key(struct json_out *json, const char *key);
void out_text(struct json_out *json, const char *text); /* NULL, too: null */
void out_whole(struct json_out *json, uint64_t number);
void out_bool(struct json_out *json, bool value);
void out_null(struct json_out *json);
void out_raw(struct json_out *json, const char *text, size_t length); /* writes a value that is JSON already */
void out_time(struct json_out *json, uint64_t time_us);               /* 0: null */

/* The same functions with a key before the value. */
void out_put_text(struct json_out *json, const char *key, const char *text);
void out_put_whole(struct json_out *json, const char *key, uint64_t number);
void out_put_bool(struct json_out *json, const char *key, bool value);
void out_put_time(struct json_out *json, const char *key, uint64_t time_us);
void out_put_seconds(struct json_out *json, const char *key, uint64_t microseconds);
void out_put_raw(struct json_out *json, const char *key, const char *text); /* NULL: null */

/* RFC 3339, UTC, microseconds. NUL-ended. */
void out_format_time(uint64_t time_us, char out[static JSON_TIME_SIZE]);

#endif
