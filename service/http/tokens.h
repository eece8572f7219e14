/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokens: who may read and act over TCP: a file with a line each, NAME ROLE TOKEN.
 *
 * Tokens are stored as SHA-256, so that the time of comparing reveals nothing.
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
 * Reads a file. False: the fault, with its line and the remedy, is in `error`, and `tokens` is unchanged.
 */
bool tokens_read(const char *path, struct tokens *tokens, char error[static TOKENS_ERROR_SIZE]);

/* Reads the tokens from text. */
bool tokens_parse(const char *text, size_t length, struct tokens *tokens, char error[static TOKENS_ERROR_SIZE]);

void tokens_clear(struct tokens *tokens);

/* Finds the role and the name of a token; CALL_ROLE_NONE: no such token. */
enum call_role tokens_find(const struct tokens *tokens, const char *token, char name[static CALL_BY_SIZE]);

#endif
