/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/lists.h"
#include "config/verdicts.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LENGTH 64U
#define ID_MAX_LENGTH   128U
#define LABEL_KEY_MAX   32U

static const char *const types[] = {
    "connected",      "kernel",          "bugcheck",     "break_in",       "crash_status",  "released", "lost",
    "unknown_target", "print",           "break_storm",  "held",           "suppressed",    "removed",  "action",
    "reload",         "listener_silent", "sink_overrun", "listener_heard", "no_last_break",
};

static bool is_of(const char *const *texts, size_t count, const char *text)
{
    for (size_t i = 0; i < count; ++i)
        if (strcmp(texts[i], text) == 0)
            return true;
    return false;
}

static bool is_plain(const char *text, size_t most)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; ++i)
        if (!isalnum((unsigned char)text[i]) && !strchr("._-", text[i]))
            return false;
    return length > 0 && length <= most;
}

bool list_is_id(const char *text)
{
    return is_plain(text, ID_MAX_LENGTH);
}

bool list_is_name(const char *text)
{
    return is_plain(text, NAME_MAX_LENGTH);
}

bool list_is_type(const char *text)
{
    return is_of(types, sizeof types / sizeof types[0], text);
}

/* 0xD1 and D1 are 0x000000D1. */
static bool format_code(const char *text, char out[static 16])
{
    const char *digits = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? text + 2 : text;
    size_t length = strspn(digits, "0123456789abcdefABCDEF");
    if (length == 0 || length > 8 || digits[length] != '\0')
        return false;
    (void)snprintf(out, 16, "0x%08lX", strtoul(digits, NULL, 16));
    return true;
}

static bool add(struct list *list, const char *text)
{
    size_t size = strlen(text) + 1;
    if (list->count == LIST_MAX || list->used + size > sizeof list->text)
        return false;
    memcpy(list->text + list->used, text, size);
    list->at[list->count++] = (unsigned short)list->used;
    list->used += size;
    return true;
}

static const char *check(enum list_kind kind, const char **value, char code[static 16])
{
    switch (kind) {
    case LIST_NAME:
        return list_is_name(*value) ? NULL
                                    : "is no name of a target: 1 to 64 letters, digits, dots, dashes, underscores";
    case LIST_TYPE:
        return list_is_type(*value) ? NULL : "is no event that there is, such as crash_status; see openapi.yaml";
    case LIST_VERDICT:
        return verdicts_has(*value) ? NULL : "is no verdict, which are " VERDICTS_WORDS;
    case LIST_CODE:
        break;
    }
    if (!format_code(*value, code))
        return "is no bug check code, such as 0xD1";
    *value = code;
    return NULL;
}

bool list_take(struct call *call, const char *name, enum list_kind kind, struct list *out)
{
    const char *value;
    *out = (struct list){.count = 0};
    for (size_t i = 0; (value = query_get(&call->query, name, i)); ++i) {
        char code[16];
        const char *wrong = check(kind, &value, code);
        if (wrong) {
            call_problem(call, HTTP_PROBLEM_BAD_REQUEST, name, "%s %s", name, wrong);
            return false;
        }
        if (!add(out, value)) {
            call_problem(call, HTTP_PROBLEM_BAD_REQUEST, name,
                         "%s is there more than %u times, or too long; ask for "
                         "less at a time",
                         name, LIST_MAX);
            return false;
        }
    }
    return true;
}

bool list_has(const struct list *list, const char *text)
{
    for (size_t i = 0; i < list->count; ++i)
        if (strcmp(list->text + list->at[i], text) == 0)
            return true;
    return list->count == 0;
}

struct store_texts list_texts(struct list *list)
{
    for (size_t i = 0; i < list->count; ++i)
        list->pointers[i] = list->text + list->at[i];
    return (struct store_texts){list->pointers, list->count};
}

bool list_take_labels(struct call *call, struct list_label out[static LIST_LABELS_MAX], size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < call->query.count; ++i) {
        if (strcmp(call->query.of[i].name, "label") != 0)
            continue;
        char *key = call->query.text + (call->query.of[i].value - call->query.text);
        char *equals = strchr(key, '=');
        if (!equals || equals == key || equals[1] == '\0' || (size_t)(equals - key) > LABEL_KEY_MAX) {
            call_problem(call, HTTP_PROBLEM_BAD_REQUEST, "label", "label is not KEY=VALUE, such as label=rack=b4");
            return false;
        }
        if (*count == LIST_LABELS_MAX) {
            call_problem(call, HTTP_PROBLEM_BAD_REQUEST, "label", "there are more than 16 labels, which no target has");
            return false;
        }
        *equals = '\0';
        out[(*count)++] = (struct list_label){key, equals + 1};
    }
    return true;
}
