/* SPDX-License-Identifier: Apache-2.0 */
/* Words: finds a text in a list of words, and the word that a misspelt text was probably meant to be. */
#include "config/characters.h"
#include "config/value.h"

#include <stdio.h>
#include <string.h>

#define LONGEST_WORD 40

static size_t least_of(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

size_t config_edit_distance(const char *a, const char *b)
{
    size_t row[LONGEST_WORD + 1], b_length = strlen(b);
    if (strlen(a) > LONGEST_WORD || b_length > LONGEST_WORD)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_length; ++j)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; ++i) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; ++j) {
            size_t above = row[j];
            row[j] = least_of(above + 1, row[j - 1] + 1, corner + (a[i - 1] != b[j - 1]));
            corner = above;
        }
    }
    return row[b_length];
}

const char *config_suggest(const char *word, const char *const *words, size_t count)
{
    const char *best = NULL;
    size_t length = strlen(word);
    size_t best_distance = length / 3 + 1;
    if (length == 0 || length > LONGEST_WORD)
        return NULL;
    for (size_t i = 0; i < count; ++i) {
        size_t distance = config_edit_distance(word, words[i]);
        if (distance <= best_distance && distance < strlen(words[i]) && (!best || distance < best_distance)) {
            best = words[i];
            best_distance = distance;
        }
    }
    return best;
}

int config_find_word(const char *text, const char *what, const char *const *words, size_t count, char *error)
{
    for (size_t i = 0; i < count; ++i)
        if (strcmp(text, words[i]) == 0)
            return (int)i;
    const char *likely = config_suggest(text, words, count);
    int n = snprintf(error, CONFIG_ERROR_SIZE, "\"%.*s\" is not %s; write one of", CHARACTERS(text, 40), what);
    for (size_t i = 0; i < count && n < CONFIG_ERROR_SIZE; ++i)
        n += snprintf(error + n, CONFIG_ERROR_SIZE - (size_t)n, "%s %s", i > 0 ? "," : "", words[i]);
    if (likely && n < CONFIG_ERROR_SIZE)
        (void)snprintf(error + n, CONFIG_ERROR_SIZE - (size_t)n, "; did you mean %s?", likely);
    return -1;
}
