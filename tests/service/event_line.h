/* SPDX-License-Identifier: Apache-2.0 */
/* event_line: an event becomes its line, and the line must fit the schema. Only for tests. */
#ifndef TESTS_SERVICE_EVENT_LINE_H
#define TESTS_SERVICE_EVENT_LINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/output/event_json.h"

#include <jansson.h>

#include <cmocka.h>

#define NOON 1795341600123456U /* 2026-11-22T10:00:00.123456Z */

static const struct address v4 = {.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7}, .port = 51111};

static inline json_t *schema_of(const json_t *schema, const char *event)
{
    json_t *definition = json_object_get(json_object_get(schema, "$defs"), event);
    assert_non_null(definition);
    return definition;
}

static inline json_t *load_schema(void)
{
    char path[512];
    const char *source = getenv("KDNETD_SOURCE");
    json_error_t error;
    (void)snprintf(path, sizeof path, "%s/config/events.schema.json", source ? source : ".");
    json_t *schema = json_load_file(path, 0, &error);
    if (!schema)
        fail_msg("%s: %s", path, error.text);
    return schema;
}

/* Each field is in the schema, and each required one is there. */
static inline void assert_fits_schema(json_t *object)
{
    json_t *schema = load_schema(), *value = NULL;
    const json_t *definition = schema_of(schema, json_string_value(json_object_get(object, "event")));
    const char *key = NULL;
    size_t i = 0;
    json_object_foreach(object, key, value) if (!json_object_get(json_object_get(definition, "properties"), key))
        fail_msg("%s is not in the schema", key);
    json_array_foreach(json_object_get(definition, "required"), i,
                       value) if (!json_object_get(object, json_string_value(value)))
        fail_msg("%s is missing", json_string_value(value));
    json_decref(schema);
}

static inline json_t *parse(char *line, size_t length)
{
    json_error_t error;
    assert_non_null(line);
    assert_int_equal(strlen(line), length);
    assert_int_equal(line[length - 1], '\n');
    assert_ptr_equal(strchr(line, '\n'), line + length - 1);
    json_t *object = json_loads(line, 0, &error);
    if (!object)
        fail_msg("%s: %s", line, error.text);
    free(line);
    assert_fits_schema(object);
    return object;
}

static inline json_t *made(const struct kdnet_event *event, const struct address *address)
{
    struct event_json_subject subject = {.time_us = NOON, .collector = "c1", .target = "web-17", .address = address};
    size_t length = 0;
    char *line = event_json_event(&subject, event, &length);
    return parse(line, length);
}

static inline struct kdnet_event event_of(enum kdnet_event_type type)
{
    struct kdnet_event event;
    memset(&event, 0, sizeof event);
    event.type = type;
    for (uint8_t i = 0; i < KDNET_SESSION_ID_LENGTH; ++i)
        event.session[i] = (uint8_t)(0xa0 + i);
    return event;
}

static inline void assert_text(const json_t *object, const char *key, const char *wanted)
{
    const char *text = json_string_value(key ? json_object_get(object, key) : object);
    assert_non_null(text);
    assert_string_equal(text, wanted);
}

static inline void assert_null_field(const json_t *object, const char *key)
{
    assert_true(json_is_null(json_object_get(object, key)));
}

#endif
