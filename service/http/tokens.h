/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokens: who may read and act over TCP: a file with a line each, NAME ROLE TOKEN.
 *
 * Uses call (roles), system. Tokens are kept as SHA-256, so that comparing tells nothing of them by its time.
 */
#ifndef SERVICE_HTTP_TOKENS_H
#define SERVICE_HTTP_TOKENS_H

#include "service/http/call.h"
#include "service/http/system.h"

#include <stdbool.h>
#include <stddef.h>

#define TOKENS_MAX        1024U
#define TOKENS_LEAST      32U /* characters of a token */
#define TOKENS_MOST       512U
#define TOKENS_ERROR_SIZE SYSTEM_ERROR_SIZE

struct token;

struct tokens {
    struct token *of; /* owned */
    size_t count;
};

/*
 * Reads a file. False: what is wrong, with its line and the remedy, is in `error`, and `tokens` stays as it was.
 */
bool tokens_read(const char *path, struct tokens *tokens, char error[static TOKENS_ERROR_SIZE]);

/* The same from text. */
bool tokens_parse(const char *text, size_t length, struct tokens *tokens, char error[static TOKENS_ERROR_SIZE]);

void tokens_clear(struct tokens *tokens);

/* The role of a token, and its name; CALL_ROLE_NONE: there is no such token. */
enum call_role tokens_find(const struct tokens *tokens, const char *token, char name[static CALL_BY_SIZE]);

#endif
