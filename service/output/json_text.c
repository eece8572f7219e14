/* SPDX-License-Identifier: Apache-2.0 */
#include "service/output/json_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_FIRST  1024U /* most lines are shorter */
#define NUMBER_SIZE 32U
#define REAL_DIGITS 15 /* reproduces the decimal input: 12.345 */

bool json_text_add(struct json_text *out, const char *bytes, size_t length)
{
    if (out->size - out->length < length) {
        size_t size = out->size > 0 ? 2 * out->size : SIZE_FIRST;
        size = size - out->length >= length ? size : out->length + length;
        char *text = realloc(out->text, size);
        if (!text)
            return false;
        out->text = text;
        out->size = size;
    }
    memcpy(out->text + out->length, bytes, length);
    out->length += length;
    return true;
}

static bool is_plain(char c)
{
    return (unsigned char)c >= ' ' && c != '"' && c != '\\';
}

static bool add_escape(struct json_text *out, char c)
{
    static const char short_codes[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    char text[8] = "\\";
    for (const char *code = short_codes; *code != '\0'; code += 2)
        if (*code == c) {
            text[1] = code[1];
            return json_text_add(out, text, 2);
        }
    int length = snprintf(text, sizeof text, "\\u%04X", (unsigned)(unsigned char)c);
    return json_text_add(out, text, (size_t)length);
}

static bool add_string(struct json_text *out, const char *text, size_t length)
{
    bool good = json_text_add(out, "\"", 1);
    for (size_t at = 0; good && at < length;) {
        size_t end = at;
        while (end < length && is_plain(text[end]))
            ++end;
        good = json_text_add(out, text + at, end - at) && (end == length || add_escape(out, text[end]));
        at = end + 1;
    }
    return good && json_text_add(out, "\"", 1);
}

static bool add_integer(struct json_text *out, const json_t *value)
{
    char text[NUMBER_SIZE];
    int length = snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return length > 0 && json_text_add(out, text, (size_t)length);
}

/* Writes 12.0, 12.345, 1e20: parsers read it as a real again. */
static bool add_real(struct json_text *out, const json_t *value)
{
    char text[NUMBER_SIZE];
    int length = snprintf(text, sizeof text, "%.*g", REAL_DIGITS, json_real_value(value));
    char *exponent = strchr(text, 'e');
    if (length <= 0)
        return false;
    if (!exponent)
        return json_text_add(out, text, (size_t)length) && (strchr(text, '.') || json_text_add(out, ".0", 2));
    const char *digits = exponent + 1 + (exponent[1] == '+' || exponent[1] == '-');
    digits += strspn(digits, "0");
    return json_text_add(out, text, (size_t)(exponent - text) + 1) &&
           (exponent[1] != '-' || json_text_add(out, "-", 1)) && json_text_add(out, digits, strlen(digits));
}

static bool add_value(struct json_text *out, json_t *value, unsigned depth);

static bool add_array(struct json_text *out, json_t *array, unsigned depth)
{
    bool good = json_text_add(out, "[", 1);
    for (size_t i = 0; good && i < json_array_size(array); ++i)
        good = (i == 0 || json_text_add(out, ",", 1)) && add_value(out, json_array_get(array, i), depth);
    return good && json_text_add(out, "]", 1);
}

static bool add_object(struct json_text *out, json_t *object, unsigned depth)
{
    bool good = json_text_add(out, "{", 1), first = true;
    for (void *at = json_object_iter(object); good && at; at = json_object_iter_next(object, at)) {
        const char *key = json_object_iter_key(at);
        good = (first || json_text_add(out, ",", 1)) && add_string(out, key, strlen(key)) &&
               json_text_add(out, ":", 1) && add_value(out, json_object_iter_value(at), depth);
        first = false;
    }
    return good && json_text_add(out, "}", 1);
}

static bool add_value(struct json_text *out, json_t *value, unsigned depth)
{
    if (!value || depth == JSON_TEXT_DEPTH_MAX)
        return false;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return add_object(out, value, depth + 1);
    case JSON_ARRAY:
        return add_array(out, value, depth + 1);
    case JSON_STRING:
        return add_string(out, json_string_value(value), json_string_length(value));
    case JSON_INTEGER:
        return add_integer(out, value);
    case JSON_REAL:
        return add_real(out, value);
    case JSON_TRUE:
        return json_text_add(out, "true", 4);
    case JSON_FALSE:
        return json_text_add(out, "false", 5);
    case JSON_NULL:
        return json_text_add(out, "null", 4);
    }
    return false;
}

bool json_text_add_value(struct json_text *out, json_t *value)
{
    return add_value(out, value, 0);
}
