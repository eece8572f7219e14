/* SPDX-License-Identifier: Apache-2.0 */
/* The tables made of options.def. */
#include "config/option.h"
#include "config/remedies.h"
#include "config/value.h"

#include <stddef.h>
#include <string.h>

#define ROW(name_, type_, struct_, member_, value_, help_)                                                             \
    .name = #name_, .type = CONFIG_TYPE_##type_, .offset = offsetof(struct struct_, member_), .value = (value_),       \
    .help = (help_)

static const struct config_option top_options[] = {
#define OPTION(name, type, member, value, help, ...)                                                                   \
    {ROW(name, type, kdnetd_config, member, value, help), .setting = CONFIG_SET_##name, __VA_ARGS__},
#include "config/options.def"
};

static const struct config_option policy_fields[] = {
#define POLICY_FIELD(name, type, member, value, help, ...)                                                             \
    {ROW(name, type, config_policy, member, value, help), .setting = CONFIG_SET_policy_##name, __VA_ARGS__},
#include "config/options.def"
};

static const struct config_option retain_fields[] = {
#define RETAIN_FIELD(name, type, member, value, help, ...)                                                             \
    {ROW(name, type, kdnetd_config, member, value, help), .setting = CONFIG_SET_retain_##name, __VA_ARGS__},
#include "config/options.def"
};

static const struct config_option target_fields[] = {
#define TARGET_FIELD(name, type, member, value, help, ...)                                                             \
    {ROW(name, type, config_new_target, member, value, help), __VA_ARGS__},
#include "config/options.def"
};

static const struct config_option rva_fields[] = {
#define RVA_FIELD(name, type, member, value, help, ...) {ROW(name, type, config_rva, member, value, help), __VA_ARGS__},
#include "config/options.def"
};

static const struct config_option read_fields[] = {
#define READ_FIELD(name, type, member, value, help, ...)                                                               \
    {ROW(name, type, config_read, member, value, help), __VA_ARGS__},
#include "config/options.def"
};

static const struct config_option sink_fields[] = {
#define SINK_FIELD(name, type, member, value, help, ...)                                                               \
    {ROW(name, type, config_sink, member, value, help), __VA_ARGS__},
#include "config/options.def"
};

static const struct config_option nats_fields[] = {
#define NATS_FIELD(name, type, member, value, help, ...)                                                               \
    {ROW(name, type, config_nats, member, value, help), .setting = CONFIG_SET_nats_##name, __VA_ARGS__},
#include "config/options.def"
};

static const struct config_option nats_tls_fields[] = {
#define NATS_TLS_FIELD(name, type, member, value, help, ...)                                                           \
    {ROW(name, type, config_nats, member, value, help), .setting = CONFIG_SET_nats_tls_##name, __VA_ARGS__},
#include "config/options.def"
};

_Static_assert(CONFIG_SET_policy_hold_for - CONFIG_SET_POLICY == CONFIG_BREAKS, "the rows of policy are in this order");

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define GROUP(fields, entries)                                                                                         \
    {                                                                                                                  \
        fields, COUNT(fields), entries                                                                                 \
    }

const struct config_group config_top = GROUP(top_options, 0);

const struct config_group *config_group_of(enum config_type type)
{
    static const struct config_group policy = GROUP(policy_fields, 0), retain = GROUP(retain_fields, 0);
    static const struct config_group target = GROUP(target_fields, sizeof(struct config_new_target));
    static const struct config_group rva = GROUP(rva_fields, sizeof(struct config_rva));
    static const struct config_group read = GROUP(read_fields, sizeof(struct config_read));
    static const struct config_group sink = GROUP(sink_fields, sizeof(struct config_sink));
    static const struct config_group nats = GROUP(nats_fields, 0), nats_tls = GROUP(nats_tls_fields, 0);
    switch (type) {
    case CONFIG_TYPE_POLICY:
        return &policy;
    case CONFIG_TYPE_RETAIN:
        return &retain;
    case CONFIG_TYPE_TARGETS:
        return &target;
    case CONFIG_TYPE_RVAS:
        return &rva;
    case CONFIG_TYPE_READS:
        return &read;
    case CONFIG_TYPE_SINKS:
        return &sink;
    case CONFIG_TYPE_NATS:
        return &nats;
    case CONFIG_TYPE_NATS_TLS:
        return &nats_tls;
    default:
        return NULL;
    }
}

/* A policy and nats are structs of their own. */
void *config_group_base(const struct config_option *option, void *base)
{
    bool is_struct = option->type == CONFIG_TYPE_POLICY || option->type == CONFIG_TYPE_NATS;
    return is_struct ? (char *)base + option->offset : (char *)base;
}

const struct config_option *config_find_option(const struct config_group *group, const char *name)
{
    for (size_t i = 0; i < group->count; ++i)
        if (strcmp(group->options[i].name, name) == 0)
            return &group->options[i];
    return NULL;
}

#define LONGEST_LABEL 40
#define SURE_LENGTH   5 /* a field's name of this length is not written by chance */
#define MOST_TYPOS    2

/* Would the value do for the field? */
static bool is_value_of(const struct config_option *field, const char *value, size_t length)
{
    char text[LONGEST_LABEL], error[CONFIG_ERROR_SIZE];
    uint16_t port = 0;
    if (field->type != CONFIG_TYPE_PORT || length >= sizeof text || memchr(value, '\0', length))
        return false;
    memcpy(text, value, length);
    text[length] = '\0';
    return config_parse_port(text, &port, error);
}

const char *config_reserved_label(const char *name, size_t name_length, const char *value, size_t value_length)
{
    char label[LONGEST_LABEL + 1];
    if (name_length > LONGEST_LABEL)
        return NULL;
    for (size_t i = 0; i < name_length; ++i)
        label[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];
    label[name_length] = '\0';
    for (size_t i = 0; i < COUNT(target_fields); ++i) {
        const struct config_option *field = &target_fields[i];
        size_t typos = config_edit_distance(label, field->name);
        bool is_sure = strlen(field->name) >= SURE_LENGTH || is_value_of(field, value, value_length);
        if (typos == 0 || (typos <= MOST_TYPOS && is_sure))
            return field->name;
    }
    return NULL;
}
