/* SPDX-License-Identifier: Apache-2.0 */
/* The values of a group's fields: copied, freed, compared. */
#include "config/option.h"

#include <stdlib.h>
#include <string.h>

static void *member_of(const struct config_option *field, const void *base)
{
    return (char *)(uintptr_t)base + field->offset;
}

static bool copy_texts(const struct config_texts *from, struct config_texts *to)
{
    *to = (struct config_texts){.text = NULL};
    for (size_t i = 0; i < from->count; ++i)
        if (!config_store_text(to, from->text[i]))
            return false;
    return true;
}

static bool copy_field(const struct config_option *field, const void *from, void *to)
{
    if (config_shape(field->type) == CONFIG_GROUP)
        return config_copy_fields(config_group_of(field->type), config_group_base(field, (void *)(uintptr_t)from),
                                  config_group_base(field, to));
    if (field->type == CONFIG_TYPE_TEXTS)
        return copy_texts(member_of(field, from), member_of(field, to));
    char **text = member_of(field, to);
    if (field->type != CONFIG_TYPE_TEXT || !*text)
        return true;
    *text = strdup(*text);
    return *text != NULL;
}

bool config_copy_fields(const struct config_group *group, const void *from, void *to)
{
    bool good = true;
    for (size_t i = 0; i < group->count; ++i)
        good = copy_field(&group->options[i], from, to) && good;
    if (!good)
        config_clear_fields(group, to);
    return good;
}

void config_clear_fields(const struct config_group *group, void *base)
{
    for (size_t i = 0; i < group->count; ++i) {
        const struct config_option *field = &group->options[i];
        if (config_shape(field->type) == CONFIG_GROUP) {
            config_clear_fields(config_group_of(field->type), config_group_base(field, base));
        } else if (field->type == CONFIG_TYPE_TEXTS) {
            config_store_clear_texts(member_of(field, base));
        } else if (field->type == CONFIG_TYPE_TEXT) {
            char **text = member_of(field, base);
            free(*text);
            *text = NULL;
        }
    }
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_texts(const struct config_texts *a, const struct config_texts *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; ++i)
        if (strcmp(a->text[i], b->text[i]) != 0)
            return false;
    return true;
}

static bool same_field(const struct config_option *field, const void *a, const void *b)
{
    const void *x = member_of(field, a), *y = member_of(field, b);
    switch (field->type) {
    case CONFIG_TYPE_TEXTS:
        return same_texts(x, y);
    case CONFIG_TYPE_TEXT:
        return same_text(*(char *const *)x, *(char *const *)y);
    case CONFIG_TYPE_NAME:
        return strcmp(x, y) == 0;
    case CONFIG_TYPE_BOOL:
        return *(const bool *)x == *(const bool *)y;
    case CONFIG_TYPE_NUMBER:
    case CONFIG_TYPE_WORD:
        return *(const unsigned *)x == *(const unsigned *)y;
    default: /* a group's fields lie in the same struct */
        return config_same_fields(config_group_of(field->type), a, b);
    }
}

bool config_same_fields(const struct config_group *group, const void *a, const void *b)
{
    for (size_t i = 0; i < group->count; ++i)
        if (!same_field(&group->options[i], a, b))
            return false;
    return true;
}
