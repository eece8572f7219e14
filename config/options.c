/* SPDX-License-Identifier: Apache-2.0 */
#include "config/store.h"
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
 * Copies the option's text and cuts it at the first or last `separator`. The caller wipes the copy: it may hold a key.
 * False when it is too long, or there is no separator.
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

static bool claim(struct kdnetd_config *config, enum config_setting setting)
{
    return config_store_claim(config, setting, &option_spot, NULL);
}

bool config_add_listen(struct kdnetd_config *config, const char *text, char error[static CONFIG_ERROR_SIZE])
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

bool config_add_target(struct kdnetd_config *config, const char *text, char error[static CONFIG_ERROR_SIZE])
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

bool config_add_symbols(struct kdnetd_config *config, const char *text, char error[static CONFIG_ERROR_SIZE])
{
    if (text[0] == '\0')
        return wrong(error, "is empty; write a folder or the address of a symbol server");
    return stored(config_store_symbols(config, text), error);
}

bool config_add_rva(struct kdnetd_config *config, const char *text, char error[static CONFIG_ERROR_SIZE])
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

bool config_add_read(struct kdnetd_config *config, const char *text, char error[static CONFIG_ERROR_SIZE])
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

bool config_add_events(struct kdnetd_config *config, const char *text, char error[static CONFIG_ERROR_SIZE])
{
    if (text[0] == '\0')
        return wrong(error, "is empty; write a file's path, or - for standard output");
    char *events = strdup(text);
    if (!events)
        return wrong(error, "out of memory");
    (void)claim(config, CONFIG_SET_EVENTS);
    free(config->events);
    config->events = events;
    return true;
}

bool config_add_http(struct kdnetd_config *config, const char *text, char error[static CONFIG_ERROR_SIZE])
{
    if (!config_parse_address(text, CONFIG_PORT_NEEDED, &config->http, error))
        return false;
    config->has_http = claim(config, CONFIG_SET_HTTP);
    return true;
}

bool config_add_policy(struct kdnetd_config *config, const char *text, char error[static CONFIG_ERROR_SIZE])
{
    char copy[LONGEST_OPTION], *word = NULL;
    enum config_break kind = CONFIG_BREAK_BREAK;
    enum config_action action = CONFIG_ACTION_UNSET;
    if (!cut(text, '=', false, copy, &word))
        return wrong(error, "is not BREAK=ACTION; write as break=hold");
    if (!config_parse_break(copy, &kind, error) || !config_parse_action(word, kind, &action, error))
        return false;
    (void)claim(config, (enum config_setting)((unsigned)CONFIG_SET_POLICY + kind));
    config->policy.action[kind] = (uint8_t)action;
    return true;
}

bool config_add_collector(struct kdnetd_config *config, const char *text, char error[static CONFIG_ERROR_SIZE])
{
    char name[CONFIG_NAME_SIZE];
    if (!config_parse_name(text, strlen(text), name, error))
        return false;
    (void)claim(config, CONFIG_SET_COLLECTOR);
    memcpy(config->collector, name, sizeof name);
    return true;
}

bool config_add(struct kdnetd_config *config, const char *option, const char *text,
                char error[static CONFIG_ERROR_SIZE])
{
    static const struct {
        const char *name;
        bool (*add)(struct kdnetd_config *, const char *, char *);
    } options[] = {
        {"listen", config_add_listen}, {"target", config_add_target}, {"symbols", config_add_symbols},
        {"rva", config_add_rva},       {"events", config_add_events}, {"http", config_add_http},
        {"policy", config_add_policy}, {"read", config_add_read},     {"collector", config_add_collector},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; ++i)
        if (strcmp(option, options[i].name) == 0)
            return options[i].add(config, text, error);
    return wrong(error, "is no option that the configuration knows; see --help");
}
