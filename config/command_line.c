/* SPDX-License-Identifier: Apache-2.0 */
/* Options of the command line: single values by their row in options.def, the others in short forms. */
#include "config/option.h"
#include "config/value.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_OPTION 512

static const struct config_spot option_spot = {.file = "command line", .source = CONFIG_SOURCE_OPTIONS};

static bool wrong(char *error, const char *text)
{
    (void)snprintf(error, CONFIG_ERROR_SIZE, "%s", text);
    return false;
}

static bool stored(bool is_stored, char *error)
{
    return is_stored || wrong(error, "out of memory");
}

/*
 * Copies the option's text and cuts the copy at the first or last `separator`. The caller wipes the copy, which may
 * hold a key. False: too long, or no separator.
 */
static bool cut(const char *text, char separator, bool at_last, char copy[static LONGEST_OPTION], char **rest)
{
    size_t length = strlen(text);
    if (length >= LONGEST_OPTION)
        return false;
    memcpy(copy, text, length + 1);
    *rest = at_last ? strrchr(copy, separator) : strchr(copy, separator);
    if (!*rest)
        return false;
    *(*rest)++ = '\0';
    return true;
}

static bool add_listen(struct kdnetd_config *config, const char *text, char *error)
{
    struct config_listen listen = {.place = {CONFIG_SOURCE_OPTIONS, 0, 0}};
    if (!config_parse_address(text, CONFIG_PORT_NEEDED, &listen.address, error))
        return false;
    return stored(config_store_listen(config, &listen), error);
}

static bool parse_target(struct kdnetd_config *config, char *name, char *key, struct config_new_target *wanted,
                         char *error)
{
    struct config_target *target = &wanted->target;
    if (!config_parse_name(name, strlen(name), target->name, error))
        return false;
    if (key[0] == '@')
        return config_read_key_file(config, key + 1, wanted, error);
    char *address = strchr(key, '@');
    target->has_address = address != NULL;
    if (address)
        *address++ = '\0';
    return config_parse_key(key, strlen(key), &target->key, error) &&
           (!address || config_parse_machine(address, &target->address, error));
}

static bool add_target(struct kdnetd_config *config, const char *text, char *error)
{
    char copy[LONGEST_OPTION] = "", *rest = NULL;
    struct config_new_target target;
    memset(&target, 0, sizeof target);
    bool good = cut(text, '=', false, copy, &rest) ||
                wrong(error, "is not NAME=KEY; write NAME=@FILE, NAME=w.x.y.z or NAME=w.x.y.z@ADDRESS");
    good = good && parse_target(config, copy, rest, &target, error) &&
           stored(config_store_target(config, &target), error);
    OPENSSL_cleanse(copy, sizeof copy);
    OPENSSL_cleanse(&target, sizeof target);
    return good;
}

static bool add_rva(struct kdnetd_config *config, const char *text, char *error)
{
    char copy[LONGEST_OPTION], *symbol = NULL, *number = NULL;
    struct config_rva rva = {.place = {CONFIG_SOURCE_OPTIONS, 0, 0}};
    bool is_cut = cut(text, ':', false, copy, &symbol);
    if (is_cut)
        number = strrchr(symbol, '=');
    if (!number)
        return wrong(error, "is not GUIDAGE:SYMBOL=RVA; write as 3844DBB920174967BE7AA4A2C20430FA2:NAME=0xC35DE0");
    *number++ = '\0';
    return config_parse_guidage(copy, rva.guidage, error) && config_parse_symbol(symbol, rva.symbol, error) &&
           config_parse_rva(number, &rva.rva, error) && stored(config_store_rva(config, &rva), error);
}

static bool add_read(struct kdnetd_config *config, const char *text, char *error)
{
    char copy[LONGEST_OPTION], *place = NULL;
    struct config_read read = {.read.kind = KDNET_READ_U32, .place = {CONFIG_SOURCE_OPTIONS, 0, 0}};
    if (!cut(text, '=', false, copy, &place))
        return wrong(error, "is not NAME=MODULE!SYMBOL; write as dumps=nt!IopAutoReboot:4");
    char *kind = strchr(place, ':');
    if (kind)
        *kind++ = '\0';
    return config_parse_read_name(copy, read.read.name, error) && config_parse_read_place(place, &read.read, error) &&
           (!kind || config_parse_read_kind(kind, &read.read.kind, error)) &&
           stored(config_store_read(config, &read), error);
}

static bool add_policy(struct kdnetd_config *config, const char *text, char *error)
{
    char copy[LONGEST_OPTION], *word = NULL;
    enum config_break kind = CONFIG_BREAK_BREAK;
    enum config_action action = CONFIG_ACTION_UNSET;
    if (!cut(text, '=', false, copy, &word))
        return wrong(error, "is not BREAK=ACTION; write as break=hold");
    if (!config_parse_break(copy, &kind, error) || !config_parse_action(word, kind, &action, error))
        return false;
    (void)config_store_claim(config, (enum config_setting)((unsigned)CONFIG_SET_POLICY + kind), &option_spot, NULL);
    config->policy.action[kind] = (uint8_t)action;
    return true;
}

static bool add_text(struct kdnetd_config *config, const struct config_option *option, const char *text, char *error)
{
    struct config_texts *texts = (struct config_texts *)(void *)((char *)config + option->offset);
    if (text[0] != '\0')
        return stored(config_store_text(texts, text), error);
    (void)snprintf(error, CONFIG_ERROR_SIZE, "is empty; write %s", option->remedy);
    return false;
}

bool config_add(struct kdnetd_config *config, const char *option, const char *text,
                char error[static CONFIG_ERROR_SIZE])
{
    static bool (*const short_forms[])(struct kdnetd_config *, const char *, char *) = {
        [CONFIG_TYPE_LISTENERS] = add_listen, [CONFIG_TYPE_TARGETS] = add_target, [CONFIG_TYPE_RVAS] = add_rva,
        [CONFIG_TYPE_READS] = add_read,       [CONFIG_TYPE_POLICY] = add_policy,
    };
    const struct config_option *row = config_find_command(option);
    if (!row)
        return wrong(error, "is no option that the configuration knows; see --help");
    if (config_shape(row->type) == CONFIG_VALUE)
        return config_make_setting(config, row, config, text, &option_spot, NULL, error);
    if (row->type == CONFIG_TYPE_TEXTS)
        return add_text(config, row, text, error);
    return short_forms[row->type](config, text, error);
}

void config_command_name(const struct config_option *option, char out[static CONFIG_NAME_SIZE])
{
    (void)snprintf(out, CONFIG_NAME_SIZE, "%s", option->command ? option->command : option->name);
    for (char *at = out; *at != '\0'; ++at)
        if (*at == '_')
            *at = '-';
}

const struct config_option *config_command_at(size_t index)
{
    for (size_t i = 0; i < config_top.count; ++i) {
        const struct config_option *option = &config_top.options[i];
        if (!option->file_only && index-- == 0)
            return option;
        const struct config_group *retain = config_group_of(CONFIG_TYPE_RETAIN);
        if (option->type != CONFIG_TYPE_RETAIN)
            continue;
        if (index < retain->count)
            return &retain->options[index];
        index -= retain->count;
    }
    return NULL;
}

const struct config_option *config_find_command(const char *name)
{
    char wanted[CONFIG_NAME_SIZE];
    const struct config_option *option = NULL;
    for (size_t i = 0; (option = config_command_at(i)); ++i) {
        config_command_name(option, wanted);
        if (strcmp(wanted, name) == 0)
            return option;
    }
    return NULL;
}

bool config_command(size_t index, struct config_command *out)
{
    const struct config_option *option = config_command_at(index);
    if (!option)
        return false;
    config_command_name(option, out->name);
    out->is_switch = option->type == CONFIG_TYPE_BOOL;
    return true;
}
