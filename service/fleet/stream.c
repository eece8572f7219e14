/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "service/fleet/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)
#define COPIES    3

static const char collector_mark[] = "{collector}", target_mark[] = "{target}";

static jsOptions ask_options(void)
{
    jsOptions options;
    (void)jsOptions_Init(&options);
    options.Wait = FLEET_ASK_MS;
    return options;
}

/* How many servers there are, as far as they say. */
static int count_servers(natsConnection *connection)
{
    char **servers = NULL;
    int count = 0;
    if (natsConnection_GetServers(connection, &servers, &count) != NATS_OK)
        return 1;
    for (int i = 0; i < count; ++i)
        free(servers[i]);
    free(servers);
    return count;
}

/* Adds a stream with one copy on a single server or a cluster of two, else three; waits for a server that is missing
 * now. */
static natsStatus add_stream(jsCtx *js, jsStreamConfig *config, int servers)
{
    jsErrCode code = 0;
    jsOptions options = ask_options();
    config->Replicas = COPIES;
    natsStatus status = js_AddStream(NULL, js, config, &options, &code);
    bool is_alone = code == JSStreamReplicasNotSupportedErr;
    if (status == NATS_OK || !(is_alone || (code != 0 && servers < COPIES)))
        return status;
    config->Replicas = 1;
    return js_AddStream(NULL, js, config, &options, &code);
}

/* Looks for the stream and the subject. NATS_NOT_FOUND: no stream. */
static natsStatus find_stream(jsCtx *js, const jsStreamConfig *wanted, bool *has_subject, int64_t *window_s)
{
    jsStreamInfo *info = NULL;
    jsErrCode code = 0;
    jsOptions options = ask_options();
    natsStatus status = js_GetStreamInfo(&info, js, wanted->Name, &options, &code);
    if (status != NATS_OK)
        return status;
    *has_subject = false;
    for (int i = 0; i < info->Config->SubjectsLen; ++i) {
        const char *subject = info->Config->Subjects[i], *end = strchr(subject, '>');
        size_t length = end ? (size_t)(end - subject) : strlen(subject) + 1;
        // NOLINTNEXTLINE(bugprone-not-null-terminated-result): a subject without > counts to its NUL
        *has_subject = *has_subject || strncmp(subject, wanted->Subjects[0], length) == 0;
    }
    *window_s = info->Config->Duplicates / SECOND_NS;
    jsStreamInfo_Destroy(info);
    return NATS_OK;
}

/* Judges an existing stream, which may have other subjects, or a shorter memory of ids. */
static bool judge_found(const jsStreamConfig *wanted, bool has_subject, int64_t window_s,
                        char error[static FLEET_ERROR_SIZE])
{
    error[0] = '\0';
    if (has_subject && wanted->Duplicates > 0 && window_s < FLEET_WINDOW_S)
        (void)snprintf(error, FLEET_ERROR_SIZE,
                       "the stream %.*s forgets ids after %lld s, so that it may take an event twice; give it a "
                       "duplicate window of 10m",
                       CHARACTERS(wanted->Name, 60), (long long)window_s);
    if (!has_subject)
        (void)snprintf(error, FLEET_ERROR_SIZE,
                       "the stream %.*s does not take the subject %.*s; add it to its subjects",
                       CHARACTERS(wanted->Name, 60), CHARACTERS(wanted->Subjects[0], 80));
    return has_subject;
}

static bool make(natsConnection *connection, jsStreamConfig *config, char error[static FLEET_ERROR_SIZE])
{
    jsCtx *js = NULL;
    bool has_subject = true;
    int64_t window_s = FLEET_WINDOW_S;
    natsStatus status = natsConnection_JetStream(&js, connection, NULL);
    if (status == NATS_OK)
        status = find_stream(js, config, &has_subject, &window_s);
    if (status == NATS_NOT_FOUND)
        status = add_stream(js, config, count_servers(connection));
    if (status != NATS_OK)
        fleet_explain(connection, status, error);
    jsCtx_Destroy(js);
    return status == NATS_OK && judge_found(config, has_subject, window_s, error);
}

void fleet_filter(const char *pattern, char out[static FLEET_SUBJECT_SIZE])
{
    size_t length = 0;
    while (*pattern != '\0' && length + 2 < FLEET_SUBJECT_SIZE) {
        size_t token = strcspn(pattern, ".");
        bool is_any = memchr(pattern, '{', token) != NULL;
        int added = snprintf(out + length, FLEET_SUBJECT_SIZE - length, "%.*s%s", is_any ? 1 : (int)token,
                             is_any ? "*" : pattern, pattern[token] == '.' ? "." : "");
        length += (size_t)added;
        pattern += token + (pattern[token] == '.');
    }
    out[length < FLEET_SUBJECT_SIZE ? length : FLEET_SUBJECT_SIZE - 1] = '\0';
}

bool fleet_make_stream(natsConnection *connection, const char *name, const char *pattern,
                       char error[static FLEET_ERROR_SIZE])
{
    char filter[FLEET_SUBJECT_SIZE];
    const char *subjects[] = {filter};
    jsStreamConfig config;
    (void)jsStreamConfig_Init(&config);
    fleet_filter(pattern, filter);
    config.Name = name;
    config.Subjects = subjects;
    config.SubjectsLen = 1;
    config.MaxAge = (int64_t)FLEET_KEEP_S * SECOND_NS;
    config.Duplicates = FLEET_WINDOW_S * SECOND_NS;
    return make(connection, &config, error);
}

bool fleet_make_bucket(natsConnection *connection, const char *name, char error[static FLEET_ERROR_SIZE])
{
    char stream[FLEET_SUBJECT_SIZE], keys[FLEET_SUBJECT_SIZE];
    const char *subjects[] = {keys};
    jsStreamConfig config;
    (void)jsStreamConfig_Init(&config);
    (void)snprintf(stream, sizeof stream, "KV_%s", name);
    (void)snprintf(keys, sizeof keys, "$KV.%s.>", name);
    config.Name = stream;
    config.Subjects = subjects;
    config.SubjectsLen = 1;
    config.MaxMsgsPerSubject = 1;
    config.AllowRollup = true;
    config.DenyDelete = true;
    config.AllowDirect = true;
    return make(connection, &config, error);
}

/* Puts a token for a placeholder. */
static bool put(char *out, size_t size, size_t *length, const char *text, size_t count)
{
    if (*length + count >= size)
        return false;
    memcpy(out + *length, text, count);
    *length += count;
    return true;
}

bool fleet_subject(const char *pattern, const char *collector, const char *target, char *out, size_t size)
{
    char collector_token[FLEET_TOKEN_SIZE], target_token[FLEET_TOKEN_SIZE];
    size_t length = 0;
    bool good = true;
    fleet_token(collector, collector_token);
    fleet_token(target ? target : "-", target_token);
    while (good && *pattern != '\0') {
        if (strncmp(pattern, collector_mark, sizeof collector_mark - 1) == 0) {
            good = put(out, size, &length, collector_token, strlen(collector_token));
            pattern += sizeof collector_mark - 1;
        } else if (strncmp(pattern, target_mark, sizeof target_mark - 1) == 0) {
            good = put(out, size, &length, target_token, strlen(target_token));
            pattern += sizeof target_mark - 1;
        } else {
            good = put(out, size, &length, pattern++, 1);
        }
    }
    out[length] = '\0';
    return good;
}

void fleet_collectors_bucket(const char *stream, char *out, size_t size)
{
    (void)snprintf(out, size, "%s_collectors", stream);
}
