/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "service/symbols/server_internal.h"
#include "service/symbols/url.h"

#define PARTIAL_FOLDER      ".kdnetd-partial"
#define PARTIAL_OLD_SECONDS ((int64_t)24 * 3600)
#define CABINET_HEAD        12
#define HTTP_MARK           ".kdnetd-http" /* STORE_HTTP_MARK of store.h */

/* LLVM, "The MSF File Format": the superblock. */
static const uint8_t pdb_magic[32] = "Microsoft C/C++ MSF 7.00\r\n\x1a"
                                     "DS";
/* Microsoft, "Cabinet format": CFHEADER; the size of the whole is at 8. */
static const uint8_t cabinet_magic[4] = {'M', 'S', 'C', 'F'};

/* Names of partial files: process id, a random number (process ids are reused), count. */
static uv_once_t once = UV_ONCE_INIT;
static uint32_t token;
static atomic_uint partials;

static void make_token(void)
{
    if (uv_random(NULL, NULL, &token, sizeof(token), 0, NULL) != 0) {
        token = (uint32_t)uv_hrtime();
    }
}

static uint32_t get_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

bool symbol_server_join(char *path, size_t size, const char *a, const char *b, const char *c, const char *d)
{
    int length = snprintf(path, size, "%s/%s%s%s%s%s", a, b, c != NULL ? "/" : "", c != NULL ? c : "",
                          d != NULL ? "/" : "", d != NULL ? d : "");
    return length > 0 && (size_t)length < size;
}

static int make_folder(const char *path)
{
    uv_fs_t request;
    int result = uv_fs_mkdir(NULL, &request, path, 0755, NULL);
    uv_fs_req_cleanup(&request);
    return result == UV_EEXIST ? 0 : result;
}

static int make_folders(const char *path)
{
    char part[PATH_SIZE];
    size_t length = strlen(path);
    if (length >= sizeof(part)) {
        return UV_ENAMETOOLONG;
    }
    memcpy(part, path, length + 1);
    for (size_t i = 1; i < length; i++) {
        if (part[i] != '/') {
            continue;
        }
        part[i] = '\0';
        (void)make_folder(part); /* only the last result matters */
        part[i] = '/';
    }
    return make_folder(part);
}

static void remove_file(const char *path)
{
    uv_fs_t request;
    (void)uv_fs_unlink(NULL, &request, path, NULL);
    uv_fs_req_cleanup(&request);
}

static bool is_old(const char *path)
{
    uv_fs_t request;
    uv_timeval64_t now;
    bool old = uv_fs_stat(NULL, &request, path, NULL) == 0 && uv_gettimeofday(&now) == 0 &&
               now.tv_sec - (int64_t)request.statbuf.st_mtim.tv_sec > PARTIAL_OLD_SECONDS;
    uv_fs_req_cleanup(&request);
    return old;
}

/* Whether a partial file is abandoned: not of this process, and unchanged for a day. A store may be shared with
 * other computers, so process ids prove nothing, only age does. */
static bool is_stale(const char *path, const char *name)
{
    int process = 0;
    uint32_t its_token = 0;
    unsigned count = 0;
    bool ours = sscanf(name, "%d-%" SCNx32 "-%u", &process, &its_token, &count) == 3 && /* NOLINT(cert-err34-c) */
                its_token == token;
    return !ours && is_old(path);
}

static void remove_stale(const char *folder)
{
    uv_fs_t request;
    uv_dirent_t entry;
    char path[PATH_SIZE];
    if (uv_fs_scandir(NULL, &request, folder, 0, NULL) >= 0) {
        while (uv_fs_scandir_next(&request, &entry) == 0) {
            if (symbol_server_join(path, sizeof(path), folder, entry.name, NULL, NULL) && is_stale(path, entry.name)) {
                remove_file(path);
            }
        }
    }
    uv_fs_req_cleanup(&request);
}

int symbol_server_store_open(struct symbol_server_state *state)
{
    char folder[PATH_SIZE];
    uv_once(&once, make_token);
    if (!symbol_server_join(folder, sizeof(folder), state->directory, PARTIAL_FOLDER, NULL, NULL)) {
        return UV_ENAMETOOLONG;
    }
    int result = make_folders(state->directory);
    if (result == 0) {
        remove_stale(folder);
    }
    return result;
}

static enum body_kind kind_of(const uint8_t *head, size_t length, uint64_t size)
{
    if (length >= HEAD_SIZE && memcmp(head, pdb_magic, sizeof(pdb_magic)) == 0) {
        uint64_t block = get_u32(head + 32), blocks = get_u32(head + 40);
        bool sane = block >= 512 && block <= 65536 && (block & (block - 1)) == 0 && blocks > 0;
        return sane && size >= block * blocks ? BODY_PDB : BODY_NONE;
    }
    if (length >= CABINET_HEAD && memcmp(head, cabinet_magic, sizeof(cabinet_magic)) == 0) {
        uint32_t whole = get_u32(head + 8);
        return whole >= HEAD_SIZE && size >= whole ? BODY_CABINET : BODY_NONE;
    }
    return BODY_NONE;
}

static enum body_kind kind_of_file(const char *path)
{
    uint8_t head[HEAD_SIZE];
    uv_buf_t buffer = uv_buf_init((char *)head, sizeof(head));
    uv_fs_t request;
    enum body_kind kind = BODY_NONE;
    /* Checked before opening: opening a pipe of that name would block. */
    bool regular = uv_fs_stat(NULL, &request, path, NULL) == 0 && (request.statbuf.st_mode & S_IFMT) == S_IFREG;
    uint64_t size = regular ? request.statbuf.st_size : 0;
    uv_fs_req_cleanup(&request);
    if (!regular) {
        return BODY_NONE;
    }
    uv_file file = uv_fs_open(NULL, &request, path, UV_FS_O_RDONLY, 0, NULL);
    uv_fs_req_cleanup(&request);
    if (file < 0) {
        return BODY_NONE;
    }
    int length = uv_fs_read(NULL, &request, file, &buffer, 1, 0, NULL);
    uv_fs_req_cleanup(&request);
    if (length > 0) {
        kind = kind_of(head, (size_t)length, size);
    }
    (void)uv_fs_close(NULL, &request, file, NULL);
    uv_fs_req_cleanup(&request);
    return kind;
}

bool symbol_server_store_find(const struct symbol_server_state *state, const struct wanted *wanted, char *path,
                              size_t size)
{
    return (symbol_server_join(path, size, state->directory, wanted->name, wanted->guidage, wanted->name) &&
            kind_of_file(path) == BODY_PDB) ||
           (symbol_server_join(path, size, state->directory, wanted->name, wanted->guidage, wanted->packed) &&
            kind_of_file(path) == BODY_CABINET);
}

bool symbol_server_store_has_pointer(const struct symbol_server_state *state, const struct wanted *wanted)
{
    char path[PATH_SIZE];
    uv_fs_t request;
    if (!symbol_server_join(path, sizeof(path), state->directory, wanted->name, wanted->guidage, "file.ptr")) {
        return false;
    }
    int result = uv_fs_stat(NULL, &request, path, NULL);
    uv_fs_req_cleanup(&request);
    return result == 0;
}

void symbol_server_body_init(struct body *body, uint64_t limit, bool pointer)
{
    memset(body, 0, sizeof(*body));
    body->pointer = pointer;
    body->limit = limit;
    body->file = -1;
    body->problem = ANSWER_TAKEN;
}

static int open_partial(const struct symbol_server_state *state, struct body *body)
{
    char folder[PATH_SIZE], name[64];
    uv_fs_t request;
    (void)snprintf(name, sizeof(name), "%d-%08" PRIx32 "-%u", (int)uv_os_getpid(), token,
                   atomic_fetch_add(&partials, 1));
    if (!symbol_server_join(folder, sizeof(folder), state->directory, PARTIAL_FOLDER, NULL, NULL) ||
        !symbol_server_join(body->path, sizeof(body->path), folder, name, NULL, NULL)) {
        return UV_ENAMETOOLONG;
    }
    int result = make_folder(folder);
    if (result == 0) {
        result = uv_fs_open(NULL, &request, body->path, UV_FS_O_WRONLY | UV_FS_O_CREAT | UV_FS_O_EXCL, 0644, NULL);
        uv_fs_req_cleanup(&request);
    }
    if (result >= 0) {
        body->file = result;
    }
    return result < 0 ? result : 0;
}

static int write_all(uv_file file, const uint8_t *data, size_t length)
{
    while (length > 0) {
        uv_fs_t request;
        uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)data, (unsigned)(length > 1 << 20 ? 1 << 20 : length));
        int written = uv_fs_write(NULL, &request, file, &buffer, 1, -1, NULL);
        uv_fs_req_cleanup(&request);
        if (written <= 0) {
            return written < 0 ? written : UV_EIO;
        }
        data += written;
        length -= (size_t)written;
    }
    return 0;
}

/* Whether the head so far begins like a PDB or a cabinet. */
static bool may_become(const struct body *body)
{
    size_t pdb = body->head_length < sizeof(pdb_magic) ? body->head_length : sizeof(pdb_magic);
    size_t cabinet = body->head_length < sizeof(cabinet_magic) ? body->head_length : sizeof(cabinet_magic);
    return memcmp(body->head, pdb_magic, pdb) == 0 || memcmp(body->head, cabinet_magic, cabinet) == 0;
}

static bool stop_body(struct body *body, enum answer problem, int error)
{
    body->problem = problem;
    body->error = error;
    return false;
}

bool symbol_server_body_take(const struct symbol_server_state *state, struct body *body, const uint8_t *data,
                             size_t length)
{
    size_t room = HEAD_SIZE - body->head_length;
    size_t part = length < room ? length : room;
    memcpy(body->head + body->head_length, data, part);
    body->head_length += part;
    if (length > body->limit - body->length) {
        body->length = body->limit;
        return stop_body(body, ANSWER_DENIED, UV_EFBIG);
    }
    body->length += length;
    if (body->pointer) {
        return true;
    }
    if (!may_become(body)) {
        return stop_body(body, ANSWER_DENIED, 0);
    }
    int error = body->file < 0 ? open_partial(state, body) : 0;
    if (error == 0) {
        error = write_all(body->file, data, length);
    }
    return error == 0 || stop_body(body, ANSWER_LOCAL, error);
}

enum body_kind symbol_server_body_kind(const struct body *body)
{
    return kind_of(body->head, body->head_length, body->length);
}

static int close_body(struct body *body, bool sync)
{
    uv_fs_t request;
    int synced = 0;
    if (body->file < 0) {
        return UV_EBADF;
    }
    if (sync) {
        synced = uv_fs_fsync(NULL, &request, body->file, NULL);
        uv_fs_req_cleanup(&request);
    }
    int closed = uv_fs_close(NULL, &request, body->file, NULL);
    uv_fs_req_cleanup(&request);
    body->file = -1;
    return synced < 0 ? synced : closed;
}

/* Marks files from http://, before the file appears. */
static int put_mark(const char *folder)
{
    char path[PATH_SIZE];
    uv_fs_t request;
    if (!symbol_server_join(path, sizeof(path), folder, HTTP_MARK, NULL, NULL)) {
        return UV_ENAMETOOLONG;
    }
    uv_file file = uv_fs_open(NULL, &request, path, UV_FS_O_WRONLY | UV_FS_O_CREAT, 0644, NULL);
    uv_fs_req_cleanup(&request);
    if (file >= 0) {
        (void)uv_fs_close(NULL, &request, file, NULL);
        uv_fs_req_cleanup(&request);
    }
    return file < 0 ? file : 0;
}

int symbol_server_body_keep(const struct symbol_server_state *state, struct body *body, const struct wanted *wanted)
{
    char folder[PATH_SIZE], path[PATH_SIZE];
    uv_fs_t request;
    const char *name = symbol_server_body_kind(body) == BODY_CABINET ? wanted->packed : wanted->name;
    if (!symbol_server_join(folder, sizeof(folder), state->directory, wanted->name, wanted->guidage, NULL) ||
        !symbol_server_join(path, sizeof(path), folder, name, NULL, NULL)) {
        symbol_server_body_drop(body);
        return UV_ENAMETOOLONG;
    }
    int result = close_body(body, true);
    if (result == 0) {
        result = make_folders(folder);
    }
    if (result == 0 && symbol_url_is_insecure(state->url)) {
        result = put_mark(folder);
    }
    if (result == 0) {
        result = uv_fs_rename(NULL, &request, body->path, path, NULL);
        uv_fs_req_cleanup(&request);
    }
    if (result != 0) {
        remove_file(body->path);
    }
    body->path[0] = '\0';
    return result;
}

void symbol_server_body_drop(struct body *body)
{
    (void)close_body(body, false);
    if (body->path[0] != '\0') {
        remove_file(body->path);
        body->path[0] = '\0';
    }
}
