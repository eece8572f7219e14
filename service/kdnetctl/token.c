/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl token: adds a new token to the file that http_tokens names. */
#include "config/remedies.h"
#include "service/kdnetctl/ask.h"
#include "service/kdnetctl/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPTION_ROLE = 1, OPTION_FILE };

#define FILE_DEFAULT KDNETD_ETC "/kdnetd/tokens"
#define NAME_MOST    64
#define TOKEN_BYTES  32
#define FILE_MOST    ((size_t)1 << 20)

struct token_file {
    const char *path;
    char *text;
    size_t length;
    bool existed;
    struct stat status;
};

static bool is_name(const char *text)
{
    return text[0] != '\0' && strlen(text) <= NAME_MOST &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == strlen(text);
}

static bool make_token(char out[static 2 * TOKEN_BYTES + 1])
{
    unsigned char bytes[TOKEN_BYTES];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    for (size_t i = 0; i < sizeof bytes; ++i)
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    explicit_bzero(bytes, sizeof bytes);
    return true;
}

static bool read_file(struct token_file *file)
{
    int descriptor = open(file->path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return errno == ENOENT;
    file->existed = fstat(descriptor, &file->status) == 0;
    file->text = calloc(1, FILE_MOST + 1);
    ssize_t count = file->text ? read(descriptor, file->text, FILE_MOST) : -1;
    (void)close(descriptor);
    if (count < 0)
        return false;
    file->length = (size_t)count;
    errno = EFBIG;
    return file->existed && file->length < FILE_MOST;
}

static bool has_name(const struct token_file *file, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = file->text; line; line = strchr(line, '\n')) {
        line += strspn(line, "\n \t");
        if (strncmp(line, name, length) == 0 && (line[length] == ' ' || line[length] == '\t'))
            return true;
    }
    return false;
}

static bool write_whole(int descriptor, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t count = write(descriptor, text, length);
        if (count < 0 && errno != EINTR)
            return false;
        text += count > 0 ? count : 0;
        length -= count > 0 ? (size_t)count : 0;
    }
    return true;
}

/* Writes a new file and renames it over the old one: readers see one or the other. */
static bool replace_file(const struct token_file *file, const char *line)
{
    char beside[4096];
    if ((size_t)snprintf(beside, sizeof beside, "%s.XXXXXX", file->path) >= sizeof beside) {
        errno = ENAMETOOLONG;
        return false;
    }
    int descriptor = mkstemp(beside);
    if (descriptor < 0)
        return false;
    const char *end = file->length > 0 && file->text[file->length - 1] != '\n' ? "\n" : "";
    bool good = write_whole(descriptor, file->text, file->length) && write_whole(descriptor, end, strlen(end)) &&
                write_whole(descriptor, line, strlen(line));
    if (good && file->existed)
        good = fchmod(descriptor, file->status.st_mode & 07777) == 0 &&
               (fchown(descriptor, file->status.st_uid, file->status.st_gid) == 0 || geteuid() != 0);
    good = good && fsync(descriptor) == 0;
    int error = errno;
    (void)close(descriptor);
    if (good && rename(beside, file->path) == 0)
        return true;
    error = good ? errno : error;
    (void)unlink(beside);
    errno = error;
    return false;
}

static int add(const struct ask *ask, struct token_file *file, const char *name, const char *role)
{
    char token[2 * TOKEN_BYTES + 1], line[NAME_MOST + 2 * TOKEN_BYTES + 16];
    if (!read_file(file)) {
        command_say(ask->command, "%s cannot be read: %s", file->path, strerror(errno));
        return COMMAND_FAILED;
    }
    if (file->existed && has_name(file, name)) {
        command_say(ask->command, "%s has a token of %s already; delete its line first, or take another name",
                    file->path, name);
        return COMMAND_FAILED;
    }
    if (!make_token(token)) {
        command_say(ask->command, "OpenSSL has no random bytes; no token was made");
        return COMMAND_FAILED;
    }
    (void)snprintf(line, sizeof line, "%s %s %s\n", name, role, token);
    if (!replace_file(file, line)) {
        command_say(ask->command, "%s cannot be written: %s", file->path, strerror(errno));
        return COMMAND_FAILED;
    }
    (void)puts(token);
    (void)fputs("Added to ", stderr);
    command_print_argument(stderr, file->path);
    (void)fputs(". kdnetd must be able to read it (" REMEDY_CLOSE_FILE ") and to know it\n(http_tokens: \"", stderr);
    command_print_argument(stderr, file->path);
    (void)fputs("\"); then: " REMEDY_RELOAD "\n", stderr);
    explicit_bzero(token, sizeof token);
    explicit_bzero(line, sizeof line);
    return COMMAND_OK;
}

static int run_token(int count, char **arguments)
{
    struct ask ask;
    if (!ask_parse(&ask, &command_token, count, arguments, 2, 2))
        return ask.status;
    const char *role = ask_value(&ask, OPTION_ROLE), *path = ask_value(&ask, OPTION_FILE), *name = ask.words[1];
    struct token_file file = {.path = path ? path : FILE_DEFAULT};
    if (strcmp(ask.words[0], "add") != 0)
        return command_misuse(&command_token, "only `token add NAME` is known, not", ask.words[0]);
    if (!is_name(name))
        return command_misuse(&command_token, "a name has 1 to 64 of A-Z a-z 0-9 . _ -; this has not:", name);
    role = role ? role : "read";
    if (strcmp(role, "read") != 0 && strcmp(role, "act") != 0)
        return command_misuse(&command_token, "--role is read or act, not", role);
    int status = add(&ask, &file, name, role);
    if (file.text)
        explicit_bzero(file.text, file.length);
    free(file.text);
    return ask_end(&ask, status);
}

static const struct command_option options[] = {
    {"role", "ROLE", OPTION_ROLE, "read (the default), or act: also release, reboot, read, reload, drain"},
    {"file", "FILE", OPTION_FILE, "the file that http_tokens names (" FILE_DEFAULT ")"},
    {0}};

const struct command command_token = {
    .name = "token",
    .summary = "make a token for the HTTP interface",
    .arguments = "add NAME [--role read|act] [--file FILE]",
    .text = "Makes a fresh random token, adds it to the file of tokens, and prints it. Give it to whoever asks kdnetd\n"
            "over TCP, in a file for --token-file.\n",
    .options = options,
    .exits = "0 success, 1 the file cannot be changed or has the name already, 2 wrong usage.",
    .run = run_token};
