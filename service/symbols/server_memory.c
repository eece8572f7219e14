/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/symbols/server_internal.h"
#include "kdnet/base/hash.h"

#define NEGATIVE_FILE ".kdnetd-negative"
#define CHECK_LENGTH  16 /* hex digits */
#define LINE_SIZE     (64 + NAME_SIZE + GUIDAGE_SIZE + URL_SIZE)
#define FILE_LIMIT    ((long)1 << 20)
#define FAILURES_MAX  16

/* All servers of a store share the file; in this process one thread at a time writes it. A line lost between two
 * processes costs one request. */
static uv_once_t once = UV_ONCE_INIT;
static uv_mutex_t file_mutex;

/* One line of the file: time, file, answer. */
struct negative {
    int64_t time; /* seconds since 1970 */
    char name[NAME_SIZE];
    char guidage[GUIDAGE_SIZE];
    char url[URL_SIZE];
};

static void make_mutex(void)
{
    if (uv_mutex_init(&file_mutex) != 0) {
        abort();
    }
}

bool symbol_server_back_off_holds(const struct back_off *back_off, int64_t now_ms)
{
    /* An answer from the future: the clock was set back, and nothing is known. */
    return back_off->failures > 0 && now_ms >= back_off->since_ms && now_ms < back_off->until_ms;
}

void symbol_server_back_off_add(struct back_off *back_off, int64_t now_ms, int64_t at_least_ms,
                                enum symbol_fetch result, const char *reason)
{
    if (back_off->failures < FAILURES_MAX) {
        back_off->failures++;
    }
    int64_t delay = SYMBOL_SERVER_BACK_OFF_MS << (back_off->failures - 1);
    delay = delay < at_least_ms ? at_least_ms : delay;
    delay = delay < SYMBOL_SERVER_BACK_OFF_MAX_MS ? delay : SYMBOL_SERVER_BACK_OFF_MAX_MS;
    back_off->since_ms = now_ms;
    back_off->until_ms = now_ms + delay;
    back_off->result = result;
    symbol_server_say(back_off->reason, sizeof(back_off->reason), "%s", reason);
}

static struct remembered **slot_of(struct symbol_server_state *state, const char *name, const char *guidage)
{
    struct remembered **slot = &state->remembered;
    while (*slot != NULL && (strcmp((*slot)->guidage, guidage) != 0 || strcmp((*slot)->name, name) != 0)) {
        slot = &(*slot)->next;
    }
    return slot;
}

static void remove_slot(struct symbol_server_state *state, struct remembered **slot)
{
    struct remembered *entry = *slot;
    if (entry != NULL) {
        *slot = entry->next;
        state->remembered_count--;
        free(entry);
    }
}

static void make_room(struct symbol_server_state *state)
{
    struct remembered **first = &state->remembered;
    for (struct remembered **slot = &state->remembered; *slot != NULL; slot = &(*slot)->next) {
        if ((*slot)->answer.until_ms < (*first)->answer.until_ms) {
            first = slot;
        }
    }
    remove_slot(state, first);
}

const struct back_off *symbol_server_memory_find(const struct symbol_server_state *state, const struct wanted *wanted,
                                                 int64_t now_ms)
{
    for (const struct remembered *entry = state->remembered; entry != NULL; entry = entry->next) {
        if (strcmp(entry->guidage, wanted->guidage) == 0 && strcmp(entry->name, wanted->name) == 0) {
            return symbol_server_back_off_holds(&entry->answer, now_ms) ? &entry->answer : NULL;
        }
    }
    return NULL;
}

void symbol_server_memory_forget(struct symbol_server_state *state, const struct wanted *wanted)
{
    remove_slot(state, slot_of(state, wanted->name, wanted->guidage));
}

static struct back_off *record_of(struct symbol_server_state *state, const char *name, const char *guidage)
{
    struct remembered *entry = *slot_of(state, name, guidage);
    if (entry != NULL) {
        return &entry->answer;
    }
    if (state->remembered_count >= SYMBOL_SERVER_REMEMBERED) {
        make_room(state);
    }
    entry = calloc(1, sizeof(*entry));
    if (entry == NULL) {
        return NULL;
    }
    (void)snprintf(entry->name, sizeof(entry->name), "%s", name);
    (void)snprintf(entry->guidage, sizeof(entry->guidage), "%s", guidage);
    entry->next = state->remembered;
    state->remembered = entry;
    state->remembered_count++;
    return &entry->answer;
}

struct back_off *symbol_server_memory_record(struct symbol_server_state *state, const struct wanted *wanted)
{
    return record_of(state, wanted->name, wanted->guidage);
}

void symbol_server_memory_clear(struct symbol_server_state *state)
{
    while (state->remembered != NULL) {
        remove_slot(state, &state->remembered);
    }
}

uint64_t symbol_server_memory_check(const char *text, size_t length)
{
    return kdnet_hash(KDNET_HASH_START, text, length); /* against flipped bits, not against people */
}

/* Takes the checksum off a line's end; false: missing or wrong. */
static bool take_check(char *line)
{
    char check[CHECK_LENGTH + 1], *last = strrchr(line, ' ');
    if (last == NULL) {
        return false;
    }
    *last = '\0';
    (void)snprintf(check, sizeof(check), "%016" PRIx64, symbol_server_memory_check(line, (size_t)(last - line)));
    return strcmp(last + 1, check) == 0;
}

/* SECONDS NAME GUIDAGE URL CHECK */
static bool parse_negative(char *line, struct negative *negative)
{
    char *rest = NULL, *end = NULL;
    if (!take_check(line)) {
        return false;
    }
    char *time = strtok_r(line, " \r\n", &rest), *name = strtok_r(NULL, " \r\n", &rest);
    char *guidage = strtok_r(NULL, " \r\n", &rest), *url = strtok_r(NULL, " \r\n", &rest);
    if (url == NULL || strtok_r(NULL, " \r\n", &rest) != NULL || !symbol_server_valid_name(name) ||
        !symbol_server_valid_guidage(guidage) || strlen(url) >= sizeof(negative->url)) {
        return false;
    }
    negative->time = strtoll(time, &end, 10);
    if (*end != '\0' || negative->time < 0 || negative->time > INT64_MAX / 2000) {
        return false;
    }
    (void)snprintf(negative->name, sizeof(negative->name), "%s", name);
    (void)snprintf(negative->guidage, sizeof(negative->guidage), "%s", guidage);
    (void)snprintf(negative->url, sizeof(negative->url), "%s", url);
    return true;
}

static bool holds(const struct negative *negative, int64_t now_ms)
{
    int64_t since = negative->time * 1000;
    return now_ms >= since && now_ms < since + SYMBOL_SERVER_NEGATIVE_MS;
}

static void remember(struct symbol_server_state *state, const struct negative *negative)
{
    struct back_off *record = record_of(state, negative->name, negative->guidage);
    if (record == NULL) {
        return;
    }
    record->failures = 1;
    record->since_ms = negative->time * 1000;
    record->until_ms = negative->time * 1000 + SYMBOL_SERVER_NEGATIVE_MS;
    record->result = SYMBOL_FETCH_NOT_FOUND;
    symbol_server_say(record->reason, sizeof(record->reason), "%s/%s/%s: the server has no such file (remembered)",
                      state->url, negative->name, negative->guidage);
}

static bool print_negative(FILE *file, const struct negative *negative)
{
    char line[LINE_SIZE];
    int length = snprintf(line, sizeof(line), "%" PRId64 " %s %s %s", negative->time, negative->name, negative->guidage,
                          negative->url);
    return length > 0 && (size_t)length < sizeof(line) &&
           fprintf(file, "%s %016" PRIx64 "\n", line, symbol_server_memory_check(line, (size_t)length)) > 0;
}

bool symbol_server_memory_read(struct symbol_server_state *state, char *text, size_t length, int64_t now_ms, FILE *copy)
{
    struct negative negative;
    bool dropped = false;
    for (char *line = text, *end; line < text + length; line = end + 1) {
        end = memchr(line, '\n', (size_t)(text + length - line));
        if (end == NULL) {
            return true; /* cut short */
        }
        *end = '\0';
        if (strlen(line) != (size_t)(end - line) || end - line >= LINE_SIZE || !parse_negative(line, &negative) ||
            !holds(&negative, now_ms)) {
            dropped = true;
        } else if (copy != NULL) {
            (void)print_negative(copy, &negative);
        } else if (strcmp(negative.url, state->url) == 0) {
            remember(state, &negative);
        }
    }
    return dropped;
}

/* Only the last FILE_LIMIT / 2 bytes count: lines are in the order of time. */
static bool read_negatives(FILE *file, int64_t now_ms, struct symbol_server_state *state, FILE *copy)
{
    bool cut = fseek(file, 0, SEEK_END) == 0 && ftell(file) > FILE_LIMIT / 2;
    char *text = malloc(FILE_LIMIT / 2);
    bool dropped = cut;
    if (text != NULL && fseek(file, cut ? -(FILE_LIMIT / 2) : 0, cut ? SEEK_END : SEEK_SET) == 0) {
        size_t length = fread(text, 1, FILE_LIMIT / 2, file);
        dropped = symbol_server_memory_read(state, text, length, now_ms, copy) || cut;
    }
    free(text);
    return dropped;
}

/* Rewrites the file with the valid lines, under a name that no other writer has. On failure the old file stays,
 * which is only longer. */
static void compact(struct symbol_server_state *state, const char *path, int64_t now_ms)
{
    char other[PATH_SIZE], name[64];
    uv_fs_t request;
    uint64_t token = uv_hrtime();
    FILE *file = fopen(path, "rb");
    FILE *copy = NULL;
    (void)uv_random(NULL, NULL, &token, sizeof(token), 0, NULL);
    (void)snprintf(name, sizeof(name), NEGATIVE_FILE ".%016" PRIx64, token);
    if (file != NULL && symbol_server_join(other, sizeof(other), state->directory, name, NULL, NULL)) {
        copy = fopen(other, "wb");
    }
    if (copy != NULL) {
        (void)read_negatives(file, now_ms, state, copy);
        bool failed = ferror(copy) != 0;
        failed = fclose(copy) != 0 || failed;
        (void)(failed ? uv_fs_unlink(NULL, &request, other, NULL) : uv_fs_rename(NULL, &request, other, path, NULL));
        uv_fs_req_cleanup(&request);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

void symbol_server_memory_load(struct symbol_server_state *state)
{
    char path[PATH_SIZE];
    int64_t now_ms = state->settings.now_ms(state->settings.now_context);
    uv_once(&once, make_mutex);
    if (!symbol_server_join(path, sizeof(path), state->directory, NEGATIVE_FILE, NULL, NULL)) {
        return;
    }
    uv_mutex_lock(&file_mutex);
    FILE *file = fopen(path, "rb");
    if (file != NULL) {
        bool dropped = read_negatives(file, now_ms, state, NULL);
        (void)fclose(file);
        if (dropped) {
            compact(state, path, now_ms);
        }
    }
    uv_mutex_unlock(&file_mutex);
}

void symbol_server_memory_write(struct symbol_server_state *state, const struct wanted *wanted, int64_t now_ms)
{
    char path[PATH_SIZE];
    struct negative negative = {.time = now_ms / 1000};
    (void)snprintf(negative.name, sizeof(negative.name), "%s", wanted->name);
    (void)snprintf(negative.guidage, sizeof(negative.guidage), "%s", wanted->guidage);
    (void)snprintf(negative.url, sizeof(negative.url), "%s", state->url);
    if (!symbol_server_join(path, sizeof(path), state->directory, NEGATIVE_FILE, NULL, NULL)) {
        return;
    }
    uv_mutex_lock(&file_mutex);
    FILE *file = fopen(path, "ab");
    long length = 0;
    if (file != NULL) {
        (void)print_negative(file, &negative);
        length = ftell(file);
        (void)fclose(file);
    }
    if (length >= FILE_LIMIT) {
        compact(state, path, now_ms);
    }
    uv_mutex_unlock(&file_mutex);
}
