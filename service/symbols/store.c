/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/store.h"

#include "service/symbols/identity.h"
#include "service/symbols/probe.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#define SEARCH_PERMISSION 1  /* X_OK, which Windows ignores */
#define BATCH             64 /* entries of a folder read at a time */

/* A path that grows and shrinks. */
struct path {
    char text[SYMBOL_PATH_SIZE];
    size_t length;
};

static bool append(struct path *path, const char *name)
{
    size_t length = strlen(name);
    if (path->length + length + 2 > sizeof path->text)
        return false;
    path->text[path->length++] = '/';
    memcpy(path->text + path->length, name, length + 1);
    path->length += length;
    return true;
}

static void cut(struct path *path, size_t length)
{
    path->length = length;
    path->text[length] = 0;
}

static bool exists(const char *path)
{
    uv_fs_t request;
    int outcome = uv_fs_stat(NULL, &request, path, NULL);
    uv_fs_req_cleanup(&request);
    return outcome == 0;
}

/* Finds `name` among the entries of a folder, ignoring case; copies the entry's spelling over it. */
static bool spelled_otherwise(uv_dir_t *folder, char *name)
{
    uv_dirent_t entries[BATCH];
    uv_fs_t request;
    bool found = false;
    int count = BATCH;
    folder->dirents = entries;
    folder->nentries = BATCH;
    for (int seen = 0; !found && count > 0 && seen < STORE_ENTRIES_MAX; seen += BATCH) {
        count = uv_fs_readdir(NULL, &request, folder, NULL);
        for (int i = 0; i < count && !found; ++i)
            if ((found = strcasecmp(entries[i].name, name) == 0))
                memcpy(name, entries[i].name, strlen(name));
        uv_fs_req_cleanup(&request);
    }
    return found;
}

/* Appends an entry's name to the path of a folder; undone when there is no such entry. */
static bool enter(struct path *path, const char *name)
{
    size_t before = path->length;
    uv_fs_t request, closing;
    if (!append(path, name))
        return false;
    if (exists(path->text))
        return true;
    path->text[before] = 0; /* the folder, for a moment */
    bool found = false;
    if (uv_fs_opendir(NULL, &request, path->text, NULL) == 0) {
        found = spelled_otherwise(request.ptr, path->text + before + 1);
        (void)uv_fs_closedir(NULL, &closing, request.ptr, NULL);
        uv_fs_req_cleanup(&closing);
    }
    uv_fs_req_cleanup(&request);
    path->text[before] = '/';
    if (!found)
        cut(path, before);
    return found;
}

/* Takes a file's answers for the extra names. */
static void take_extras(struct symbol_result *result, const struct symbol_name *names, enum kdnet_source source)
{
    for (size_t i = 0; i < result->extra_count; ++i) {
        struct symbol_extra *extra = &result->extras[i];
        if (names[i].answer >= extra->answer)
            continue;
        extra->answer = names[i].answer;
        extra->source = source;
        extra->rva = names[i].rva;
    }
}

static enum symbol_answer ask_probe(const struct probe *probe, const char *symbol, struct symbol_result *result,
                                    uint32_t *rva, enum kdnet_source *source, char *reason)
{
    struct symbol_name names[SYMBOL_NAMES_MAX] = {{.name = symbol}};
    size_t count = 1;
    for (size_t i = 0; i < result->extra_count && count < SYMBOL_NAMES_MAX; ++i)
        names[count++].name = result->extras[i].symbol;
    enum symbol_answer answer = probe_find_all(probe, names, count, source, reason);
    *rva = names[0].rva;
    take_extras(result, names + 1, *source);
    return answer;
}

/* The best answer to any of the addresses. */
static enum symbol_answer ask_addresses(const struct probe *probe, struct symbol_result *result,
                                        enum kdnet_source *source, char *reason)
{
    enum symbol_answer best = SYMBOL_NONE;
    struct symbol_address asked[SYMBOL_ADDRESSES_MAX];
    size_t count = result->address_count < SYMBOL_ADDRESSES_MAX ? result->address_count : SYMBOL_ADDRESSES_MAX;
    for (size_t i = 0; i < count; ++i)
        asked[i] = (struct symbol_address){.rva = result->addresses[i].rva};
    probe_find_addresses(probe, asked, count, source, reason);
    for (size_t i = 0; i < count; ++i) {
        if (asked[i].answer < result->addresses[i].answer)
            result->addresses[i] = asked[i];
        if (asked[i].answer < best)
            best = asked[i].answer;
    }
    return best;
}

bool store_ask_file(const char *path, const struct kdnet_pdb *pdb, const char *symbol, struct symbol_result *result)
{
    struct probe probe;
    char reason[SYMBOL_REASON_SIZE] = "";
    uint32_t rva = 0;
    enum kdnet_source source = KDNET_SOURCE_PDB;
    enum symbol_answer answer = SYMBOL_NONE;
    int outcome = probe_open(&probe, path, pdb, reason);
    if (outcome == UV_ENOENT)
        return false;
    if (outcome == 0) {
        answer = symbol ? ask_probe(&probe, symbol, result, &rva, &source, reason)
                        : ask_addresses(&probe, result, &source, reason);
        probe_close(&probe);
    }
    symbol_trail_add(&result->trail, path,
                     answer == SYMBOL_FOUND  ? "found"
                     : answer == SYMBOL_NONE ? reason
                     : symbol                ? "has no such name"
                                             : "has no symbol there");
    if (answer < result->answer) {
        result->answer = answer;
        result->source = source;
        result->rva = rva;
    }
    return true;
}

/* Asks the file `name` in the folder `path`. */
static bool ask_entry(struct path *path, const char *name, const struct kdnet_pdb *pdb, const char *symbol,
                      struct symbol_result *result)
{
    size_t before = path->length;
    bool seen = enter(path, name) && store_ask_file(path->text, pdb, symbol, result);
    cut(path, before);
    return seen;
}

void store_mark_insecure(struct symbol_result *result)
{
    if (result->source == KDNET_SOURCE_PDB)
        result->source = KDNET_SOURCE_PDB_HTTP;
    for (size_t i = 0; i < result->extra_count; ++i)
        if (result->extras[i].source == KDNET_SOURCE_PDB)
            result->extras[i].source = KDNET_SOURCE_PDB_HTTP;
}

/* Marks a result found in a folder with the http mark. */
static void take_mark(struct path *path, struct symbol_result *result)
{
    size_t before = path->length;
    if (append(path, STORE_HTTP_MARK) && exists(path->text))
        store_mark_insecure(result);
    cut(path, before);
}

/* NAME/GUIDAGE/. */
static bool ask_store_folder(struct path *path, const struct kdnet_pdb *pdb, const char *symbol,
                             struct symbol_result *result)
{
    char guidage[KDNET_GUIDAGE_SIZE], packed[KDNET_PDB_NAME_SIZE];
    size_t before = path->length;
    kdnet_pdb_guidage(pdb, guidage);
    if (!enter(path, guidage))
        return false;
    (void)snprintf(packed, sizeof packed, "%s", pdb->name);
    packed[strlen(packed) - 1] = '_';
    bool seen = ask_entry(path, pdb->name, pdb, symbol, result);
    if (result->answer == SYMBOL_NONE)
        seen |= ask_entry(path, packed, pdb, symbol, result);
    if (result->answer != SYMBOL_NONE)
        take_mark(path, result);
    if (!seen && append(path, "file.ptr") && exists(path->text)) {
        symbol_trail_add(&result->trail, path->text,
                         "points to a file elsewhere, which is not followed; copy the file here");
        seen = true;
    }
    cut(path, before);
    return seen;
}

/* NAME/GUID-AGE.json… */
static bool ask_tables(struct path *path, const struct kdnet_pdb *pdb, const char *symbol, struct symbol_result *result)
{
    static const char *const endings[] = {"json", "json.xz", "json.gz"};
    char guidage[KDNET_GUIDAGE_SIZE], name[64];
    bool seen = false;
    kdnet_pdb_guidage(pdb, guidage);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0] && result->answer != SYMBOL_FOUND; ++i) {
        (void)snprintf(name, sizeof name, "%.32s-%u.%s", guidage, (unsigned)pdb->age, endings[i]);
        seen |= ask_entry(path, name, pdb, symbol, result);
    }
    return seen;
}

static bool is_folder(const char *path)
{
    uv_fs_t request;
    bool folder = uv_fs_stat(NULL, &request, path, NULL) == 0 && (request.statbuf.st_mode & 0170000) == 0040000;
    uv_fs_req_cleanup(&request);
    return folder;
}

/* Asks all files that the folder `path` may have for an image. */
static bool ask_tier(struct path *path, const struct kdnet_pdb *pdb, const char *symbol, struct symbol_result *result)
{
    size_t before = path->length;
    bool seen = false;
    if (!enter(path, pdb->name))
        return false;
    if (!is_folder(path->text)) {
        seen = store_ask_file(path->text, pdb, symbol, result);
    } else {
        seen = ask_store_folder(path, pdb, symbol, result);
        if (result->answer != SYMBOL_FOUND)
            seen |= ask_tables(path, pdb, symbol, result);
    }
    cut(path, before);
    return seen;
}

static bool ask_second_tier(struct path *path, const struct kdnet_pdb *pdb, const char *symbol,
                            struct symbol_result *result)
{
    const char letters[] = {pdb->name[0], pdb->name[1], 0};
    size_t before = path->length;
    bool two_tiers = append(path, "index2.txt") && exists(path->text);
    cut(path, before);
    if (!two_tiers || strlen(letters) < 2 || !enter(path, letters))
        return false;
    bool seen = ask_tier(path, pdb, symbol, result);
    cut(path, before);
    return seen;
}

/* Returns why a folder cannot be searched; NULL: it can. */
static const char *find_obstacle(const char *path)
{
    uv_fs_t request;
    if (!exists(path))
        return "no such folder, or one above it cannot be entered";
    if (!is_folder(path))
        return "not a folder";
    int outcome = uv_fs_access(NULL, &request, path, SEARCH_PERMISSION, NULL);
    uv_fs_req_cleanup(&request);
    return outcome != 0 ? "no permission to search this folder" : NULL;
}

bool store_is_usable(const char *directory, char reason[static SYMBOL_REASON_SIZE])
{
    const char *obstacle = find_obstacle(directory);
    if (obstacle)
        (void)symbol_reason(reason, "%s", obstacle);
    return !obstacle;
}

void store_find(const char *directory, const struct kdnet_pdb *pdb, const char *symbol, struct symbol_result *result)
{
    struct path path = {.length = strlen(directory)};
    if (!identity_name_is_safe(pdb->name)) {
        symbol_trail_add(&result->trail, directory, "not asked: the name of the PDB is not that of a file");
        return;
    }
    if (path.length + 256 > sizeof path.text) {
        symbol_trail_add(&result->trail, directory, "not asked: its path is too long");
        return;
    }
    memcpy(path.text, directory, path.length + 1);
    const char *obstacle = find_obstacle(path.text);
    if (obstacle) {
        symbol_trail_add(&result->trail, directory, obstacle);
        return;
    }
    bool seen = ask_tier(&path, pdb, symbol, result);
    if (result->answer != SYMBOL_FOUND)
        seen |= ask_second_tier(&path, pdb, symbol, result);
    if (!seen)
        symbol_trail_add(&result->trail, directory, "has no file for this image");
}
