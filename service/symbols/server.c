/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/server.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/symbols/server_internal.h"
#include "service/symbols/url.h"

enum claim { CLAIM_OURS, CLAIM_WAITED, CLAIM_ANSWERED };

/* Combined result of the requests of one fetch. */
struct outcome {
    enum answer answer; /* TAKEN; ABSENT: all requests; DENIED: some; or the fault that ended the fetch */
    int64_t retry_after_ms;
    char reason[SYMBOL_SERVER_REASON_SIZE];
};

const char *symbol_fetch_text(enum symbol_fetch result)
{
    static const char *const texts[] = {"ok", "not_found", "unavailable", "refused"};
    return (unsigned)result < sizeof(texts) / sizeof(texts[0]) ? texts[result] : "?";
}

void symbol_server_say(char *reason, size_t size, const char *format, ...)
{
    va_list arguments;
    if (size == 0) {
        return;
    }
    va_start(arguments, format);
    int length = vsnprintf(reason, size, format, arguments);
    va_end(arguments);
    if (length < 0) {
        reason[0] = '\0';
    }
    for (char *c = reason; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~') { /* some of libcurl's texts contain words of the server */
            *c = '?';
        }
    }
}

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool symbol_server_valid_name(const char *name)
{
    size_t length = strlen(name);
    const char *dot = strrchr(name, '.');
    if (length < 3 || length >= NAME_SIZE || dot == NULL || dot[1] == '\0') {
        return false;
    }
    for (const char *c = name; *c != '\0'; c++) {
        if (!is_alphanumeric(*c) && *c != '_' && (c == name || (*c != '.' && *c != '-'))) {
            return false;
        }
    }
    return true;
}

bool symbol_server_valid_guidage(const char *guidage)
{
    size_t length = strlen(guidage);
    return length >= 9 && length < GUIDAGE_SIZE && strspn(guidage, "0123456789abcdefABCDEF") == length;
}

static int64_t system_now_ms(void *context)
{
    uv_timeval64_t now = {0};
    (void)context;
    (void)uv_gettimeofday(&now);
    return now.tv_sec * 1000 + now.tv_usec / 1000;
}

static bool valid_url(const char *url, char *reason, size_t size)
{
    const char *mistake = symbol_url_mistake(url);
    if (mistake != NULL) { /* the URL is not shown: it may contain a password */
        symbol_server_say(reason, size, "symbol server: %s", mistake);
    }
    return mistake == NULL;
}

/* A copy without slashes at the end, though "/" stays. */
static char *copy_trimmed(const char *text)
{
    char *copy = strdup(text);
    size_t length = copy != NULL ? strlen(copy) : 0;
    while (length > 1 && copy[length - 1] == '/') {
        copy[--length] = '\0';
    }
    return copy;
}

static void set_default(uint32_t *value, uint32_t fallback)
{
    if (*value == 0) {
        *value = fallback;
    }
}

static bool copy_settings(struct symbol_server_state *state, const struct symbol_server *server)
{
    struct symbol_server *settings = &state->settings;
    *settings = *server;
    state->directory = copy_trimmed(server->directory);
    state->url = copy_trimmed(server->url);
    state->ca_file = server->ca_file != NULL ? strdup(server->ca_file) : NULL;
    set_default(&settings->total_timeout_ms, SYMBOL_SERVER_TOTAL_TIMEOUT_MS);
    set_default(&settings->connect_timeout_ms, SYMBOL_SERVER_CONNECT_TIMEOUT_MS);
    set_default(&settings->low_speed_seconds, SYMBOL_SERVER_LOW_SPEED_SECONDS);
    set_default(&settings->low_speed_bytes, SYMBOL_SERVER_LOW_SPEED_BYTES);
    if (settings->size_limit == 0 || settings->size_limit > INT64_MAX) {
        settings->size_limit = SYMBOL_SERVER_SIZE_LIMIT;
    }
    if (settings->now_ms == NULL) {
        settings->now_ms = system_now_ms;
    }
    return state->directory != NULL && state->url != NULL && (server->ca_file == NULL || state->ca_file != NULL);
}

static void free_state(struct symbol_server_state *state)
{
    if (state != NULL) {
        free(state->directory);
        free(state->url);
        free(state->ca_file);
        free(state);
    }
}

static struct symbol_server_state *new_state(const struct symbol_server *server)
{
    struct symbol_server_state *state = calloc(1, sizeof(*state));
    if (state == NULL || !copy_settings(state, server) || uv_mutex_init(&state->mutex) != 0) {
        free_state(state);
        return NULL;
    }
    if (uv_cond_init(&state->ended) != 0) {
        uv_mutex_destroy(&state->mutex);
        free_state(state);
        return NULL;
    }
    return state;
}

bool symbol_server_init(struct symbol_server *server, char *reason, size_t reason_size)
{
    server->state = NULL;
    if (server->directory == NULL || server->directory[0] == '\0' || server->url == NULL) {
        symbol_server_say(reason, reason_size, "symbol server: a folder and a URL are needed (srv*DIR*URL)");
        return false;
    }
    if (!valid_url(server->url, reason, reason_size)) {
        return false;
    }
    server->state = new_state(server);
    if (server->state == NULL) {
        symbol_server_say(reason, reason_size, "symbol server: out of memory");
        return false;
    }
    int error = symbol_server_store_open(server->state);
    if (error != 0) {
        symbol_server_say(reason, reason_size, "symbol store '%s': cannot be made: %s", server->directory,
                          uv_strerror(error));
        symbol_server_clear(server);
        return false;
    }
    symbol_server_memory_load(server->state);
    return true;
}

void symbol_server_clear(struct symbol_server *server)
{
    struct symbol_server_state *state = server->state;
    if (state != NULL) {
        symbol_server_memory_clear(state);
        uv_cond_destroy(&state->ended);
        uv_mutex_destroy(&state->mutex);
        free_state(state);
        server->state = NULL;
    }
}

void symbol_server_stop(const struct symbol_server *server)
{
    struct symbol_server_state *state = server->state;
    if (state != NULL) {
        uv_mutex_lock(&state->mutex);
        atomic_store(&state->stopped, true);
        uv_cond_broadcast(&state->ended);
        uv_mutex_unlock(&state->mutex);
    }
}

static int64_t now_of(const struct symbol_server_state *state)
{
    return state->settings.now_ms(state->settings.now_context);
}

static bool is_under_way(const struct symbol_server_state *state, const struct wanted *wanted)
{
    for (const struct download *other = state->downloads; other != NULL; other = other->next) {
        if (strcmp(other->wanted->guidage, wanted->guidage) == 0 && strcmp(other->wanted->name, wanted->name) == 0) {
            return true;
        }
    }
    return false;
}

static enum symbol_fetch say_remembered(const struct back_off *answer, int64_t now_ms, char *reason, size_t size)
{
    long long seconds = (long long)(answer->until_ms - now_ms + 999) / 1000;
    symbol_server_say(reason, size, "%.*s; asked again in %lld s", SYMBOL_SERVER_REASON_SIZE - 64, answer->reason,
                      seconds);
    return answer->result;
}

/* With the mutex. Makes the download ours, or answers from memory, or waits until another thread's has ended. */
static enum claim claim_locked(struct symbol_server_state *state, struct download *download, enum symbol_fetch *result,
                               char *reason, size_t size)
{
    int64_t now_ms = now_of(state);
    const struct back_off *answer = symbol_server_memory_find(state, download->wanted, now_ms);
    if (answer == NULL && symbol_server_back_off_holds(&state->server, now_ms)) {
        answer = &state->server;
    }
    if (atomic_load(&state->stopped)) {
        symbol_server_say(reason, size, "%s: not asked, kdnetd is stopping", state->url);
        *result = SYMBOL_FETCH_UNAVAILABLE;
        return CLAIM_ANSWERED;
    }
    if (answer != NULL) {
        *result = say_remembered(answer, now_ms, reason, size);
        return CLAIM_ANSWERED;
    }
    if (is_under_way(state, download->wanted)) {
        uv_cond_wait(&state->ended, &state->mutex);
        return CLAIM_WAITED;
    }
    download->next = state->downloads;
    state->downloads = download;
    return CLAIM_OURS;
}

static void end_download(struct symbol_server_state *state, const struct download *download)
{
    struct download **slot = &state->downloads;
    while (*slot != download) {
        slot = &(*slot)->next;
    }
    *slot = download->next;
    uv_cond_broadcast(&state->ended);
}

/* NAME, or NAM_: into the store. */
static enum answer get_file(const struct symbol_server_state *state, struct http *http, const struct wanted *wanted,
                            const char *name, char *reason, size_t size)
{
    char url[URL_SIZE];
    struct body body;
    if (!symbol_server_join(url, sizeof(url), state->url, wanted->name, wanted->guidage, name)) {
        symbol_server_say(reason, size, "%s: too long a URL", state->url);
        return ANSWER_DENIED;
    }
    symbol_server_body_init(&body, state->settings.size_limit, false);
    enum answer answer = symbol_server_http_get(http, url, &body, reason, size);
    if (answer != ANSWER_TAKEN) {
        symbol_server_body_drop(&body);
        return answer;
    }
    int error = symbol_server_body_keep(state, &body, wanted);
    if (error != 0) {
        symbol_server_say(reason, size, "%s: cannot be put into the store %s: %s", url, state->directory,
                          uv_strerror(error));
        return ANSWER_LOCAL;
    }
    return ANSWER_TAKEN;
}

/* file.ptr: "PATH:" and the file's place on somebody's network; "MSG:" and why the file is missing. */
static enum answer get_pointer(const struct symbol_server_state *state, struct http *http, const struct wanted *wanted,
                               char *reason, size_t size)
{
    char url[URL_SIZE];
    struct body body;
    if (!symbol_server_join(url, sizeof(url), state->url, wanted->name, wanted->guidage, "file.ptr")) {
        return ANSWER_ABSENT;
    }
    symbol_server_body_init(&body, POINTER_LIMIT, true);
    enum answer answer = symbol_server_http_get(http, url, &body, reason, size);
    symbol_server_body_drop(&body);
    if (answer == ANSWER_TAKEN && body.head_length >= 5 && memcmp(body.head, "PATH:", 5) == 0) {
        symbol_server_say(reason, size, "%s: points to a path elsewhere, which is not followed", url);
        return ANSWER_DENIED;
    }
    return answer == ANSWER_TAKEN ? ANSWER_ABSENT : answer;
}

static enum answer get_form(const struct symbol_server_state *state, struct http *http, const struct wanted *wanted,
                            int form, char *reason, size_t size)
{
    if (form == 2) {
        return get_pointer(state, http, wanted, reason, size);
    }
    if (form == 1 && strcmp(wanted->packed, wanted->name) == 0) {
        return ANSWER_ABSENT;
    }
    return get_file(state, http, wanted, form == 0 ? wanted->name : wanted->packed, reason, size);
}

/* Called without the mutex. When no form is taken, the reason is that of the first denied form. */
static void ask(struct symbol_server_state *state, const struct wanted *wanted, struct outcome *outcome)
{
    char reason[SYMBOL_SERVER_REASON_SIZE];
    struct http *http = symbol_server_http_open(state, outcome->reason, sizeof(outcome->reason));
    outcome->answer = http != NULL ? ANSWER_ABSENT : ANSWER_LOCAL;
    for (int form = 0; http != NULL && form < 3; form++) {
        reason[0] = '\0';
        enum answer answer = get_form(state, http, wanted, form, reason, sizeof(reason));
        if (answer == ANSWER_ABSENT || (answer == ANSWER_DENIED && outcome->answer == ANSWER_DENIED)) {
            continue;
        }
        outcome->answer = answer;
        symbol_server_say(outcome->reason, sizeof(outcome->reason), "%s", answer == ANSWER_TAKEN ? "" : reason);
        if (answer != ANSWER_DENIED) {
            break;
        }
    }
    if (outcome->answer == ANSWER_ABSENT) {
        symbol_server_say(outcome->reason, sizeof(outcome->reason), "%s/%s/%s: the server has no such file (404)",
                          state->url, wanted->name, wanted->guidage);
    }
    outcome->retry_after_ms = http != NULL ? symbol_server_http_retry_after_ms(http) : 0;
    symbol_server_http_close(http);
}

static enum symbol_fetch result_of(enum answer answer)
{
    switch (answer) {
    case ANSWER_TAKEN:
        return SYMBOL_FETCH_OK;
    case ANSWER_ABSENT:
        return SYMBOL_FETCH_NOT_FOUND;
    case ANSWER_DENIED:
    case ANSWER_BARRED:
        return SYMBOL_FETCH_REFUSED;
    default:
        return SYMBOL_FETCH_UNAVAILABLE;
    }
}

/* With the mutex. */
static void remember_locked(struct symbol_server_state *state, const struct wanted *wanted,
                            const struct outcome *outcome, int64_t now_ms)
{
    enum symbol_fetch result = result_of(outcome->answer);
    bool is_server = outcome->answer == ANSWER_UNREACHED || outcome->answer == ANSWER_BARRED;
    if (outcome->answer == ANSWER_STOPPED) {
        return;
    }
    if (is_server) {
        symbol_server_back_off_add(&state->server, now_ms, outcome->retry_after_ms, result, outcome->reason);
    } else if (outcome->answer != ANSWER_LOCAL && outcome->answer != ANSWER_FAILED) {
        memset(&state->server, 0, sizeof(state->server)); /* the server works now */
    }
    if (result == SYMBOL_FETCH_OK) {
        symbol_server_memory_forget(state, wanted);
        return;
    }
    struct back_off *record = symbol_server_memory_record(state, wanted);
    if (record == NULL) {
        return;
    }
    symbol_server_back_off_add(record, now_ms, outcome->retry_after_ms, result, outcome->reason);
    if (result == SYMBOL_FETCH_NOT_FOUND) {
        record->failures = 1;
        record->until_ms = now_ms + SYMBOL_SERVER_NEGATIVE_MS;
    }
}

static enum symbol_fetch download(struct symbol_server_state *state, const struct download *download, char *path,
                                  size_t size, char *reason, size_t reason_size)
{
    const struct wanted *wanted = download->wanted;
    struct outcome outcome = {.answer = ANSWER_TAKEN};
    /* Once more: another thread's download may have ended between the look into the store and the claim. */
    bool asked = !symbol_server_store_find(state, wanted, path, size);
    if (asked) {
        ask(state, wanted, &outcome);
        if (outcome.answer == ANSWER_TAKEN && !symbol_server_store_find(state, wanted, path, size)) {
            outcome.answer = ANSWER_LOCAL;
            symbol_server_say(outcome.reason, sizeof(outcome.reason), "%s: the file that was put there is gone",
                              state->directory);
        }
    }
    int64_t now_ms = now_of(state);
    if (outcome.answer == ANSWER_ABSENT) {
        symbol_server_memory_write(state, wanted, now_ms);
    }
    uv_mutex_lock(&state->mutex);
    if (asked) {
        remember_locked(state, wanted, &outcome, now_ms);
    }
    end_download(state, download);
    uv_mutex_unlock(&state->mutex);
    symbol_server_say(reason, reason_size, "%s", outcome.reason);
    return result_of(outcome.answer);
}

static enum symbol_fetch fetch(struct symbol_server_state *state, const struct wanted *wanted, char *path, size_t size,
                               char *reason, size_t reason_size)
{
    struct download ours = {.wanted = wanted};
    enum symbol_fetch result = SYMBOL_FETCH_OK;
    for (;;) {
        if (symbol_server_store_find(state, wanted, path, size)) {
            return SYMBOL_FETCH_OK;
        }
        if (symbol_server_store_has_pointer(state, wanted)) {
            symbol_server_say(reason, reason_size, "%s/%s/%s: has a file.ptr, which is not followed", state->directory,
                              wanted->name, wanted->guidage);
            return SYMBOL_FETCH_REFUSED;
        }
        uv_mutex_lock(&state->mutex);
        enum claim claim = claim_locked(state, &ours, &result, reason, reason_size);
        uv_mutex_unlock(&state->mutex);
        if (claim == CLAIM_ANSWERED) {
            return result;
        }
        if (claim == CLAIM_OURS) {
            return download(state, &ours, path, size, reason, reason_size);
        }
    }
}

enum symbol_fetch symbol_server_fetch(const struct symbol_server *server, const char *name, const char *guidage,
                                      char *path, size_t size, char *reason, size_t reason_size)
{
    struct wanted wanted = {0};
    char ignored[1];
    char *text = reason_size > 0 ? reason : ignored;
    text[0] = '\0';
    if (size == 0 || server->state == NULL) {
        symbol_server_say(text, reason_size, "symbol server: not ready, or no room for a path");
        return SYMBOL_FETCH_REFUSED;
    }
    path[0] = '\0';
    if (!symbol_server_valid_name(name) || !symbol_server_valid_guidage(guidage)) {
        symbol_server_say(text, reason_size, "'%.80s', '%.48s': not the name and GUID+age of a symbol file", name,
                          guidage);
        return SYMBOL_FETCH_REFUSED;
    }
    (void)snprintf(wanted.name, sizeof(wanted.name), "%s", name);
    (void)snprintf(wanted.packed, sizeof(wanted.packed), "%s", name);
    wanted.packed[strlen(wanted.packed) - 1] = '_';
    (void)snprintf(wanted.guidage, sizeof(wanted.guidage), "%s", guidage);
    char whole[PATH_SIZE];
    if (!symbol_server_join(whole, size < sizeof(whole) ? size : sizeof(whole), server->state->directory, wanted.name,
                            wanted.guidage, wanted.name)) {
        symbol_server_say(text, reason_size, "%s: too long a path", server->state->directory);
        return SYMBOL_FETCH_REFUSED;
    }
    enum symbol_fetch result = fetch(server->state, &wanted, path, size, text, reason_size);
    if (result != SYMBOL_FETCH_OK) {
        path[0] = '\0';
    }
    return result;
}
