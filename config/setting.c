/* SPDX-License-Identifier: Apache-2.0 */
/* Settings: set once, in a file or on the command line; defaults; differences between two configurations. */
#include "config/option.h"

#include <stdlib.h>
#include <string.h>

static size_t size_of(enum config_type type)
{
    switch (type) {
    case CONFIG_TYPE_BOOL:
        return sizeof(bool);
    case CONFIG_TYPE_NUMBER:
    case CONFIG_TYPE_WORD:
        return sizeof(unsigned);
    case CONFIG_TYPE_ACTION:
        return sizeof(uint8_t);
    case CONFIG_TYPE_NAME:
        return CONFIG_NAME_SIZE;
    case CONFIG_TYPE_TEXT:
        return sizeof(char *);
    case CONFIG_TYPE_ADDRESS_OR_NONE:
        return sizeof(struct config_address);
    default:
        return sizeof(uint64_t);
    }
}

/* Stores a value; each member owns its text, and the replaced text is freed. */
static void put(const struct config_option *option, void *base, const union config_any *value)
{
    char *member = (char *)base + option->offset;
    if (option->type == CONFIG_TYPE_TEXT)
        free(*(char **)(void *)member);
    memcpy(member, value, size_of(option->type));
}

bool config_make_setting(struct kdnetd_config *config, const struct config_option *option, void *base, const char *text,
                         const struct config_spot *spot, struct config_report *report, char *error)
{
    union config_any value;
    unsigned setting = option->setting;
    memset(&value, 0, sizeof value);
    if (!config_parse_option(option, text, &value, error))
        return false;
    if (setting == CONFIG_SET_policy_hold_for)
        setting = CONFIG_SET_hold_for;
    if (config_store_claim(config, (enum config_setting)setting, spot, report))
        put(option, base, &value);
    else if (option->type == CONFIG_TYPE_TEXT)
        free(value.text);
    return true;
}

static void set_default(const struct config_option *option, void *base)
{
    char error[CONFIG_ERROR_SIZE];
    union config_any value;
    memset(&value, 0, sizeof value);
    if (option->standard && config_parse_option(option, option->standard, &value, error))
        put(option, base, &value);
}

void config_set_entry_defaults(const struct config_group *group, void *entry)
{
    for (size_t i = 0; i < group->count; ++i)
        if (config_shape(group->options[i].type) == CONFIG_VALUE)
            set_default(&group->options[i], entry);
}

/* Sets defaults of texts that are not set. Rows nest two groups deep at most, which bounds the recursion. */
static void set_group_defaults(const struct config_group *group, void *base, bool texts)
{
    for (size_t i = 0; i < group->count; ++i) {
        const struct config_option *option = &group->options[i];
        if (config_shape(option->type) == CONFIG_GROUP)
            set_group_defaults(config_group_of(option->type), config_group_base(option, base), texts);
        else if (config_shape(option->type) == CONFIG_VALUE && (option->type == CONFIG_TYPE_TEXT) == texts &&
                 (!texts || !*(char **)(void *)((char *)base + option->offset)))
            set_default(option, base);
    }
}

void config_set_defaults(struct kdnetd_config *config)
{
    set_group_defaults(&config_top, config, false);
}

void config_set_text_defaults(struct kdnetd_config *config)
{
    set_group_defaults(&config_top, config, true);
}

void config_clear_settings(struct kdnetd_config *config)
{
    config_clear_fields(&config_top, config);
}

bool config_is_set(const struct kdnetd_config *config, enum config_setting setting)
{
    return config->was_set[setting];
}

const char *config_default(enum config_setting setting)
{
    for (size_t i = 0; i < config_top.count; ++i) {
        const struct config_option *option = &config_top.options[i];
        const struct config_group *group = config_group_of(option->type);
        if (option->setting == (unsigned)setting)
            return option->standard;
        for (size_t j = 0; config_shape(option->type) == CONFIG_GROUP && j < group->count; ++j)
            if (group->options[j].setting == (unsigned)setting)
                return group->options[j].standard;
    }
    return NULL;
}

static bool is_same(const struct config_option *option, const struct kdnetd_config *a, const struct kdnetd_config *b)
{
    const char *x = (const char *)a + option->offset, *y = (const char *)b + option->offset;
    if (option->type != CONFIG_TYPE_TEXT)
        return memcmp(x, y, size_of(option->type)) == 0;
    const char *text = *(char *const *)(const void *)x, *other = *(char *const *)(const void *)y;
    return text == other || (text && other && strcmp(text, other) == 0);
}

const char *config_next_for_restart(const struct kdnetd_config *old, const struct kdnetd_config *fresh, size_t *at)
{
    while (*at < config_top.count) {
        const struct config_option *option = &config_top.options[(*at)++];
        if (option->reload == CONFIG_RESTARTED && config_shape(option->type) == CONFIG_VALUE &&
            !is_same(option, old, fresh))
            return option->name;
    }
    return NULL;
}
