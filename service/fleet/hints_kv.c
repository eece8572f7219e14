/* SPDX-License-Identifier: Apache-2.0 */
#include "service/fleet/beats.h"
#include "service/fleet/connection.h"
#include "service/fleet/ending.h"
#include "service/fleet/hints_kv.h"
#include "service/fleet/stream.h"
#include "service/runtime/log.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define BUCKET_SIZE  CONFIG_NAME_SIZE
#define SUBJECT_SIZE (BUCKET_SIZE + FLEET_TOKEN_SIZE + 8)
#define PREFIX       "$KV."
#define BEATS_PREFIX "kdnetd.alive."
#define TURN_MS      100      /* so long hints are waited for, others' and ours */
#define TURN_HINTS   4096U    /* of others, before the server is told */
#define HEADER       "Kdnetd" /* header of a hint: the process that put it */
#define PROCESS_SIZE (CONFIG_NAME_SIZE + 18)
#define NS_A_SECOND  UINT64_C(1000000000)
#define NS_A_MS      UINT64_C(1000000)

struct hints_kv {
    struct hints *hints;
    struct hints_kv_user to;
    struct beats beats;
    struct config_nats nats; /* our own texts */
    char bucket[BUCKET_SIZE], collector[CONFIG_NAME_SIZE];
    char process[PROCESS_SIZE];
    uv_thread_t thread, putter; /* thread: watches others' hints; putter: puts ours */
    uv_mutex_t lock;
    uv_cond_t changed;
    bool stopping, ended; /* by `lock` */
    atomic_bool look;     /* all of the bucket is to be read again */
    atomic_int state;     /* enum beats_state */
    atomic_bool stays;    /* the collector, when this process ends */
    int state_told;
    uint64_t beat_ms;           /* when the last beat went out */
    uv_mutex_t connection_lock; /* protects the use and the end of the connection */
    natsConnection *connection;
    bool may_put; /* the others' earlier hints were read */
    natsSubscription *watch, *beating;
    bool in_trouble;
    bool has_others; /* as told */
};

static void say_trouble(struct hints_kv *kv, const char *error)
{
    struct log_line line;
    if (kv->in_trouble == (error != NULL))
        return;
    kv->in_trouble = error != NULL;
    log_begin(&line, error ? CONFIG_LOG_WARNING : CONFIG_LOG_NOTICE,
              error ? "address hints: the bucket cannot be reached, and is tried again; until then another collector "
                      "that takes over finds halted machines by their next poke"
                    : "address hints: the bucket is reached");
    log_text(&line, "bucket", kv->bucket);
    log_text(&line, "error", error);
    log_end(&line);
}

static natsStatus subscribe(struct hints_kv *kv)
{
    char subject[SUBJECT_SIZE], stream[BUCKET_SIZE + 4];
    jsCtx *js = NULL;
    jsSubOptions options;
    jsErrCode code = 0;
    (void)snprintf(subject, sizeof subject, PREFIX "%s.>", kv->bucket);
    (void)snprintf(stream, sizeof stream, "KV_%s", kv->bucket);
    natsStatus status = natsConnection_JetStream(&js, kv->connection, NULL);
    if (status == NATS_OK)
        status = jsSubOptions_Init(&options);
    if (status != NATS_OK)
        return status;
    options.Stream = stream;
    options.Ordered = true;
    options.Config.DeliverPolicy = js_DeliverLastPerSubject;
    status = js_SubscribeSync(&kv->watch, js, subject, NULL, &options, &code);
    jsCtx_Destroy(js);
    return status;
}

static void set_connection(struct hints_kv *kv, natsConnection *connection)
{
    uv_mutex_lock(&kv->connection_lock);
    natsConnection *before = kv->connection;
    natsSubscription *beating = kv->beating;
    kv->connection = connection;
    kv->beating = NULL;
    kv->may_put = false;
    uv_mutex_unlock(&kv->connection_lock);
    natsSubscription_Destroy(beating);
    natsConnection_Destroy(before);
}

static void end_watch(struct hints_kv *kv)
{
    natsSubscription_Destroy(kv->watch);
    kv->watch = NULL;
}

static void disconnect(struct hints_kv *kv)
{
    end_watch(kv);
    set_connection(kv, NULL);
}

static void beats_subject(const struct hints_kv *kv, char out[static SUBJECT_SIZE])
{
    (void)snprintf(out, SUBJECT_SIZE, BEATS_PREFIX "%s", kv->bucket);
}

static uint64_t now_ms(void)
{
    return uv_hrtime() / NS_A_MS + 1;
}

/* Without the right to subscribe nobody is heard, and nobody is missed. */
static void listen_to_beats(struct hints_kv *kv)
{
    char subject[SUBJECT_SIZE];
    beats_subject(kv, subject);
    natsSubscription *beating = NULL;
    (void)natsConnection_SubscribeSync(&beating, kv->connection, subject);
    uv_mutex_lock(&kv->connection_lock);
    kv->beating = beating;
    uv_mutex_unlock(&kv->connection_lock);
}

static bool reach(struct hints_kv *kv)
{
    char error[FLEET_ERROR_SIZE] = "";
    if (!kv->connection)
        set_connection(kv, fleet_connect(&kv->nats, kv->collector, error));
    bool good = kv->connection && fleet_make_bucket(kv->connection, kv->bucket, error);
    natsStatus status = good ? subscribe(kv) : NATS_ERR;
    if (status == NATS_OK && !kv->beating)
        listen_to_beats(kv);
    if (good && status != NATS_OK)
        fleet_explain(kv->connection, status, error);
    if (status != NATS_OK)
        disconnect(kv);
    say_trouble(kv, status == NATS_OK ? NULL : error);
    return status == NATS_OK;
}

/* Decodes the name in a key; false: no name. */
static bool name_of(const struct hints_kv *kv, const char *subject, char name[static CONFIG_NAME_SIZE])
{
    size_t prefix = sizeof PREFIX + strlen(kv->bucket), length = 0; /* with the dot behind the bucket */
    if (!subject || strlen(subject) <= prefix)
        return false;
    for (const char *at = subject + prefix; *at != '\0'; ++length) {
        bool is_dot = strncmp(at, "%2E", 3) == 0;
        if (length + 1 >= CONFIG_NAME_SIZE)
            return false;
        name[length] = is_dot ? '.' : *at;
        at += is_dot ? 3 : 1;
    }
    name[length] = '\0';
    return true;
}

/* Finds the collector of a hint, 0 when unknown. Our own hints come back, and are no news. */
static bool is_another_s(struct hints_kv *kv, natsMsg *message, uint8_t *collector)
{
    const char *process = NULL;
    char name[CONFIG_NAME_SIZE];
    *collector = 0;
    if (natsMsgHeader_Get(message, HEADER, &process) != NATS_OK)
        return true;
    size_t length = strcspn(process, " ");
    if (length < sizeof name) {
        memcpy(name, process, length);
        name[length] = '\0';
        *collector = beats_number(&kv->beats, name);
    }
    return strcmp(process, kv->process) != 0;
}

static bool take(struct hints_kv *kv, natsMsg *message)
{
    char name[CONFIG_NAME_SIZE];
    struct hint hint;
    uint8_t collector;
    int length = natsMsg_GetDataLength(message);
    return length > 0 && length < (int)HINTS_TEXT_SIZE && is_another_s(kv, message, &collector) &&
           name_of(kv, natsMsg_GetSubject(message), name) &&
           hint_parse(natsMsg_GetData(message), (size_t)length, &hint) &&
           hints_offer_of(kv->hints, name, &hint, collector);
}

/* The others' earlier hints come first. */
static void allow_puts(struct hints_kv *kv)
{
    uv_mutex_lock(&kv->connection_lock);
    kv->may_put = true;
    uv_mutex_unlock(&kv->connection_lock);
}

/* Takes the other collectors' hints. False: the watch has ended. */
static bool take_others(struct hints_kv *kv)
{
    bool some = false;
    natsStatus status = NATS_OK;
    for (unsigned i = 0; i < TURN_HINTS; ++i) {
        natsMsg *message = NULL;
        status = natsSubscription_NextMsg(&message, kv->watch, i == 0 ? TURN_MS : 1);
        if (status != NATS_OK)
            break;
        some = take(kv, message) || some;
        natsMsg_Destroy(message);
    }
    if (some)
        kv->to.came(kv->to.user);
    allow_puts(kv);
    return (status == NATS_OK || status == NATS_TIMEOUT) &&
           natsConnection_Status(kv->connection) != NATS_CONN_STATUS_CLOSED;
}

/* `hint` NULL: the target was removed. */
static bool put(const struct hints_kv *kv, const char *name, const struct hint *hint)
{
    char token[FLEET_TOKEN_SIZE], subject[SUBJECT_SIZE], text[HINTS_TEXT_SIZE] = "";
    natsMsg *message = NULL;
    size_t length = hint ? hint_format(hint, text) : 0;
    if (hint && length == 0)
        return true;
    fleet_token(name, token);
    (void)snprintf(subject, sizeof subject, PREFIX "%s.%s", kv->bucket, token);
    natsStatus status = natsMsg_Create(&message, subject, NULL, text, (int)length);
    if (status == NATS_OK)
        status = natsMsgHeader_Set(message, HEADER, kv->process);
    if (status == NATS_OK && !hint)
        status = natsMsgHeader_Set(message, "KV-Operation", "DEL");
    if (status == NATS_OK)
        status = natsConnection_PublishMsg(kv->connection, message);
    natsMsg_Destroy(message);
    return status == NATS_OK;
}

static void put_ours(struct hints_kv *kv)
{
    char name[CONFIG_NAME_SIZE];
    struct hint hint;
    uint64_t now_s = uv_hrtime() / NS_A_SECOND + 1;
    uv_mutex_lock(&kv->connection_lock);
    while (kv->may_put && natsConnection_Status(kv->connection) == NATS_CONN_STATUS_CONNECTED &&
           hints_next_due(kv->hints, HINTS_TO_PUBLISH, now_s, name, &hint) && put(kv, name, &hint))
        ;
    while (kv->may_put && hints_next_removed(kv->hints, name) && put(kv, name, NULL))
        ;
    uv_mutex_unlock(&kv->connection_lock);
}

/* Sends a beat when it is due, or when the state has changed. */
static void beat(struct hints_kv *kv)
{
    char subject[SUBJECT_SIZE], text[BEATS_TEXT_SIZE];
    uint64_t now = now_ms();
    int state = atomic_load(&kv->state);
    if (state == kv->state_told && now - kv->beat_ms < BEATS_EVERY_MS)
        return;
    kv->state_told = state;
    kv->beat_ms = now;
    beats_subject(kv, subject);
    size_t length = beats_format(&kv->beats, (enum beats_state)state, text);
    uv_mutex_lock(&kv->connection_lock);
    if (kv->may_put && natsConnection_Status(kv->connection) == NATS_CONN_STATUS_CONNECTED)
        (void)natsConnection_Publish(kv->connection, subject, text, (int)length);
    if (kv->may_put && state == BEATS_ENDS)
        (void)natsConnection_FlushTimeout(kv->connection, BEATS_EVERY_MS);
    uv_mutex_unlock(&kv->connection_lock);
}

static natsMsg *next_beat(struct hints_kv *kv)
{
    natsMsg *message = NULL;
    uint64_t waiting = 0;
    uv_mutex_lock(&kv->connection_lock);
    if (kv->beating && natsSubscription_QueuedMsgs(kv->beating, &waiting) == NATS_OK && waiting > 0)
        (void)natsSubscription_NextMsg(&message, kv->beating, 1);
    uv_mutex_unlock(&kv->connection_lock);
    return message;
}

/* Reports collectors that have stopped serving or fallen silent. */
static void hear(struct hints_kv *kv)
{
    natsMsg *message;
    uint8_t silent;
    for (unsigned i = 0; i < TURN_HINTS && (message = next_beat(kv)); ++i) {
        int length = natsMsg_GetDataLength(message);
        uint8_t left = length > 0 ? beats_take(&kv->beats, natsMsg_GetData(message), (size_t)length, now_ms()) : 0;
        natsMsg_Destroy(message);
        if (left > 0)
            kv->to.left(kv->to.user, left);
    }
    while ((silent = beats_silent(&kv->beats, now_ms())) > 0)
        kv->to.left(kv->to.user, silent);
    bool others = beats_others(&kv->beats, now_ms());
    if (others != kv->has_others)
        kv->to.others(kv->to.user, others);
    kv->has_others = others;
}

static bool is_stopping(struct hints_kv *kv, unsigned wait_ms)
{
    return ending_pause(&kv->lock, &kv->changed, &kv->stopping, wait_ms);
}

static void run_putter(void *user)
{
    struct hints_kv *kv = user;
    while (!is_stopping(kv, 0)) {
        (void)hints_wait(kv->hints, HINTS_TO_PUBLISH, BEATS_EVERY_MS / 2 * NS_A_MS);
        put_ours(kv);
        beat(kv);
        hear(kv);
    }
    if (!atomic_load(&kv->stays)) {
        atomic_store(&kv->state, BEATS_ENDS);
        beat(kv);
    }
    nats_ReleaseThreadMemory();
}

static void run(void *user)
{
    struct hints_kv *kv = user;
    bool reached = false, putting = uv_thread_create(&kv->putter, run_putter, kv) == 0;
    while (!is_stopping(kv, reached ? 0 : TURN_MS)) {
        if (!reached) {
            reached = reach(kv);
            if (!reached && is_stopping(kv, FLEET_RETRY_MS))
                break;
            continue;
        }
        if (!putting)
            put_ours(kv);
        if (take_others(kv)) {
            reached = !atomic_exchange(&kv->look, false); /* reach subscribes anew, and all comes again */
            if (!reached)
                end_watch(kv);
            continue;
        }
        disconnect(kv);
        reached = false;
    }
    if (putting)
        (void)uv_thread_join(&kv->putter);
    disconnect(kv);
    nats_ReleaseThreadMemory();
    ending_say(&kv->lock, &kv->changed, &kv->ended);
}

static void free_kv(struct hints_kv *kv)
{
    fleet_clear_options(&kv->nats);
    beats_clear(&kv->beats);
    uv_cond_destroy(&kv->changed);
    uv_mutex_destroy(&kv->connection_lock);
    uv_mutex_destroy(&kv->lock);
    free(kv);
}

/* A restarted collector accepts its own earlier hints. */
static void name_process(struct hints_kv *kv, const char *collector)
{
    uint64_t number = uv_hrtime();
    (void)uv_random(NULL, NULL, &number, sizeof number, 0, NULL);
    (void)snprintf(kv->process, sizeof kv->process, "%s %016" PRIx64, collector, number);
}

struct hints_kv *hints_kv_open(struct hints *hints, const struct kdnetd_config *config,
                               const struct hints_kv_user *user)
{
    const char *bucket = config_nats_hints(&config->nats);
    struct hints_kv *kv = bucket && config->nats.servers.count > 0 ? calloc(1, sizeof *kv) : NULL;
    if (!kv || uv_mutex_init(&kv->connection_lock) != 0) {
        free(kv);
        return NULL;
    }
    if (!ending_init(&kv->lock, &kv->changed)) {
        uv_mutex_destroy(&kv->connection_lock);
        free(kv);
        return NULL;
    }
    name_process(kv, config->collector);
    kv->hints = hints;
    kv->to = *user;
    (void)beats_init(&kv->beats, config->collector);
    (void)snprintf(kv->bucket, sizeof kv->bucket, "%s", bucket);
    memcpy(kv->collector, config->collector, sizeof kv->collector);
    hints_want(hints, HINTS_TO_PUBLISH);
    if (fleet_copy_options(&config->nats, &kv->nats) && uv_thread_create(&kv->thread, run, kv) == 0)
        return kv;
    free_kv(kv);
    return NULL;
}

void hints_kv_look(struct hints_kv *kv)
{
    if (kv)
        atomic_store(&kv->look, true);
}

void hints_kv_stay(struct hints_kv *kv)
{
    if (kv)
        atomic_store(&kv->stays, true);
}

void hints_kv_drain(struct hints_kv *kv, bool draining)
{
    if (!kv)
        return;
    atomic_store(&kv->state, draining ? BEATS_DRAINS : BEATS_SERVES);
    hints_wake(kv->hints, HINTS_TO_PUBLISH);
}

bool hints_kv_close(struct hints_kv *kv, unsigned wait_ms)
{
    if (!kv)
        return true;
    if (!ending_await(&kv->lock, &kv->changed, &kv->stopping, &kv->ended, wait_ms))
        return false;
    (void)uv_thread_join(&kv->thread);
    free_kv(kv);
    return true;
}
