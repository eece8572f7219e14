/* SPDX-License-Identifier: Apache-2.0 */
/* url: the texts of places for symbols: what a URL may be, and without the passwords in it. Uses nothing. */
#ifndef SERVICE_SYMBOLS_URL_H
#define SERVICE_SYMBOLS_URL_H

#include <stdbool.h>
#include <stddef.h>

#define SYMBOL_URL_MAX 1024 /* characters */

/* Whether a text means to be a URL: http:// or https://, in any case of letters. */
bool symbol_url_is(const char *text);

/* Whether what is fetched from a URL may be changed on its way. */
bool symbol_url_is_insecure(const char *url);

/* What is wrong with a URL, with the remedy; NULL: nothing. A constant text: the URL may have a password in it. */
const char *symbol_url_mistake(const char *url);

/* Copies a place with `***` for the user and password of each URL in it, cut to `size`. */
void symbol_url_redact(const char *place, char *out, size_t size);

#endif
