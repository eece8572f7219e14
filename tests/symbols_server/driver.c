/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The symbol server client on a leash: settings as NAME=VALUE arguments, commands on standard input, one line of
 * answer for each on standard output, fields between tabs.
 *
 *   fetch NAME GUIDAGE          RESULT PATH REASON
 *   many COUNT NAME GUIDAGE     COUNT such lines, from as many threads at once
 *   start NAME GUIDAGE          (no answer) fetches in a thread;  join: its RESULT PATH REASON
 *   advance SECONDS             the clock, which stands still otherwise;  ok
 *   stop                        symbol_server_stop;  ok
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "service/symbols/server.h"

#define THREADS_MAX 64
#define ROOM        4096

struct job {
    uv_thread_t thread;
    const struct symbol_server *server;
    char name[256], guidage[256];
    enum symbol_fetch result;
    char path[ROOM], reason[SYMBOL_SERVER_REASON_SIZE];
};

static _Atomic int64_t clock_ms;
static struct job jobs[THREADS_MAX];

static int64_t now_ms(void *context)
{
    (void)context;
    return atomic_load(&clock_ms);
}

static bool set(struct symbol_server *server, const char *argument)
{
    const char *value = strchr(argument, '=');
    size_t length = value != NULL ? (size_t)(value - argument) : 0;
    if (value == NULL) {
        return false;
    }
    value++;
#define IS(text) (length == sizeof(text) - 1 && strncmp(argument, text, length) == 0)
    if (IS("directory")) {
        server->directory = value;
    } else if (IS("url")) {
        server->url = value;
    } else if (IS("ca_file")) {
        server->ca_file = value;
    } else if (IS("size_limit")) {
        server->size_limit = strtoull(value, NULL, 10);
    } else if (IS("total_timeout_ms")) {
        server->total_timeout_ms = (uint32_t)strtoul(value, NULL, 10);
    } else if (IS("low_speed_seconds")) {
        server->low_speed_seconds = (uint32_t)strtoul(value, NULL, 10);
    } else if (IS("now")) {
        atomic_store(&clock_ms, strtoll(value, NULL, 10) * 1000);
    } else {
        return false;
    }
#undef IS
    return true;
}

static void run(void *context)
{
    struct job *job = context;
    job->result = symbol_server_fetch(job->server, job->name, job->guidage, job->path, sizeof(job->path), job->reason,
                                      sizeof(job->reason));
}

static void show(const struct job *job)
{
    printf("%s\t%s\t%s\n", symbol_fetch_text(job->result), job->path, job->reason);
}

static void prepare(struct job *job, const struct symbol_server *server, const char *name, const char *guidage)
{
    memset(job, 0, sizeof(*job));
    job->server = server;
    (void)snprintf(job->name, sizeof(job->name), "%s", name);
    (void)snprintf(job->guidage, sizeof(job->guidage), "%s", guidage);
}

static void many(const struct symbol_server *server, size_t count, const char *name, const char *guidage)
{
    for (size_t i = 0; i < count && i < THREADS_MAX; i++) {
        prepare(&jobs[i], server, name, guidage);
        if (uv_thread_create(&jobs[i].thread, run, &jobs[i]) != 0) {
            abort();
        }
    }
    for (size_t i = 0; i < count && i < THREADS_MAX; i++) {
        (void)uv_thread_join(&jobs[i].thread);
        show(&jobs[i]);
    }
}

static void obey(const struct symbol_server *server, char *line)
{
    const char *words[4] = {"", "", "", ""};
    char *rest = NULL;
    size_t count = 0;
    for (char *word = strtok_r(line, "\t\n", &rest); word != NULL && count < 4; word = strtok_r(NULL, "\t\n", &rest)) {
        words[count++] = word;
    }
    if (strcmp(words[0], "fetch") == 0) {
        prepare(&jobs[0], server, words[1], words[2]);
        run(&jobs[0]);
        show(&jobs[0]);
    } else if (strcmp(words[0], "many") == 0) {
        many(server, strtoul(words[1], NULL, 10), words[2], words[3]);
    } else if (strcmp(words[0], "start") == 0) {
        prepare(&jobs[0], server, words[1], words[2]);
        if (uv_thread_create(&jobs[0].thread, run, &jobs[0]) != 0) {
            abort();
        }
    } else if (strcmp(words[0], "join") == 0) {
        (void)uv_thread_join(&jobs[0].thread);
        show(&jobs[0]);
    } else if (strcmp(words[0], "advance") == 0) {
        (void)atomic_fetch_add(&clock_ms, strtoll(words[1], NULL, 10) * 1000);
        puts("ok");
    } else if (strcmp(words[0], "stop") == 0) {
        symbol_server_stop(server);
        puts("ok");
    } else {
        puts("what?");
    }
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    struct symbol_server server = {.now_ms = now_ms};
    char reason[SYMBOL_SERVER_REASON_SIZE] = "";
    char line[1024];
    for (int i = 1; i < argc; i++) {
        if (!set(&server, argv[i])) {
            (void)fprintf(stderr, "what is %s?\n", argv[i]);
            return 2;
        }
    }
    (void)signal(SIGPIPE, SIG_IGN); /* NOLINT(cert-err33-c): nothing to do when it fails */
    if (!symbol_server_init(&server, reason, sizeof(reason))) {
        printf("init\t\t%s\n", reason);
        return 1;
    }
    puts("ready");
    (void)fflush(stdout);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        obey(&server, line);
    }
    symbol_server_clear(&server);
    return 0;
}
