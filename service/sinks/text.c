/* SPDX-License-Identifier: Apache-2.0 */
#include "service/sinks/text.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 4096U

void text_add(struct text *text, const char *bytes, size_t length)
{
    size_t wanted = text->length + length + 1;
    if (!text->failed && wanted > text->capacity) {
        size_t capacity = text->capacity > 0 ? text->capacity : FIRST_SIZE;
        while (capacity < wanted)
            capacity *= 2;
        char *larger = realloc(text->bytes, capacity);
        text->failed = !larger;
        if (larger) {
            text->bytes = larger;
            text->capacity = capacity;
        }
    }
    if (text->failed)
        return;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

void text_string(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

static int add_piece(const char *bytes, size_t length, void *user)
{
    text_add(user, bytes, length);
    return 0;
}

void text_json(struct text *text, json_t *json)
{
    if (!json || json_dump_callback(json, add_piece, text, JSON_COMPACT | JSON_REAL_PRECISION(16)) != 0)
        text->failed = true;
    json_decref(json);
}

void text_clear(struct text *text)
{
    free(text->bytes);
    *text = (struct text){.bytes = NULL};
}
