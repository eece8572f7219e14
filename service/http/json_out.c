/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/json_out.h"
#include "service/http/query.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

void out_begin(struct json_out *json, struct evbuffer *to)
{
    json->to = to;
    json->comma = json->failed = false;
    json->used = 0;
}

void out_end(struct json_out *json)
{
    if (json->used > 0 && evbuffer_add(json->to, json->text, json->used) != 0)
        json->failed = true;
    json->used = 0;
}

static void add(struct json_out *json, const char *text, size_t length)
{
    if (length > sizeof json->text - json->used)
        out_end(json);
    if (length > sizeof json->text) {
        if (evbuffer_add(json->to, text, length) != 0)
            json->failed = true;
        return;
    }
    memcpy(json->text + json->used, text, length);
    json->used += length;
}

static void before_value(struct json_out *json)
{
    if (json->comma)
        add(json, ",", 1);
    json->comma = true;
}

void out_open(struct json_out *json, char bracket)
{
    before_value(json);
    add(json, &bracket, 1);
    json->comma = false;
}

void out_close(struct json_out *json, char bracket)
{
    add(json, &bracket, 1);
    json->comma = true;
}

static void add_escaped(struct json_out *json, unsigned char c)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    const char *at = strchr(plain, c);
    char text[8];
    if (at)
        (void)snprintf(text, sizeof text, "\\%c", letter[at - plain]);
    else
        (void)snprintf(text, sizeof text, "\\u%04x", c);
    add(json, text, strlen(text));
}

static void add_text(struct json_out *json, const char *text)
{
    add(json, "\"", 1);
    while (*text != '\0') {
        const char *from = text;
        while ((unsigned char)*text >= ' ' && (unsigned char)*text < 0x7f && *text != '"' && *text != '\\')
            ++text;
        add(json, from, (size_t)(text - from));
        if (*text == '\0')
            break;
        size_t length = query_character(text);
        if (length == 0)
            add(json, "\xEF\xBF\xBD", 3);
        else if (length == 1)
            add_escaped(json, (unsigned char)*text);
        else
            add(json, text, length);
        text += length > 0 ? length : 1;
    }
    add(json, "\"", 1);
}

void out_key(struct json_out *json, const char *key)
{
    before_value(json);
    add_text(json, key);
    add(json, ":", 1);
    json->comma = false;
}

void out_raw(struct json_out *json, const char *text, size_t length)
{
    before_value(json);
    add(json, text, length);
}

void out_null(struct json_out *json)
{
    out_raw(json, "null", 4);
}

void out_text(struct json_out *json, const char *text)
{
    if (!text) {
        out_null(json);
        return;
    }
    before_value(json);
    add_text(json, text);
}

void out_whole(struct json_out *json, uint64_t number)
{
    char text[24];
    int length = snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    out_raw(json, text, (size_t)length);
}

void out_bool(struct json_out *json, bool value)
{
    out_raw(json, value ? "true" : "false", value ? 4 : 5);
}

void out_format_time(uint64_t time_us, char out[static JSON_TIME_SIZE])
{
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm parts;
    size_t length = 0;
    if (gmtime_r(&seconds, &parts))
        length = strftime(out, JSON_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(out + length, JSON_TIME_SIZE - length, ".%06uZ", (unsigned)(time_us % 1000000));
}

void out_time(struct json_out *json, uint64_t time_us)
{
    char text[JSON_TIME_SIZE];
    out_format_time(time_us, text);
    out_text(json, time_us > 0 ? text : NULL);
}

void out_put_text(struct json_out *json, const char *key, const char *text)
{
    out_key(json, key);
    out_text(json, text);
}

void out_put_whole(struct json_out *json, const char *key, uint64_t number)
{
    out_key(json, key);
    out_whole(json, number);
}

void out_put_bool(struct json_out *json, const char *key, bool value)
{
    out_key(json, key);
    out_bool(json, value);
}

void out_put_time(struct json_out *json, const char *key, uint64_t time_us)
{
    out_key(json, key);
    out_time(json, time_us);
}

void out_put_seconds(struct json_out *json, const char *key, uint64_t microseconds)
{
    char text[40];
    int length = snprintf(text, sizeof text, "%llu.%06u", (unsigned long long)(microseconds / 1000000),
                          (unsigned)(microseconds % 1000000));
    out_key(json, key);
    out_raw(json, text, (size_t)length);
}

void out_put_raw(struct json_out *json, const char *key, const char *text)
{
    out_key(json, key);
    out_raw(json, text ? text : "null", text ? strlen(text) : 4);
}
