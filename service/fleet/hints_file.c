/* SPDX-License-Identifier: Apache-2.0 */
#include "service/fleet/hints_file.h"
#include "kdnet/crypto/crypto.h"
#include "service/fleet/ending.h"
#include "service/platform/platform.h"
#include "service/runtime/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_LINE    "kdnetd-hints 1\n"
#define CHECK_LENGTH  16U /* characters */
#define HINT_LINE_MAX (CONFIG_NAME_SIZE + HINTS_TEXT_SIZE + CHECK_LENGTH + 3U)
#define LOOK_NS       UINT64_C(500000000) /* interval of looking for changes */
#define BUFFER_SIZE   ((size_t)64 << 10)
#define AGAIN_S       10U   /* delay until a failed write is retried */
#define SLACK_LINES   1000U /* old lines that do not justify a new file */
#define SIZE_MAX_MIB  UINT64_C(1024)
#define NS_A_SECOND   UINT64_C(1000000000)
#define PATH_SIZE     4096U

struct hints_file {
    struct hints *hints;
    char path[PATH_SIZE], new_path[PATH_SIZE];
    uv_thread_t thread;
    uv_mutex_t lock;
    uv_cond_t changed;
    bool stopping, ended, look, held; /* by `lock`; look: targets have come */
    size_t removed;                   /* value of hints_removed when the file was last rewritten */
    size_t lines;                     /* in the file, old ones too */
    uint64_t again_s;                 /* when to write the file anew; 0: not needed */
    bool in_trouble;
};

static void check_of(const char *text, size_t length, char out[static CHECK_LENGTH + 1])
{
    uint8_t digest[KDNET_SHA256_LENGTH];
    kdnet_sha256_pair((const uint8_t *)FIRST_LINE, sizeof FIRST_LINE - 1, (const uint8_t *)text, length, digest);
    for (size_t i = 0; i < CHECK_LENGTH / 2; ++i)
        (void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

size_t hints_file_line(const char *name, const struct hint *hint, char *out, size_t size)
{
    char text[HINTS_TEXT_SIZE], check[CHECK_LENGTH + 1];
    if (hint_format(hint, text) == 0)
        return 0;
    int length = snprintf(out, size, "%s %s", name, text);
    if (length <= 0 || (size_t)length + CHECK_LENGTH + 2 >= size)
        return 0;
    check_of(out, (size_t)length, check);
    return (size_t)length + (size_t)snprintf(out + length, size - (size_t)length, " %s\n", check);
}

static bool take_line(struct hints *hints, const char *line, size_t length)
{
    char check[CHECK_LENGTH + 1], name[CONFIG_NAME_SIZE];
    struct hint hint;
    if (length <= CHECK_LENGTH + 1 || length >= HINT_LINE_MAX || line[length - CHECK_LENGTH - 1] != ' ')
        return false;
    size_t rest = length - CHECK_LENGTH - 1;
    check_of(line, rest, check);
    const char *space = memchr(line, ' ', rest);
    if (memcmp(check, line + rest + 1, CHECK_LENGTH) != 0 || !space || space == line ||
        (size_t)(space - line) >= sizeof name)
        return false;
    memcpy(name, line, (size_t)(space - line));
    name[space - line] = '\0';
    return hint_parse(space + 1, rest - (size_t)(space - line) - 1, &hint) && hints_offer(hints, name, &hint, false);
}

size_t hints_file_parse(struct hints *hints, const char *text, size_t length, size_t *passed_over)
{
    size_t first = sizeof FIRST_LINE - 1, taken = 0;
    *passed_over = 0;
    if (length < first || memcmp(text, FIRST_LINE, first) != 0) {
        *passed_over = length > 0;
        return 0;
    }
    for (const char *line = text + first, *end; line < text + length; line = end + 1) {
        end = memchr(line, '\n', (size_t)(text + length - line));
        if (!end) {
            ++*passed_over;
            break;
        }
        if (take_line(hints, line, (size_t)(end - line)))
            ++taken;
        else
            ++*passed_over;
    }
    return taken;
}

/* Reads at most `limit` bytes of a regular file. NULL: there is none, or memory is out. */
static char *read_file(const char *path, uint64_t limit, size_t *length)
{
    uv_fs_t request;
    char *text = NULL;
    uv_file file = (uv_file)uv_fs_open(NULL, &request, path, platform_read_flags(), 0, NULL);
    uv_fs_req_cleanup(&request);
    *length = 0;
    if (file < 0)
        return NULL;
    bool regular = uv_fs_fstat(NULL, &request, file, NULL) == 0 && (request.statbuf.st_mode & 0170000U) == 0100000U;
    uint64_t size = regular ? request.statbuf.st_size : 0;
    uv_fs_req_cleanup(&request);
    size = size < limit ? size : limit;
    text = regular ? malloc((size_t)size + 1) : NULL;
    while (text && *length < size) {
        uv_buf_t buffer = uv_buf_init(text + *length, (unsigned)(size - *length));
        ssize_t got = uv_fs_read(NULL, &request, file, &buffer, 1, (int64_t)*length, NULL);
        uv_fs_req_cleanup(&request);
        if (got <= 0)
            break;
        *length += (size_t)got;
    }
    (void)uv_fs_close(NULL, &request, file, NULL);
    uv_fs_req_cleanup(&request);
    return text;
}

static bool append(uv_file file, const char *text, size_t length)
{
    uv_fs_t request;
    size_t done = 0;
    while (done < length) {
        uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)(text + done), (unsigned)(length - done));
        ssize_t wrote = uv_fs_write(NULL, &request, file, &buffer, 1, -1, NULL);
        uv_fs_req_cleanup(&request);
        if (wrote <= 0)
            return false;
        done += (size_t)wrote;
    }
    return true;
}

/* Flushes and closes. */
static bool finish(uv_file file, bool good)
{
    uv_fs_t request;
    good = good && uv_fs_fsync(NULL, &request, file, NULL) == 0;
    uv_fs_req_cleanup(&request);
    good = uv_fs_close(NULL, &request, file, NULL) == 0 && good;
    uv_fs_req_cleanup(&request);
    return good;
}

static uv_file open_to_append(const char *path)
{
    uv_fs_t request;
    uv_file file = (uv_file)uv_fs_open(NULL, &request, path, platform_append_flags(), 0640, NULL);
    uv_fs_req_cleanup(&request);
    return file;
}

static void remove_file(const char *path)
{
    uv_fs_t request;
    (void)uv_fs_unlink(NULL, &request, path, NULL);
    uv_fs_req_cleanup(&request);
}

/* Collects lines, and writes them when there are many. */
struct collector {
    uv_file file;
    size_t length, lines;
    bool good;
    char text[BUFFER_SIZE];
};

static void collect(struct collector *collector, const char *name, const struct hint *hint)
{
    if (collector->length + HINT_LINE_MAX > sizeof collector->text) {
        collector->good = collector->good && append(collector->file, collector->text, collector->length);
        collector->length = 0;
    }
    size_t added = hints_file_line(name, hint, collector->text + collector->length,
                                   sizeof collector->text - collector->length);
    collector->length += added;
    collector->lines += added > 0;
}

static bool end_collecting(struct collector *collector)
{
    collector->good = collector->good && append(collector->file, collector->text, collector->length);
    return finish(collector->file, collector->good);
}

static bool write_anew(struct hints_file *file, struct collector *collector, uint64_t now_s)
{
    char name[CONFIG_NAME_SIZE];
    struct hint hint;
    uint32_t at = 0;
    uv_fs_t request;
    while (hints_next_due(file->hints, HINTS_TO_KEEP, now_s, name, &hint)) /* all are written, these too */
        continue;
    remove_file(file->new_path);
    *collector = (struct collector){.file = open_to_append(file->new_path), .good = true};
    if (collector->file < 0)
        return false;
    collector->length = sizeof FIRST_LINE - 1;
    memcpy(collector->text, FIRST_LINE, collector->length);
    file->removed = hints_removed(file->hints);
    while (hints_each(file->hints, &at, name, &hint))
        collect(collector, name, &hint);
    bool good = end_collecting(collector) && uv_fs_rename(NULL, &request, file->new_path, file->path, NULL) == 0;
    uv_fs_req_cleanup(&request);
    if (good)
        file->lines = collector->lines;
    return good;
}

static bool append_due(struct hints_file *file, struct collector *collector, uint64_t now_s)
{
    char name[CONFIG_NAME_SIZE];
    struct hint hint;
    *collector = (struct collector){.file = -1, .good = true};
    while (hints_next_due(file->hints, HINTS_TO_KEEP, now_s, name, &hint)) {
        if (collector->file < 0 && (collector->file = open_to_append(file->path)) < 0)
            return false;
        collect(collector, name, &hint);
    }
    if (collector->file < 0)
        return true;
    bool good = end_collecting(collector);
    file->lines += collector->lines;
    return good;
}

static void say_trouble(struct hints_file *file, bool good)
{
    if (file->in_trouble == !good)
        return;
    file->in_trouble = !good;
    struct log_line line;
    log_begin(&line, good ? CONFIG_LOG_NOTICE : CONFIG_LOG_WARNING,
              good ? "the file of address hints can be written again"
                   : "the file of address hints cannot be written, and is tried again; until then a restart finds "
                     "halted machines by their next poke");
    log_text(&line, "path", file->path);
    log_end(&line);
}

static void look(struct hints_file *file, struct collector *collector)
{
    uint64_t now_s = uv_hrtime() / NS_A_SECOND + 1;
    bool good = true, tried = false;
    if (file->again_s == 0) {
        good = append_due(file, collector, now_s);
        tried = collector->lines > 0 || !good;
        if (!good || file->removed != hints_removed(file->hints) ||
            file->lines > 2 * hints_count(file->hints) + SLACK_LINES)
            file->again_s = now_s;
    }
    if (file->again_s != 0 && now_s >= file->again_s) {
        good = write_anew(file, collector, now_s);
        tried = true;
        file->again_s = good ? 0 : now_s + AGAIN_S;
    }
    if (tried)
        say_trouble(file, good);
}

static void read_hints(struct hints_file *file, size_t targets)
{
    size_t length = 0, passed_over = 0;
    uint64_t limit = (uint64_t)HINT_LINE_MAX * (2 * targets + 2 * SLACK_LINES);
    char *text = read_file(file->path, limit < SIZE_MAX_MIB << 20 ? limit : SIZE_MAX_MIB << 20, &length);
    file->lines = text ? hints_file_parse(file->hints, text, length, &passed_over) : 0;
    file->again_s = !text || length == 0 || passed_over > 0; /* drops damaged, old and unknown lines */
    free(text);
}

static void run(void *user)
{
    struct hints_file *file = user;
    struct collector *collector = malloc(sizeof *collector);
    bool stopping = false;
    while (!stopping) {
        uv_mutex_lock(&file->lock);
        if (!file->stopping)
            (void)uv_cond_timedwait(&file->changed, &file->lock, LOOK_NS);
        bool reads = file->look;
        bool held = file->held;
        stopping = file->stopping;
        file->look = false;
        uv_mutex_unlock(&file->lock);
        if (reads)
            read_hints(file, hints_targets(file->hints));
        if (collector && !held)
            look(file, collector);
    }
    free(collector);
    ending_say(&file->lock, &file->changed, &file->ended);
}

struct hints_file *hints_file_open(struct hints *hints, const char *path)
{
    struct hints_file *file = calloc(1, sizeof *file);
    if (!file)
        return NULL;
    file->hints = hints;
    int length = snprintf(file->path, sizeof file->path, "%s", path);
    bool fits = length > 0 && snprintf(file->new_path, sizeof file->new_path, "%s.new", path) < (int)PATH_SIZE;
    if (!fits || !ending_init(&file->lock, &file->changed)) {
        free(file);
        return NULL;
    }
    hints_want(hints, HINTS_TO_KEEP);
    read_hints(file, hints_targets(hints));
    if (uv_thread_create(&file->thread, run, file) == 0)
        return file;
    uv_cond_destroy(&file->changed);
    uv_mutex_destroy(&file->lock);
    free(file);
    return NULL;
}

void hints_file_hold(struct hints_file *file, bool held)
{
    if (!file)
        return;
    uv_mutex_lock(&file->lock);
    file->held = held;
    uv_mutex_unlock(&file->lock);
}

char *hints_file_text(struct hints *hints, uint64_t since_us, size_t *length)
{
    size_t room = BUFFER_SIZE;
    char name[CONFIG_NAME_SIZE], *text = malloc(room);
    struct hint hint;
    uint32_t at = 0;
    if (!text)
        return NULL;
    memcpy(text, FIRST_LINE, *length = sizeof FIRST_LINE - 1);
    while (hints_each(hints, &at, name, &hint)) {
        if (hint.time_us < since_us)
            continue;
        if (*length + HINT_LINE_MAX > room) {
            char *larger = realloc(text, room *= 2);
            if (!larger)
                break;
            text = larger;
        }
        *length += hints_file_line(name, &hint, text + *length, room - *length);
    }
    return text;
}

void hints_file_look(struct hints_file *file)
{
    if (!file)
        return;
    uv_mutex_lock(&file->lock);
    file->look = true;
    uv_cond_signal(&file->changed);
    uv_mutex_unlock(&file->lock);
}

bool hints_file_close(struct hints_file *file, unsigned wait_ms)
{
    if (!file)
        return true;
    if (!ending_await(&file->lock, &file->changed, &file->stopping, &file->ended, wait_ms))
        return false;
    (void)uv_thread_join(&file->thread);
    uv_cond_destroy(&file->changed);
    uv_mutex_destroy(&file->lock);
    free(file);
    return true;
}
