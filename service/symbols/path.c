/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/path.h"

#include "service/symbols/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void symbol_path_init(struct symbol_path *path)
{
    memset(path, 0, sizeof *path);
}

static bool is_url(const char *text)
{
    return strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
}

static bool refuse(char *reason, const char *element, const char *why)
{
    (void)symbol_reason(reason, "'%.100s': %s", element, why);
    return false;
}

static struct symbol_source *add_source(struct symbol_path *path, const char *label, char *reason)
{
    if (path->count == SYMBOL_SOURCES_MAX) {
        (void)refuse(reason, label, "more than 64 places for symbols");
        return NULL;
    }
    struct symbol_source *source = &path->sources[path->count];
    memset(source, 0, sizeof *source);
    source->label = strdup(label);
    if (!source->label) {
        (void)refuse(reason, label, "no memory");
        return NULL;
    }
    ++path->count;
    return source;
}

static bool add_folder(struct symbol_path *path, const char *folder, char *reason)
{
    if (strlen(folder) + 256 > SYMBOL_PATH_SIZE)
        return refuse(reason, folder, "the path of the folder is too long");
    return add_source(path, folder, reason) != NULL;
}

static int no_client(void *context, const char *name, const char *guidage, char *path, size_t size, char *reason,
                     size_t reason_size)
{
    static const char text[] = "not asked: there is no client for symbol servers here";
    (void)context;
    (void)name;
    (void)guidage;
    if (size > 0)
        path[0] = 0;
    size_t length = sizeof text < reason_size ? sizeof text : reason_size;
    if (length > 0) {
        memcpy(reason, text, length);
        reason[length - 1] = 0;
    }
    return -1;
}

static bool add_server(struct symbol_path *path, const char *folder, const char *url,
                       const struct symbol_path_options *options, char *reason)
{
    char why[SYMBOL_REASON_SIZE] = "";
    if (!folder)
        return refuse(reason, url, "no folder to keep its files in: write srv*DIR*URL");
    struct symbol_source *source = add_source(path, url, reason);
    if (!source)
        return false;
    if (!options->open_server) {
        source->fetch = no_client;
        return true;
    }
    if (options->open_server(options->user, folder, url, source, why))
        return true;
    free(source->label);
    --path->count;
    return refuse(reason, url, why);
}

/* The parts of srv*… and cache*…; `parts` is cut up. */
static bool add_parts(struct symbol_path *path, char *parts, bool cache, char **downstream,
                      const struct symbol_path_options *options, char *reason)
{
    const char *folder = *downstream;
    for (char *part = parts, *next; part; part = next) {
        next = strchr(part, '*');
        if (next)
            *next++ = 0;
        if (is_url(part)) {
            if (!add_server(path, folder, part, options, reason))
                return false;
        } else if (part[0] != 0) {
            if (!add_folder(path, part, reason))
                return false;
            folder = part;
            if (cache)
                *downstream = part;
        }
    }
    return true;
}

static char *after(char *text, const char *word)
{
    size_t length = strlen(word);
    return strncasecmp(text, word, length) == 0 ? text + length : NULL;
}

static bool add_element(struct symbol_path *path, char *element, char **downstream,
                        const struct symbol_path_options *options, char *reason)
{
    char *parts = after(element, "srv*");
    if (!parts && after(element, "symsrv*")) {
        char *dll_end = strchr(element + strlen("symsrv*"), '*');
        if (!dll_end)
            return refuse(reason, element, "write srv*DIR*URL");
        parts = dll_end + 1;
    }
    if (parts)
        return add_parts(path, parts, false, downstream, options, reason);
    parts = after(element, "cache*");
    if (parts)
        return add_parts(path, parts, true, downstream, options, reason);
    if (is_url(element))
        return add_server(path, *downstream, element, options, reason);
    return add_folder(path, element, reason);
}

bool symbol_path_add(struct symbol_path *path, const char *text, const struct symbol_path_options *options,
                     char reason[static SYMBOL_REASON_SIZE])
{
    char *copy = strdup(text), *cache = options->cache_directory ? strdup(options->cache_directory) : NULL;
    char *downstream = cache;
    bool good = copy && (cache || !options->cache_directory);
    if (!good)
        (void)refuse(reason, text, "no memory");
    for (char *element = copy, *next; good && element; element = next) {
        next = strchr(element, ';');
        if (next)
            *next++ = 0;
        if (element[0] != 0)
            good = add_element(path, element, &downstream, options, reason);
    }
    free(copy);
    free(cache);
    return good;
}

static void ask_server(const struct symbol_source *source, const struct kdnet_pdb *pdb, const char *symbol,
                       struct symbol_result *result)
{
    char guidage[KDNET_GUIDAGE_SIZE], path[SYMBOL_PATH_SIZE] = "", reason[SYMBOL_REASON_SIZE] = "";
    kdnet_pdb_guidage(pdb, guidage);
    if (source->fetch(source->context, pdb->name, guidage, path, sizeof path, reason, sizeof reason) != 0)
        symbol_trail_add(&result->trail, source->label, reason);
    else if (!store_ask_file(path, pdb, symbol, result))
        symbol_trail_add(&result->trail, path, "gone again after it was fetched");
}

void symbol_path_find(const struct symbol_path *path, const struct kdnet_pdb *pdb, const char *symbol,
                      struct symbol_result *result)
{
    result->answer = SYMBOL_NONE;
    result->source = KDNET_SOURCE_PDB;
    for (size_t i = 0; i < result->extra_count; ++i)
        result->extras[i].answer = SYMBOL_NONE;
    symbol_trail_init(&result->trail);
    struct kdnet_pdb wanted = *pdb;
    (void)snprintf(wanted.name, sizeof wanted.name, "%s", identity_base_name(pdb->name));
    if (!identity_name_is_safe(wanted.name)) {
        symbol_trail_add(&result->trail, "symbols", "the image names a PDB that is not a file's name");
        return;
    }
    if (path->count == 0)
        symbol_trail_add(&result->trail, "symbols", "none are configured");
    for (size_t i = 0; i < path->count && result->answer != SYMBOL_FOUND; ++i) {
        const struct symbol_source *source = &path->sources[i];
        if (!source->fetch)
            store_find(source->label, &wanted, symbol, result);
        else if (result->answer == SYMBOL_NONE)
            ask_server(source, &wanted, symbol, result);
    }
}

void symbol_path_stop(const struct symbol_path *path)
{
    for (size_t i = 0; i < path->count; ++i)
        if (path->sources[i].stop)
            path->sources[i].stop(path->sources[i].context);
}

void symbol_path_clear(struct symbol_path *path)
{
    for (size_t i = 0; i < path->count; ++i) {
        if (path->sources[i].clear)
            path->sources[i].clear(path->sources[i].context);
        free(path->sources[i].label);
    }
    symbol_path_init(path);
}
