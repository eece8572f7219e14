/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/cache.h"

#include "kdnet/crypto/crypto.h"
#include "service/symbols/file.h"
#include "service/symbols/identity.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define BUFFER_SIZE 65536

#define CHECK_BYTES 8
#define FIELDS      4 /* and the checksum */

static const char absent[] = "absent";

void cache_check(const char *text, size_t length, char out[static CACHE_CHECK_SIZE])
{
    static const char what[] = "kdnetd symbols.cache ";
    uint8_t hash[32];
    kdnet_sha256_pair((const uint8_t *)what, sizeof what - 1, (const uint8_t *)text, length, hash);
    for (size_t i = 0; i < CHECK_BYTES; ++i)
        (void)snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

static bool parse_rva(const char *text, uint32_t *rva)
{
    uint64_t value = 0;
    size_t digits = 0;
    if (strncmp(text, "0x", 2) != 0)
        return false;
    for (const char *c = text + 2; *c; ++c, ++digits) {
        const char *at = strchr("0123456789abcdef", *c);
        if (!at || digits == 8)
            return false;
        value = value << 4 | (uint64_t)(at - "0123456789abcdef");
    }
    *rva = (uint32_t)value;
    return digits > 0;
}

static bool parse_source(const char *text, uint8_t *source)
{
    static const enum kdnet_source sources[] = {KDNET_SOURCE_PDB, KDNET_SOURCE_ISF, KDNET_SOURCE_PDB_HTTP};
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; ++i) {
        if (strcmp(text, kdnet_source_name(sources[i])) != 0)
            continue;
        *source = (uint8_t)sources[i];
        return true;
    }
    return false;
}

/* Splits a line into its fields, separated by one space. */
static bool split(char *line, char *fields[FIELDS])
{
    for (size_t i = 0; i < FIELDS; ++i) {
        fields[i] = line;
        char *end = strchr(line, ' ');
        if ((end == NULL) != (i + 1 == FIELDS) || line[0] == 0 || line[0] == ' ')
            return false;
        if (end)
            *end = 0;
        line = end ? end + 1 : line;
    }
    return true;
}

enum line { LINE_GOOD, LINE_UNKNOWN, LINE_DAMAGED };

/* Takes the checksum off a line, and verifies it. */
static enum line take_check(char *line)
{
    char check[CACHE_CHECK_SIZE], *last = strrchr(line, ' ');
    if (!last || strlen(last + 1) != CACHE_CHECK_SIZE - 1)
        return LINE_UNKNOWN;
    *last = 0;
    cache_check(line, (size_t)(last - line), check);
    return strcmp(last + 1, check) == 0 ? LINE_GOOD : LINE_DAMAGED;
}

static enum line read_line(char *line, struct remembered *remembered)
{
    char *fields[FIELDS];
    struct kdnet_pdb pdb = {.age = 0};
    uint32_t rva = 0;
    uint8_t source = 0;
    enum line kind = take_check(line);
    if (kind != LINE_GOOD)
        return kind;
    if (!split(line, fields) || !identity_parse(fields[0], &pdb) || !parse_source(fields[3], &source))
        return LINE_UNKNOWN;
    bool found = parse_rva(fields[2], &rva);
    if (!found && strcmp(fields[2], absent) != 0)
        return LINE_UNKNOWN;
    uint32_t symbol = remembered_name(remembered, fields[1]);
    if (symbol == REMEMBERED_NONE)
        return LINE_UNKNOWN;
    struct remembered_key key = remembered_key(remembered, &pdb, symbol, true);
    uint32_t entry = remembered_insert(remembered, &key);
    if (entry == REMEMBERED_NONE)
        return LINE_UNKNOWN;
    remembered->entries[entry].state = found ? REMEMBERED_FOUND : REMEMBERED_ABSENT;
    remembered->entries[entry].source = source;
    remembered->entries[entry].rva = rva;
    remembered->entries[entry].unchecked = true;
    return LINE_GOOD;
}

void cache_parse(char *text, size_t length, struct remembered *remembered, struct cache_counts *counts)
{
    for (char *line = text, *end; line < text + length; line = end + 1) {
        end = memchr(line, '\n', (size_t)(text + length - line));
        if (!end) {
            ++counts->damaged;
            return;
        }
        *end = 0;
        bool whole = strlen(line) == (size_t)(end - line) && end - line < (ptrdiff_t)CACHE_LINE_MAX;
        enum line kind = whole ? read_line(line, remembered) : LINE_DAMAGED;
        counts->unknown += kind == LINE_UNKNOWN;
        counts->damaged += kind == LINE_DAMAGED;
    }
}

int cache_read(const char *path, struct remembered *remembered, struct cache_counts *counts)
{
    struct symbol_file file;
    *counts = (struct cache_counts){0};
    int outcome = symbol_file_open(&file, path);
    if (outcome != 0)
        return outcome == UV_ENOENT ? 0 : outcome;
    size_t length = file.size < CACHE_SIZE_MAX ? (size_t)file.size : CACHE_SIZE_MAX;
    char *text = malloc(length + 1);
    if (!text)
        outcome = UV_ENOMEM;
    else if (!symbol_file_read(&file, 0, text, length))
        outcome = UV_EIO;
    else
        cache_parse(text, length, remembered, counts);
    free(text);
    symbol_file_close(&file);
    return outcome;
}

static bool copy_names(struct cache_image *image, const struct remembered *remembered)
{
    image->names = calloc(remembered->name_count + 1, sizeof *image->names);
    for (uint32_t i = 0; image->names && i < remembered->name_count; ++i) {
        image->names[i] = strdup(remembered->names[i]);
        if (!image->names[i])
            return false;
        ++image->name_count;
    }
    return image->names != NULL;
}

bool cache_image_take(struct cache_image *image, const struct remembered *remembered)
{
    *image = (struct cache_image){.count = 0};
    if (remembered->count == 0)
        return true;
    image->entries = malloc(remembered->count * sizeof *image->entries);
    if (!image->entries || !copy_names(image, remembered)) {
        cache_image_clear(image);
        return false;
    }
    for (uint32_t i = 0; i < remembered->count; ++i)
        if (remembered->entries[i].state == REMEMBERED_FOUND || remembered->entries[i].state == REMEMBERED_ABSENT)
            image->entries[image->count++] = remembered->entries[i];
    return true;
}

void cache_image_clear(struct cache_image *image)
{
    for (size_t i = 0; i < image->name_count; ++i)
        free(image->names[i]);
    free(image->entries);
    free(image->names);
    *image = (struct cache_image){.count = 0};
}

static size_t format(const struct cache_image *image, size_t i, char *out, size_t size)
{
    const struct remembered_entry *entry = &image->entries[i];
    struct kdnet_pdb pdb = {.age = entry->key.age};
    char guidage[KDNET_GUIDAGE_SIZE], rva[16], check[CACHE_CHECK_SIZE];
    memcpy(pdb.guid, entry->key.guid, sizeof pdb.guid);
    kdnet_pdb_guidage(&pdb, guidage);
    (void)snprintf(rva, sizeof rva, "0x%x", (unsigned)entry->rva);
    int length = snprintf(out, size, "%s %s %s %s", guidage, image->names[entry->key.symbol],
                          entry->state == REMEMBERED_FOUND ? rva : absent,
                          kdnet_source_name((enum kdnet_source)entry->source));
    if (length <= 0 || (size_t)length >= size)
        return 0;
    cache_check(out, (size_t)length, check);
    int rest = snprintf(out + length, size - (size_t)length, " %s\n", check);
    return (size_t)length + (size_t)rest;
}

static bool write_entries(struct symbol_file *file, const struct cache_image *image)
{
    char *buffer = malloc(BUFFER_SIZE);
    size_t length = 0;
    bool good = buffer != NULL;
    for (size_t i = 0; good && i < image->count; ++i) {
        length += format(image, i, buffer + length, BUFFER_SIZE - length);
        if (length > BUFFER_SIZE - CACHE_LINE_MAX || i + 1 == image->count) {
            good = symbol_file_append(file, buffer, length);
            length = 0;
        }
    }
    free(buffer);
    return good;
}

static int replace(const char *path, const char *new_path, struct symbol_file *file)
{
    uv_fs_t request;
    int outcome = uv_fs_fsync(NULL, &request, file->descriptor, NULL);
    uv_fs_req_cleanup(&request);
    symbol_file_close(file);
    if (outcome == 0) {
        outcome = uv_fs_rename(NULL, &request, new_path, path, NULL);
        uv_fs_req_cleanup(&request);
    }
    return outcome;
}

int cache_lock(const char *path, struct cache_lock *lock)
{
    char name[SYMBOL_PATH_SIZE];
    if (lock->descriptor >= 0)
        return 0;
    int length = snprintf(name, sizeof name, "%s.lock", path);
    if (length < 0 || (size_t)length >= sizeof name)
        return UV_ENAMETOOLONG;
    lock->descriptor = symbol_file_lock(name);
    return lock->descriptor >= 0 ? 0 : lock->descriptor;
}

void cache_unlock(struct cache_lock *lock)
{
    struct symbol_file file = {.descriptor = lock->descriptor};
    symbol_file_close(&file);
    lock->descriptor = -1;
}

int cache_write(const char *path, const struct cache_image *image)
{
    struct symbol_file file = {.descriptor = -1};
    char new_path[SYMBOL_PATH_SIZE];
    uv_fs_t request;
    uint64_t token = 0;
    if (uv_random(NULL, NULL, &token, sizeof token, 0, NULL) != 0)
        token = uv_hrtime();
    int length = snprintf(new_path, sizeof new_path, "%s.%d-%016" PRIx64 ".new", path, (int)uv_os_getpid(), token);
    if (length < 0 || (size_t)length >= sizeof new_path)
        return UV_ENAMETOOLONG;
    int flags = UV_FS_O_WRONLY | UV_FS_O_CREAT | UV_FS_O_EXCL;
    file.descriptor = uv_fs_open(NULL, &request, new_path, flags, 0640, NULL);
    uv_fs_req_cleanup(&request);
    if (file.descriptor < 0)
        return file.descriptor;
    int outcome = write_entries(&file, image) ? replace(path, new_path, &file) : UV_EIO;
    symbol_file_close(&file);
    if (outcome != 0) {
        (void)uv_fs_unlink(NULL, &request, new_path, NULL);
        uv_fs_req_cleanup(&request);
    }
    return outcome;
}
