/* SPDX-License-Identifier: Apache-2.0 */
/* url: checks URLs of symbol places, and hides passwords in them. */
#ifndef SERVICE_SYMBOLS_URL_H
#define SERVICE_SYMBOLS_URL_H

#include <stdbool.h>
#include <stddef.h>

#define SYMBOL_URL_MAX 1024 /* characters */

/* Whether a text means to be a URL: http:// or https://, in any case of letters. */
bool symbol_url_is(const char *text);

/* Whether files from a URL may be changed on their way. */
bool symbol_url_is_insecure(const char *url);

/* Returns a URL's fault with the remedy; NULL: none. A constant text: the URL may contain a password. */
const char *symbol_url_mistake(const char *url);

/* Copies a place with `***` for the user and password of each URL in it, truncated to `size`. */
void symbol_url_redact(const char *place, char *out, size_t size);

#endif
