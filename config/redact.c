/* SPDX-License-Identifier: Apache-2.0 */
#include "config/redact.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK          "HIDDEN"
#define MARK_LENGTH   (sizeof MARK - 1)
#define NUMBER_LENGTH ((size_t)10)
#define SHORTEST      (MARK_LENGTH + NUMBER_LENGTH) /* longer than any IPv4 address */
#define KEY_DOTS      3

static bool is_of_key(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.';
}

static bool has_mark(const char *text, size_t length)
{
    const char *end = text + length;
    while ((size_t)(end - text) >= MARK_LENGTH &&
           (text = memchr(text, MARK[0], (size_t)(end - text) - MARK_LENGTH + 1)))
        if (memcmp(text++, MARK, MARK_LENGTH) == 0)
            return true;
    return false;
}

static bool hide(struct config_redaction *r, size_t at, size_t length)
{
    char word[SHORTEST + 1];
    if (r->count == r->capacity) {
        size_t capacity = r->capacity > 0 ? r->capacity * 2 : 16;
        size_t *places = realloc(r->at, capacity * sizeof *places);
        if (!places)
            return false;
        r->at = places;
        r->capacity = capacity;
    }
    (void)snprintf(word, sizeof word, MARK "%010zu", r->count);
    memcpy(r->text + at, word, SHORTEST);
    memset(r->text + at + SHORTEST, 'x', length - SHORTEST);
    r->at[r->count++] = at;
    return true;
}

/* A word behind a backslash begins with the letter of an escape. */
static bool looks_secret(const char *text, size_t at, size_t length, unsigned dots)
{
    return dots == KEY_DOTS && length >= SHORTEST && (at == 0 || text[at - 1] != '\\');
}

bool config_redact(const char *text, size_t length, struct config_redaction *out)
{
    *out = (struct config_redaction){.original = text, .length = length, .text = malloc(length + 1)};
    if (!out->text)
        return false;
    memcpy(out->text, text, length);
    out->text[length] = '\0';
    bool is_marked = has_mark(text, length); /* then nobody could tell which marks are ours */
    for (size_t at = 0; at < length && !is_marked;) {
        size_t end = at;
        unsigned dots = 0;
        for (; end < length && is_of_key(text[end]); ++end)
            dots += text[end] == '.';
        if (looks_secret(text, at, end - at, dots) && !hide(out, at, end - at)) {
            config_redact_clear(out);
            return false;
        }
        at = end > at ? end : at + 1;
    }
    return true;
}

void config_redact_restore(const struct config_redaction *redaction, char *string)
{
    if (redaction->count == 0)
        return;
    for (char *word = strstr(string, MARK); word; word = strstr(word + MARK_LENGTH, MARK)) {
        size_t number = 0, digits = 0;
        for (; digits < NUMBER_LENGTH && word[MARK_LENGTH + digits] >= '0' && word[MARK_LENGTH + digits] <= '9';
             ++digits)
            number = number * 10 + (size_t)(word[MARK_LENGTH + digits] - '0');
        if (digits < NUMBER_LENGTH || number >= redaction->count)
            continue;
        const char *original = redaction->original + redaction->at[number];
        for (size_t i = 0; redaction->at[number] + i < redaction->length && is_of_key(original[i]) && word[i] != '\0';
             ++i)
            word[i] = original[i];
    }
}

void config_redact_clear(struct config_redaction *redaction)
{
    free(redaction->text);
    free(redaction->at);
    *redaction = (struct config_redaction){.text = NULL};
}
