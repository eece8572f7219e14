/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/json.h"

#include "service/runtime/json_memory.h"

#include <stdlib.h>
#include <string.h>

/* jansson 2.14 does not always tell want of memory from wrong text, and loses characters of a text, and says nothing,
 * when its buffer cannot grow: what was parsed meanwhile is not believed. */
bool store_json_load(const char *text, size_t length, size_t flags, json_t **json)
{
    unsigned failures = json_memory_failures();
    *json = json_loadb(text, length, flags, NULL);
    if (json_memory_failures() == failures)
        return true;
    json_decref(*json);
    *json = NULL;
    return false;
}

struct dump {
    char *text;
    size_t length, size;
    bool failed;
};

static int add_piece(const char *piece, size_t length, void *user)
{
    struct dump *dump = user;
    if (dump->failed)
        return -1;
    if (dump->size - dump->length <= length) {
        size_t size = 2 * dump->size + length + 1024;
        char *text = realloc(dump->text, size);
        dump->failed = !text;
        if (!text)
            return -1;
        dump->text = text;
        dump->size = size;
    }
    memcpy(dump->text + dump->length, piece, length);
    dump->length += length;
    dump->text[dump->length] = '\0';
    return 0;
}

/* json_dumps leaves names out, and says nothing, when its buffer cannot grow. */
char *store_json_dump(const json_t *json, size_t flags)
{
    struct dump dump = {.text = NULL};
    if (json_dump_callback(json, add_piece, &dump, flags) == 0 && !dump.failed)
        return dump.text;
    free(dump.text);
    return NULL;
}

const char *store_json_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}
