/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "service/store/store_read.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#define FILE_MODE 0600
#define BUSY_MS   5000

static int make_file(const char *path)
{
    uv_fs_t request;
    int file = uv_fs_open(NULL, &request, path, UV_FS_O_RDWR | UV_FS_O_CREAT | UV_FS_O_EXCL, FILE_MODE, NULL);
    uv_fs_req_cleanup(&request);
    if (file < 0)
        return file;
    (void)uv_fs_close(NULL, &request, file, NULL);
    uv_fs_req_cleanup(&request);
    return 0;
}

static void remove_file(const char *path)
{
    uv_fs_t request;
    (void)uv_fs_unlink(NULL, &request, path, NULL);
    uv_fs_req_cleanup(&request);
}

/* Copies in one step: the copy is a snapshot, and the writer continues meanwhile. */
static int copy(sqlite3 *from, sqlite3 *to)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (!backup)
        return sqlite3_errcode(to);
    int code = sqlite3_backup_step(backup, -1);
    int ended = sqlite3_backup_finish(backup);
    if (code != SQLITE_DONE)
        return code;
    /* Makes the copy a single file without a log. */
    return ended ? ended : sqlite3_exec(to, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL);
}

static int copy_store(const char *path, const char *to)
{
    sqlite3 *source = NULL, *copied = NULL;
    int code = sqlite3_open_v2(path, &source, SQLITE_OPEN_READWRITE, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(source, BUSY_MS);
    if (code == SQLITE_OK)
        code = sqlite3_open_v2(to, &copied, SQLITE_OPEN_READWRITE, NULL);
    if (code == SQLITE_OK)
        code = copy(source, copied);
    (void)sqlite3_close(copied);
    (void)sqlite3_close(source);
    return code;
}

bool store_backup(const char *path, const char *to, char error[static STORE_ERROR_SIZE])
{
    char part[4200];
    uv_fs_t request;
    error[0] = '\0';
    if ((size_t)snprintf(part, sizeof part, "%s.part", to) >= sizeof part) {
        (void)snprintf(error, STORE_ERROR_SIZE, "the name is too long");
        return false;
    }
    int made = make_file(part);
    if (made != 0) {
        (void)snprintf(error, STORE_ERROR_SIZE, "%.*s: %s", CHARACTERS(part, 200), uv_strerror(made));
        return false;
    }
    int code = copy_store(path, part);
    int moved = code == SQLITE_OK ? uv_fs_rename(NULL, &request, part, to, NULL) : 0;
    if (code == SQLITE_OK)
        uv_fs_req_cleanup(&request);
    if (code == SQLITE_OK && moved == 0)
        return true;
    (void)snprintf(error, STORE_ERROR_SIZE, "%s", code != SQLITE_OK ? sqlite3_errstr(code) : uv_strerror(moved));
    remove_file(part);
    return false;
}
