/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut: large values that a crash's row carries on as they are, cut out of a line's text. What the store does not look
 * into is neither parsed nor written anew.
 */
#ifndef SERVICE_STORE_CUT_H
#define SERVICE_STORE_CUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum store_cuts { STORE_CUT_CAUSE, STORE_CUT_STACK, STORE_CUTS };

extern const char *const store_cut_names[STORE_CUTS];

/* A value's text; text NULL: there is none. Borrowed. */
struct store_span {
    const char *text;
    size_t length;
};

/*
 * Finds the members named store_cut_names of a JSON object. What is found is JSON that jansson takes: printable ASCII
 * with plain numbers, at most 16 levels deep. The rest of the text is not checked, and where the rest is no JSON
 * nothing that was found counts. False: some of it needs a parser, or there is none of them.
 */
bool store_cut_find(const char *text, size_t length, struct store_span spans[static STORE_CUTS]);

/* Parses a text, the object without what was found in it: null in its place. Else like store_json_load. */
bool store_cut_load(const char *text, size_t length, size_t flags, struct store_span spans[static STORE_CUTS],
                    json_t **json);

/* Returns the object's text with null for each value that was found; the caller frees it. NULL: no memory. */
char *store_cut_rest(const char *text, size_t length, const struct store_span spans[static STORE_CUTS],
                     size_t *rest_length);

/* Whether a value is an object or an array, with anything in it. */
bool store_cut_counts(const struct store_span *value);

/* Adds the values that there are (NULL: none) to an object's text, which must have a member; takes the text. Returns
 * the new one; NULL: no memory. */
char *store_cut_join(char *object, char *const values[static STORE_CUTS]);

#endif
