/* SPDX-License-Identifier: Apache-2.0 */
/* Syntax of a read: module!symbol+offset*+offset, a width, a name for the result. */
#include "config/characters.h"
#include "config/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LONGEST_PLACE 256
#define RESERVED_NAME "break_status" /* evidence that needs no symbols */

__attribute__((format(printf, 2, 3))) static bool wrong(char *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error, CONFIG_ERROR_SIZE, format, arguments);
    characters_mend(error);
    va_end(arguments);
    return false;
}

bool config_parse_read_name(const char *text, char out[static KDNET_READ_NAME_SIZE], char *error)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    size_t length = strlen(text);
    if (length == 0 || length >= KDNET_READ_NAME_SIZE || strspn(text, letters) != length)
        return wrong(error, "\"%.*s\" is no name for a result; write 1 to %d of a-z 0-9 _, as dump_state",
                     CHARACTERS(text, 60), KDNET_READ_NAME_SIZE - 1);
    if (strcmp(text, RESERVED_NAME) == 0)
        return wrong(error, "%s is the name of what every result has; write another one", text);
    memcpy(out, text, length + 1);
    return true;
}

bool config_parse_read_kind(const char *text, uint8_t *out, char *error)
{
    for (int kind = 0; kind < KDNET_READ_KINDS; ++kind) {
        if (strcmp(text, kdnet_read_kind_name((enum kdnet_read_kind)kind)) != 0)
            continue;
        *out = (uint8_t)kind;
        return true;
    }
    return wrong(error, "\"%.*s\" is nothing that can be read; write one of 1, 2, 4, 8, pointer, string, unicode",
                 CHARACTERS(text, 40));
}

bool config_parse_read_when(const char *text, bool *always, char *error)
{
    *always = strcmp(text, "always") == 0;
    return *always || strcmp(text, "crash") == 0 ||
           wrong(error, "\"%.*s\" is no time to read; write crash or always", CHARACTERS(text, 40));
}

/* `module` has `length` characters. */
static bool parse_module(const char *module, size_t length, struct kdnet_read *out, char *error)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    if (length == 0 || length >= sizeof out->module || strspn(module, letters) < length)
        return wrong(error,
                     "\"%.*s\" is no image's name; write nt, or one without its extension, as crashdmp (1 to %zu of "
                     "A-Z a-z 0-9 _ -)",
                     (int)(length < 60 ? length : 60), module, sizeof out->module - 1);
    memset(out->module, 0, sizeof out->module);
    memcpy(out->module, module, length);
    return true;
}

/* Parses +OFFSET at the start of *text; 0 when absent. */
static bool parse_offset(char **text, uint32_t *out, char *error)
{
    *out = 0;
    if (**text != '+')
        return true;
    char *number = *text + 1, *end = number + strcspn(number, "+*"), kept = *end;
    *end = '\0';
    bool good = config_parse_rva(number, out, error) ||
                wrong(error, "\"%.*s\" is no offset; write a number below 2^32, as +0x18 or +24",
                      CHARACTERS(number, 40));
    *end = kept;
    *text = end;
    return good;
}

/* Parses the part behind the symbol: +OFFSET, and for each pointer to follow a * and perhaps +OFFSET. */
static bool parse_steps(char *text, unsigned first_steps, struct kdnet_read *out, char *error)
{
    memset(out->offset, 0, sizeof out->offset);
    out->steps = 0;
    if (!parse_offset(&text, &out->offset[0], error))
        return false;
    for (;; ++out->steps) {
        if (first_steps > 0)
            --first_steps; /* a * in front of everything counts as the first one here */
        else if (*text == '*')
            ++text;
        else
            break;
        if (out->steps == KDNET_READ_STEPS_MAX)
            return wrong(error,
                         "follows more than %u pointers, and each costs a round trip while the machine stands "
                         "still; read the pointer itself",
                         KDNET_READ_STEPS_MAX);
        if (!parse_offset(&text, &out->offset[out->steps + 1], error))
            return false;
    }
    return *text == '\0' ||
           wrong(error, "\"%.*s\" is not understood; write as nt!KiBugCheckDriver*, or nt!NAME+0x10*+8",
                 CHARACTERS(text, 40));
}

bool config_parse_read_place(const char *text, struct kdnet_read *out, char *error)
{
    char copy[LONGEST_PLACE];
    size_t length = strlen(text);
    unsigned stars = (unsigned)strspn(text, "*");
    if (length >= sizeof copy)
        return wrong(error, "is longer than %d characters; write as nt!KiBugCheckDriver*", LONGEST_PLACE - 1);
    memcpy(copy, text, length + 1);
    char *module = copy + stars, *mark = strchr(module, '!');
    if (!mark)
        return wrong(error, "\"%.*s\" has no module; write MODULE!SYMBOL, as nt!IopAutoReboot", CHARACTERS(text, 60));
    char *symbol = mark + 1, *rest = symbol + strcspn(symbol, "+*"), kept = *rest;
    *rest = '\0';
    bool good = parse_module(module, (size_t)(mark - module), out, error) &&
                config_parse_symbol(symbol, out->symbol, error);
    *rest = kept;
    return good && parse_steps(rest, stars, out, error);
}
