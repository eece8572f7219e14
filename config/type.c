/* SPDX-License-Identifier: Apache-2.0 */
/* What the text of a value means, by its option's type. */
#include "config/option.h"
#include "config/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_WORDS 32
#define WORDS_SIZE 512

static bool parse_bool(const struct config_option *option, const char *text, void *out, char *error)
{
    (void)option;
    return config_parse_bool(text, out, error);
}

static bool parse_number(const struct config_option *option, const char *text, void *out, char *error)
{
    return config_parse_number(text, option->least, option->most, option->unsaid, out, error);
}

static bool parse_size(const struct config_option *option, const char *text, void *out, char *error)
{
    return config_parse_size(text, option->least, option->most, out, error);
}

static bool parse_duration(const struct config_option *option, const char *text, void *out, char *error)
{
    return config_parse_duration(text, option->least, option->most, out, error);
}

static bool parse_hold(const struct config_option *option, const char *text, void *out, char *error)
{
    return config_parse_hold_for(text, option->least, option->most, out, error);
}

bool config_check_words(const struct config_option *option, const char *text, unsigned *index, char *error)
{
    char copy[WORDS_SIZE], *rest = copy;
    const char *words[MOST_WORDS];
    size_t count = 0;
    (void)snprintf(copy, sizeof copy, "%s", option->words);
    for (char *word = strsep(&rest, " "); word && count < MOST_WORDS; word = strsep(&rest, " "))
        words[count++] = word;
    int found = config_find_word(text, option->kind, words, count, error);
    if (found >= 0)
        *index = (unsigned)found;
    return found >= 0;
}

static bool parse_word(const struct config_option *option, const char *text, void *out, char *error)
{
    return config_check_words(option, text, out, error);
}

static bool parse_action(const struct config_option *option, const char *text, void *out, char *error)
{
    enum config_break kind = CONFIG_BREAK_BREAK;
    enum config_action action = CONFIG_ACTION_UNSET;
    if (!config_parse_break(option->name, &kind, error) || !config_parse_action(text, kind, &action, error))
        return false;
    *(uint8_t *)out = (uint8_t)action;
    return true;
}

static bool parse_name(const struct config_option *option, const char *text, void *out, char *error)
{
    (void)option;
    return config_parse_name(text, strlen(text), out, error);
}

static bool parse_text(const struct config_option *option, const char *text, void *out, char *error)
{
    if (text[0] != '\0' && option->check && !option->check(text, error))
        return false;
    char *copy = text[0] != '\0' ? strdup(text) : NULL;
    if (copy)
        *(char **)out = copy;
    else if (text[0] == '\0')
        (void)snprintf(error, CONFIG_ERROR_SIZE, "is empty; write %s", option->remedy);
    else
        (void)snprintf(error, CONFIG_ERROR_SIZE, "out of memory");
    return copy != NULL;
}

static bool parse_address_or_none(const struct config_option *option, const char *text, void *out, char *error)
{
    static const struct config_address none;
    (void)option;
    if (strcmp(text, "none") != 0)
        return config_parse_address(text, CONFIG_PORT_NEEDED, out, error);
    *(struct config_address *)out = none;
    return true;
}

static bool parse_key(const struct config_option *option, const char *text, void *out, char *error)
{
    (void)option;
    return config_parse_key(text, strlen(text), out, error);
}

static bool parse_machine(const struct config_option *option, const char *text, void *out, char *error)
{
    (void)option;
    return config_parse_machine(text, out, error);
}

static bool parse_port(const struct config_option *option, const char *text, void *out, char *error)
{
    (void)option;
    return config_parse_port(text, out, error);
}

static bool parse_guidage(const struct config_option *option, const char *text, void *out, char *error)
{
    (void)option;
    return config_parse_guidage(text, out, error);
}

static bool parse_symbol(const struct config_option *option, const char *text, void *out, char *error)
{
    (void)option;
    return config_parse_symbol(text, out, error);
}

static bool parse_rva(const struct config_option *option, const char *text, void *out, char *error)
{
    (void)option;
    return config_parse_rva(text, out, error);
}

static bool parse_read_name(const struct config_option *option, const char *text, void *out, char *error)
{
    (void)option;
    return config_parse_read_name(text, out, error);
}

static bool parse_read_place(const struct config_option *option, const char *text, void *out, char *error)
{
    (void)option;
    return config_parse_read_place(text, out, error);
}

static bool parse_read_kind(const struct config_option *option, const char *text, void *out, char *error)
{
    (void)option;
    return config_parse_read_kind(text, out, error);
}

static bool parse_read_when(const struct config_option *option, const char *text, void *out, char *error)
{
    (void)option;
    return config_parse_read_when(text, out, error);
}

static bool (*const parsers[])(const struct config_option *, const char *, void *, char *) = {
    [CONFIG_TYPE_BOOL] = parse_bool,
    [CONFIG_TYPE_NUMBER] = parse_number,
    [CONFIG_TYPE_SIZE] = parse_size,
    [CONFIG_TYPE_DURATION] = parse_duration,
    [CONFIG_TYPE_HOLD] = parse_hold,
    [CONFIG_TYPE_WORD] = parse_word,
    [CONFIG_TYPE_ACTION] = parse_action,
    [CONFIG_TYPE_NAME] = parse_name,
    [CONFIG_TYPE_TEXT] = parse_text,
    [CONFIG_TYPE_ADDRESS_OR_NONE] = parse_address_or_none,
    [CONFIG_TYPE_KEY] = parse_key,
    [CONFIG_TYPE_MACHINE] = parse_machine,
    [CONFIG_TYPE_PORT] = parse_port,
    [CONFIG_TYPE_GUIDAGE] = parse_guidage,
    [CONFIG_TYPE_SYMBOL] = parse_symbol,
    [CONFIG_TYPE_RVA] = parse_rva,
    [CONFIG_TYPE_READ_NAME] = parse_read_name,
    [CONFIG_TYPE_READ_PLACE] = parse_read_place,
    [CONFIG_TYPE_READ_KIND] = parse_read_kind,
    [CONFIG_TYPE_READ_WHEN] = parse_read_when,
};

bool config_parse_option(const struct config_option *option, const char *text, void *out, char *error)
{
    return parsers[option->type](option, text, out, error);
}

enum config_shape config_shape(enum config_type type)
{
    static const uint8_t shapes[] = {
#define CONFIG_TYPE(name, shape) [CONFIG_TYPE_##name] = CONFIG_##shape,
        CONFIG_TYPES(CONFIG_TYPE)
#undef CONFIG_TYPE
    };
    return (enum config_shape)shapes[type];
}
