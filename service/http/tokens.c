/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/tokens.h"
#include "service/http/system.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX      ((size_t)1 << 20)
#define NAME_MAX_SIZE 65

struct token {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    enum call_role role;
    char name[NAME_MAX_SIZE];
};

struct word {
    const char *text;
    size_t length;
};

static bool fail(char *error, size_t line, const char *what)
{
    (void)snprintf(error, TOKENS_ERROR_SIZE, "line %zu: %s", line, what);
    return false;
}

static bool is_name(const struct word *word)
{
    for (size_t i = 0; i < word->length; ++i) {
        char c = word->text[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' || c == '_' ||
              c == '-'))
            return false;
    }
    return word->length > 0 && word->length < NAME_MAX_SIZE;
}

static bool is_secret(const struct word *word)
{
    for (size_t i = 0; i < word->length; ++i)
        if (word->text[i] <= ' ' || word->text[i] > '~')
            return false;
    return word->length >= TOKENS_LEAST && word->length <= TOKENS_MOST;
}

static bool is_word(const struct word *word, const char *text)
{
    return word->length == strlen(text) && memcmp(word->text, text, word->length) == 0;
}

/* Returns how many there are, at most `most`. */
static size_t split(const char *line, const char *end, struct word *words, size_t most)
{
    size_t count = 0;
    while (count < most) {
        while (line < end && (*line == ' ' || *line == '\t' || *line == '\r'))
            ++line;
        if (line == end || *line == '#')
            break;
        const char *from = line;
        while (line < end && *line != ' ' && *line != '\t' && *line != '\r')
            ++line;
        words[count++] = (struct word){from, (size_t)(line - from)};
    }
    return count;
}

static bool is_doubled(const struct tokens *tokens, const struct token *token)
{
    for (size_t i = 0; i < tokens->count; ++i)
        if (strcmp(tokens->of[i].name, token->name) == 0 ||
            memcmp(tokens->of[i].digest, token->digest, sizeof token->digest) == 0)
            return true;
    return false;
}

static bool take(struct tokens *tokens, const struct word words[static 3], size_t line, char *error)
{
    struct token token = {.role = is_word(&words[1], "act") ? CALL_ROLE_ACT : CALL_ROLE_READ};
    if (!is_name(&words[0]))
        return fail(error, line, "the name has 1 to 64 letters, digits, dots, dashes or underscores");
    if (!is_word(&words[1], "read") && !is_word(&words[1], "act"))
        return fail(error, line, "the second word is the role: read or act");
    if (!is_secret(&words[2]))
        return fail(error, line, "the token has 32 to 512 visible characters; `kdnetctl token add NAME` makes one");
    memcpy(token.name, words[0].text, words[0].length);
    (void)SHA256((const unsigned char *)words[2].text, words[2].length, token.digest);
    if (is_doubled(tokens, &token))
        return fail(error, line, "this name or this token is there already; take one of the lines out");
    if (tokens->count == TOKENS_MAX)
        return fail(error, line, "there are more than 1,024 tokens; take some out");
    tokens->of[tokens->count++] = token;
    return true;
}

bool tokens_parse(const char *text, size_t length, struct tokens *tokens, char error[static TOKENS_ERROR_SIZE])
{
    struct tokens fresh = {.of = calloc(TOKENS_MAX, sizeof(struct token))};
    const char *end = text + length;
    bool good = fresh.of != NULL;
    if (!good)
        (void)snprintf(error, TOKENS_ERROR_SIZE, "out of memory");
    for (size_t number = 1; good && text < end; ++number) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        struct word words[4];
        stop = stop ? stop : end;
        size_t count = split(text, stop, words, 4);
        if (count != 0 && count != 3)
            good = fail(error, number, "is not NAME ROLE TOKEN");
        else if (count == 3)
            good = take(&fresh, words, number, error);
        text = stop < end ? stop + 1 : end;
    }
    if (!good) {
        free(fresh.of);
        return false;
    }
    tokens_clear(tokens);
    *tokens = fresh;
    return true;
}

bool tokens_read(const char *path, struct tokens *tokens, char error[static TOKENS_ERROR_SIZE])
{
    size_t length = 0;
    char *text = malloc(FILE_MAX);
    if (!text)
        (void)snprintf(error, TOKENS_ERROR_SIZE, "out of memory");
    bool good = text && system_read_secret(path, text, FILE_MAX, &length, error) &&
                tokens_parse(text, length, tokens, error);
    if (text)
        OPENSSL_cleanse(text, length);
    free(text);
    return good;
}

void tokens_clear(struct tokens *tokens)
{
    free(tokens->of);
    *tokens = (struct tokens){.of = NULL};
}

enum call_role tokens_find(const struct tokens *tokens, const char *token, char name[static CALL_BY_SIZE])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    enum call_role role = CALL_ROLE_NONE;
    (void)SHA256((const unsigned char *)token, strlen(token), digest);
    for (size_t i = 0; i < tokens->count; ++i)
        if (CRYPTO_memcmp(tokens->of[i].digest, digest, sizeof digest) == 0) {
            role = tokens->of[i].role;
            memcpy(name, tokens->of[i].name, sizeof tokens->of[i].name);
        }
    OPENSSL_cleanse(digest, sizeof digest);
    return role;
}
