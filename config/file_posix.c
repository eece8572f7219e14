/* SPDX-License-Identifier: Apache-2.0 */
#include "config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_CAPACITY 65536

static bool wrong(char *error, const char *what, const char *remedy)
{
    (void)snprintf(error, CONFIG_ERROR_SIZE, "%s; %s", what, remedy);
    return false;
}

static bool too_large(char *error, size_t limit)
{
    (void)snprintf(error, CONFIG_ERROR_SIZE, "is larger than %zu MiB; divide it into several files", limit >> 20);
    return false;
}

static bool cannot_read(char *error, int code)
{
    char what[128];
    const char *remedy = "check its disk and file system";
    if (code == ENOENT || code == ENOTDIR)
        remedy = "check the path";
    else if (code == EACCES || code == EPERM)
        remedy = "let the user that kdnetd runs as read it";
    (void)snprintf(what, sizeof what, "cannot be read: %s", strerror(code)); /* NOLINT(concurrency-mt-unsafe) */
    return wrong(error, what, remedy);
}

/* realloc would leave the keys behind in the old block. */
static bool grow(struct config_file *file, size_t *capacity)
{
    size_t larger = *capacity * 2;
    char *text = malloc(larger + 1);
    if (!text)
        return false;
    memcpy(text, file->text, file->length);
    OPENSSL_cleanse(file->text, file->length);
    free(file->text);
    file->text = text;
    *capacity = larger;
    return true;
}

static bool read_all(int descriptor, size_t limit, size_t capacity, struct config_file *file, char *error)
{
    file->text = malloc(capacity + 1);
    if (!file->text)
        return wrong(error, "out of memory", "give it more");
    for (;;) {
        if (file->length == capacity && !grow(file, &capacity))
            return wrong(error, "out of memory", "give it more");
        ssize_t n = read(descriptor, file->text + file->length, capacity - file->length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cannot_read(error, errno);
        if (n == 0)
            break;
        file->length += (size_t)n;
        if (file->length > limit)
            return too_large(error, limit);
    }
    file->text[file->length] = '\0';
    return true;
}

bool config_file_read(const char *path, size_t limit, struct config_file *out, char error[static CONFIG_ERROR_SIZE])
{
    struct config_file file = {.text = NULL};
    struct stat status;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0)
        return cannot_read(error, errno);
    bool good = fstat(descriptor, &status) == 0 || cannot_read(error, errno);
    if (good && S_ISDIR(status.st_mode))
        good = wrong(error, "is a directory", "name a file in it");
    if (good && S_ISREG(status.st_mode) && (uint64_t)status.st_size > limit)
        good = too_large(error, limit);
    if (good) {
        bool is_sized = S_ISREG(status.st_mode) && status.st_size > 0;
        size_t capacity = is_sized ? (size_t)status.st_size + 1 : FIRST_CAPACITY;
        good = read_all(descriptor, limit, capacity, &file, error);
        file.id = (struct config_file_id){(uint64_t)status.st_dev, (uint64_t)status.st_ino};
        file.mode = (unsigned)status.st_mode & 07777;
        file.open_to_others = (status.st_mode & S_IRWXO) != 0;
    }
    (void)close(descriptor);
    if (good)
        *out = file;
    else
        config_file_clear(&file);
    return good;
}

void config_file_clear(struct config_file *file)
{
    if (file->text)
        OPENSSL_cleanse(file->text, file->length);
    free(file->text);
    *file = (struct config_file){.text = NULL};
}

static bool copy_paths(const glob_t *found, char ***paths, size_t *count)
{
    char **copy = calloc(found->gl_pathc, sizeof *copy);
    if (!copy)
        return false;
    for (size_t i = 0; i < found->gl_pathc; ++i) {
        copy[i] = strdup(found->gl_pathv[i]);
        if (!copy[i]) {
            config_file_free_paths(copy, i);
            return false;
        }
    }
    *paths = copy;
    *count = found->gl_pathc;
    return true;
}

bool config_file_glob(const char *pattern, char ***paths, size_t *count)
{
    glob_t found = {.gl_pathc = 0};
    bool has_wildcard = strpbrk(pattern, "*?[") != NULL;
    int code = glob(pattern, has_wildcard ? 0 : GLOB_NOCHECK, NULL, &found);
    bool good = code == GLOB_NOMATCH;
    *paths = NULL;
    *count = 0;
    if (code == 0)
        good = copy_paths(&found, paths, count);
    globfree(&found);
    return good;
}

void config_file_free_paths(char **paths, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        free(paths[i]);
    free(paths);
}

char *config_file_resolve(const char *from, const char *path)
{
    const char *slash = strrchr(from, '/');
    if (path[0] == '/' || !slash)
        return strdup(path);
    size_t folder = (size_t)(slash - from) + 1, length = strlen(path);
    char *whole = malloc(folder + length + 1);
    if (!whole)
        return NULL;
    memcpy(whole, from, folder);
    memcpy(whole + folder, path, length + 1);
    return whole;
}
