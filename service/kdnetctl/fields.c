/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "service/kdnetctl/fields.h"
#include "service/kdnetctl/times.h"

#include <stdio.h>
#include <string.h>

#define NAME_SIZE 64

const json_t *fields_at(const json_t *object, const char *path)
{
    char name[NAME_SIZE];
    while (object && *path) {
        size_t length = strcspn(path, ".");
        if (length >= sizeof name)
            return NULL;
        memcpy(name, path, length);
        name[length] = '\0';
        object = json_object_get(object, name);
        path += length + (path[length] == '.');
    }
    return json_is_null(object) ? NULL : object;
}

const char *fields_text(const json_t *object, const char *path, const char *otherwise)
{
    const char *text = json_string_value(fields_at(object, path));
    return text ? text : otherwise;
}

bool fields_is(const json_t *object, const char *path, const char *text)
{
    return strcmp(fields_text(object, path, ""), text) == 0;
}

bool fields_true(const json_t *object, const char *path)
{
    return json_is_true(fields_at(object, path));
}

int64_t fields_number(const json_t *object, const char *path)
{
    const json_t *value = fields_at(object, path);
    return json_is_real(value) ? (int64_t)json_real_value(value) : json_integer_value(value);
}

const char *fields_brief(const json_t *object)
{
    static const char *const members[] = {"name", "place", "code"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; ++i)
        if (fields_text(object, members[i], NULL))
            return fields_text(object, members[i], NULL);
    return NULL;
}

static int format_scalar(const json_t *value, char *out, size_t size)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        return snprintf(out, size, "%s", json_string_value(value));
    case JSON_INTEGER:
        return snprintf(out, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    case JSON_REAL:
        return snprintf(out, size, "%.15g", json_real_value(value));
    case JSON_TRUE:
        return snprintf(out, size, "yes");
    case JSON_FALSE:
        return snprintf(out, size, "no");
    case JSON_OBJECT:
        return snprintf(out, size, "%s", fields_brief(value) ? fields_brief(value) : "{…}");
    default:
        return snprintf(out, size, "-");
    }
}

static void format_object(const json_t *value, char out[static FIELDS_SIZE])
{
    const char *name;
    json_t *member;
    size_t length = 0;
    out[0] = '\0';
    json_object_foreach((json_t *)value, name, member)
    { // NOLINT(cert-exp05-c): jansson's macro wants it
        int count = snprintf(out + length, FIELDS_SIZE - length, "%s%.*s=", length > 0 ? " " : "",
                             CHARACTERS(name, 63));
        length += (size_t)count;
        if (length >= FIELDS_SIZE)
            return;
        length += (size_t)format_scalar(member, out + length, FIELDS_SIZE - length);
        if (length >= FIELDS_SIZE)
            return;
    }
}

const char *fields_cell(const json_t *object, const char *path, char out[static FIELDS_SIZE])
{
    const json_t *value = fields_at(object, path);
    (void)snprintf(out, FIELDS_SIZE, "-");
    if (json_is_object(value) && json_object_size(value) > 0)
        format_object(value, out);
    else if (value && !json_is_array(value) && !json_is_object(value))
        (void)format_scalar(value, out, FIELDS_SIZE);
    characters_mend(out);
    return out;
}

const char *fields_duration(const json_t *object, const char *path, char out[static FIELDS_SIZE])
{
    const json_t *value = fields_at(object, path);
    (void)snprintf(out, FIELDS_SIZE, "-");
    if (json_is_number(value))
        (void)times_duration(json_number_value(value), out);
    return out;
}
