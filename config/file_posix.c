/* SPDX-License-Identifier: Apache-2.0 */
#include "config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#ifdef __linux__
#include <linux/magic.h>
#include <sys/vfs.h>
#endif
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

/* Other files than regular ones may never end, may block, or may act when opened. */
static bool is_ordinary(const struct stat *status, char *error)
{
    if (S_ISREG(status->st_mode))
        return true;
    if (S_ISDIR(status->st_mode))
        return wrong(error, "is a directory", "name a file in it");
    const char *what = "is not an ordinary file";
    if (S_ISFIFO(status->st_mode))
        what = "is a pipe";
    else if (S_ISSOCK(status->st_mode))
        what = "is a socket";
    else if (S_ISCHR(status->st_mode) || S_ISBLK(status->st_mode))
        what = "is a device";
    return wrong(error, what, "write its content into a file, and name that one");
}

/* Files of /proc and /sys look ordinary; some of them wait, or never end. */
static bool is_on_disk(int descriptor, char *error)
{
#ifdef __linux__
    struct statfs system;
    if (fstatfs(descriptor, &system) == 0 && (system.f_type == PROC_SUPER_MAGIC || system.f_type == SYSFS_MAGIC ||
                                              system.f_type == DEBUGFS_MAGIC || system.f_type == TRACEFS_MAGIC))
        return wrong(error, "is made by the kernel and is no file on a disk",
                     "write its content into a file, and name that one");
#else
    (void)descriptor;
    (void)error;
#endif
    return true;
}

/* Checks the type before opening, because opening a device can act, and after, because the file may have been
 * replaced. */
static int open_ordinary(const char *path, size_t limit, struct stat *status, char *error)
{
    if (stat(path, status) != 0) {
        (void)cannot_read(error, errno);
        return -1;
    }
    if (!is_ordinary(status, error))
        return -1;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (descriptor < 0) {
        (void)cannot_read(error, errno);
        return -1;
    }
    bool good = fstat(descriptor, status) == 0 || cannot_read(error, errno);
    good = good && is_ordinary(status, error) && is_on_disk(descriptor, error);
    if (good && (uint64_t)status->st_size > limit)
        good = too_large(error, limit);
    if (good)
        return descriptor;
    (void)close(descriptor);
    return -1;
}

bool config_file_read(const char *path, size_t limit, struct config_file *out, char error[static CONFIG_ERROR_SIZE])
{
    struct config_file file = {.text = NULL};
    struct stat status;
    int descriptor = open_ordinary(path, limit, &status, error);
    if (descriptor < 0)
        return false;
    size_t capacity = status.st_size > 0 ? (size_t)status.st_size + 1 : FIRST_CAPACITY;
    bool good = read_all(descriptor, limit, capacity, &file, error);
    file.id = (struct config_file_id){(uint64_t)status.st_dev, (uint64_t)status.st_ino};
    file.mode = (unsigned)status.st_mode & 07777;
    file.open_to_others = (status.st_mode & S_IRWXO) != 0;
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

void config_file_tell_open(const struct config_file *file, const char *path, char text[static CONFIG_ERROR_SIZE])
{
    /* Half a path would be another file's. */
    (void)snprintf(text, CONFIG_ERROR_SIZE, "(mode %04o); chmod o-rwx %s", file->mode,
                   strlen(path) < CONFIG_ERROR_SIZE - 64 ? path : "FILE");
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
