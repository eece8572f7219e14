/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/path.h"

#include "service/symbols/identity.h"
#include "service/symbols/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void symbol_path_init(struct symbol_path *path)
{
    memset(path, 0, sizeof *path);
}

/* Writes the element without a password that it may contain. */
static bool refuse(char *reason, const char *element, const char *why)
{
    char text[128];
    symbol_url_redact(element, text, sizeof text);
    (void)symbol_reason(reason, "'%.100s': %s", text, why);
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

/* Returns why a text cannot be a folder's name; NULL: it can. */
static const char *folder_mistake(const char *folder)
{
    size_t length = strlen(folder);
    if (length + 256 > SYMBOL_PATH_SIZE)
        return "the path of the folder is too long";
    if (folder[0] == ' ' || folder[length - 1] == ' ')
        return "there are spaces around it; take them away";
#ifndef _WIN32 /* where a drive and a share are no folders of another computer */
    bool drive = length > 2 && folder[1] == ':' && (folder[2] == '\\' || folder[2] == '/');
    if (drive || strncmp(folder, "\\\\", 2) == 0)
        return "a folder of Windows; name one of this computer, such as /srv/symbols";
#endif
    return NULL;
}

static bool add_folder(struct symbol_path *path, const char *folder, char *reason)
{
    const char *mistake = folder_mistake(folder);
    return mistake ? refuse(reason, folder, mistake) : add_source(path, folder, reason) != NULL;
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

static void drop_last(struct symbol_path *path)
{
    struct symbol_source *source = &path->sources[--path->count];
    free(source->label);
    free(source->directory);
}

static bool add_server(struct symbol_path *path, const char *folder, const char *url,
                       const struct symbol_path_options *options, char *reason)
{
    char why[SYMBOL_REASON_SIZE] = "";
    const char *mistake = symbol_url_mistake(url);
    if (mistake)
        return refuse(reason, url, mistake);
    if (!folder)
        return refuse(reason, url, "no folder to keep its files in: write srv*DIR*URL");
    struct symbol_source *source = add_source(path, url, reason);
    if (!source)
        return false;
    source->insecure = symbol_url_is_insecure(url);
    source->directory = strdup(folder);
    source->fetch = no_client;
    if (source->directory && (!options->open_server || options->open_server(options->user, folder, url, source, why)))
        return true;
    if (!source->directory)
        (void)symbol_reason(why, "no memory");
    drop_last(path);
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
        if (symbol_url_is(part)) {
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
    if (symbol_url_is(element))
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

const char *symbol_source_folder(const struct symbol_source *source)
{
    return source->directory ? source->directory : source->label;
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
    else if (source->insecure && result->answer != SYMBOL_NONE)
        store_mark_insecure(result);
}

void symbol_result_init(struct symbol_result *result)
{
    result->answer = SYMBOL_NONE;
    result->source = KDNET_SOURCE_PDB;
    for (size_t i = 0; i < result->extra_count; ++i) {
        result->extras[i].answer = SYMBOL_NONE;
        result->extras[i].source = KDNET_SOURCE_PDB;
    }
    for (size_t i = 0; i < result->address_count; ++i)
        result->addresses[i].answer = SYMBOL_NONE;
    symbol_trail_init(&result->trail);
}

bool symbol_path_wanted(const struct kdnet_pdb *pdb, struct kdnet_pdb *wanted)
{
    *wanted = *pdb;
    (void)snprintf(wanted->name, sizeof wanted->name, "%s", identity_base_name(pdb->name));
    return identity_name_is_safe(wanted->name);
}

void symbol_path_ask(const struct symbol_path *path, size_t source, bool remote, const struct kdnet_pdb *wanted,
                     const char *symbol, struct symbol_result *result)
{
    if (remote)
        ask_server(&path->sources[source], wanted, symbol, result);
    else
        store_find(symbol_source_folder(&path->sources[source]), wanted, symbol, result);
}

bool symbol_path_makes(const struct symbol_path *path, size_t source)
{
    const struct symbol_source *folder = &path->sources[source];
    for (size_t i = 0; !folder->fetch && i < path->count; ++i)
        if (path->sources[i].directory && strcmp(path->sources[i].directory, folder->label) == 0)
            return true;
    return false;
}

bool symbol_path_prepare(const struct symbol_path *path, size_t source, char reason[static SYMBOL_REASON_SIZE])
{
    const struct symbol_source *one = &path->sources[source];
    if (one->fetch)
        return !one->prepare || one->prepare(one->context, reason);
    return store_is_usable(one->label, reason);
}

void symbol_path_find(const struct symbol_path *path, const struct kdnet_pdb *pdb, const char *symbol,
                      struct symbol_result *result)
{
    struct kdnet_pdb wanted;
    symbol_result_init(result);
    if (!symbol_path_wanted(pdb, &wanted)) {
        symbol_trail_add(&result->trail, "symbols", "the image names a PDB that is not a file's name");
        return;
    }
    if (path->count == 0)
        symbol_trail_add(&result->trail, "symbols", "none are configured");
    for (size_t i = 0; i < path->count && result->answer != SYMBOL_FOUND; ++i) {
        bool remote = path->sources[i].fetch != NULL;
        if (!remote || result->answer == SYMBOL_NONE)
            symbol_path_ask(path, i, remote, &wanted, symbol, result);
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
        free(path->sources[i].directory);
    }
    symbol_path_init(path);
}
