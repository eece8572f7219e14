/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnetctl/client.h"
#include "config/remedies.h"
#include "service/kdnetctl/client_internal.h"
#include "service/kdnetctl/fields.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_FILE_MAX 4096

const struct command_option command_common[] = {
    {"socket", "PATH", CLIENT_OPTION_SOCKET, WORDS_ASK_BY},
    {"url", "URL", CLIENT_OPTION_URL, "kdnetd's address, as http://127.0.0.1:9471 (KDNETD_URL)"},
    {"token-file", "FILE", CLIENT_OPTION_TOKEN, "a token for --url, alone or as in http_tokens (KDNETD_TOKEN_FILE)"},
    {"json", NULL, CLIENT_OPTION_JSON, "a JSON object a line"},
    {"utc", NULL, CLIENT_OPTION_UTC, "times in UTC, not in this computer's zone"},
    {0}};

bool client_take_option(struct client_options *options, int option)
{
    extern char *optarg;
    switch (option) {
    case CLIENT_OPTION_SOCKET:
        options->socket = optarg;
        return true;
    case CLIENT_OPTION_URL:
        options->url = optarg;
        return true;
    case CLIENT_OPTION_TOKEN:
        options->token_file = optarg;
        return true;
    case CLIENT_OPTION_JSON:
        options->json = true;
        return true;
    case CLIENT_OPTION_UTC:
        options->utc = true;
        return true;
    default:
        return false;
    }
}

static const char *of_environment(const char *name)
{
    const char *text = getenv(name);
    return text && text[0] != '\0' ? text : NULL;
}

static int find_place(struct client *client, const struct client_options *options)
{
    const char *socket = options->socket, *url = options->url;
    if (socket && url)
        return command_misuse(client->command, "--socket or --url, not both", NULL);
    if (!socket && !url) {
        socket = of_environment("KDNETD_SOCKET");
        url = socket ? NULL : of_environment("KDNETD_URL");
    }
    const char *no_socket = WORDS_NO_SOCKET;
    if (socket && no_socket)
        return command_misuse(client->command, no_socket, NULL);
    const char *place = socket ? socket : url;
    if (place && strlen(place) >= sizeof client->place)
        return command_misuse(client->command, "this place is too long:", place);
    if (url && strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return command_misuse(client->command, "a URL begins with http:// or https://; this does not:", url);
    if (!place) {
        client_find_place(client);
        client->searched = true;
        return COMMAND_OK;
    }
    client->by_socket = socket != NULL;
    (void)snprintf(client->place, sizeof client->place, "%s", place);
    size_t length = strlen(place);
    while (url && length > 0 && client->place[length - 1] == '/')
        client->place[--length] = '\0';
    return COMMAND_OK;
}

/* Finds the last word of the first line that is no comment: the token alone, or a line of http_tokens. */
static bool find_token(char *text, char *out, size_t size)
{
    char *rest = NULL, *last = NULL, *word_rest = NULL;
    for (char *line = strtok_r(text, "\r\n", &rest); line && !last; line = strtok_r(NULL, "\r\n", &rest))
        for (char *word = strtok_r(line, " \t", &word_rest); word && word[0] != '#';
             word = strtok_r(NULL, " \t", &word_rest))
            last = word;
    if (!last || strlen(last) >= size)
        return false;
    for (const char *c = last; *c; ++c)
        if (*c <= ' ' || *c > '~')
            return false;
    (void)snprintf(out, size, "%s", last);
    return true;
}

static int read_token(struct client *client, const char *path)
{
    char text[TOKEN_FILE_MAX + 1];
    FILE *file = fopen(path, "re");
    size_t length = file ? fread(text, 1, TOKEN_FILE_MAX, file) : 0;
    int error = file && !ferror(file) ? 0 : errno;
    if (file)
        (void)fclose(file);
    if (error != 0) {
        command_say(client->command, "the token file %s cannot be read: %s", path, strerror(error));
        return COMMAND_USAGE;
    }
    text[length] = '\0';
    bool found = find_token(text, client->token, sizeof client->token);
    explicit_bzero(text, sizeof text);
    if (found)
        return COMMAND_OK;
    command_say(client->command, "the token file %s holds no token; `kdnetctl token add NAME` makes one", path);
    return COMMAND_USAGE;
}

int client_open(struct client **out, const struct command *command, const struct client_options *options)
{
    const char *token_file = options->token_file ? options->token_file : of_environment("KDNETD_TOKEN_FILE");
    struct client *client = calloc(1, sizeof *client);
    *out = NULL;
    if (!client) {
        command_say(command, "out of memory");
        return COMMAND_FAILED;
    }
    client->command = command;
    int status = find_place(client, options);
    if (!token_file && client->searched)
        token_file = client_usual_token();
    if (status == COMMAND_OK && token_file && !client->by_socket)
        status = read_token(client, token_file);
    if (status == COMMAND_OK)
        status = client_transport_open(client);
    if (status == COMMAND_OK)
        *out = client;
    else
        client_close(client);
    return status;
}

void client_close(struct client *client)
{
    if (!client)
        return;
    client_transport_close(client);
    explicit_bzero(client->token, sizeof client->token);
    free(client);
}

const char *client_fault(const struct client *client)
{
    return client->fault;
}

const char *client_place(const struct client *client)
{
    return client->place;
}

static int say_unreachable(const struct client *client)
{
    (void)fprintf(stderr, "kdnetctl %s: kdnetd cannot be reached at ", client->command->name);
    command_print_argument(stderr, client->place);
    (void)fprintf(stderr, ": %s\n", client->fault);
    if (client->searched)
        (void)fprintf(stderr, "Is it running? See: %s. " WORDS_OTHER_PLACE " names another place.\n", REMEDY_STATUS);
    else
        (void)fprintf(stderr, "Is it running there? See: %s\n", REMEDY_STATUS);
    return COMMAND_UNREACHABLE;
}

static void print_mistakes(const json_t *problem)
{
    size_t i;
    const json_t *mistake;
    const json_t *errors = fields_at(problem, "errors");
    json_array_foreach((json_t *)errors, i, mistake)
    { // NOLINT(cert-exp05-c): jansson's macro wants it
        char line[FIELDS_SIZE];
        (void)fputs("  ", stderr);
        command_print_argument(stderr, fields_text(mistake, "file", "-"));
        (void)fprintf(stderr, ":%s: ", fields_cell(mistake, "line", line));
        command_print_argument(stderr, fields_text(mistake, "field", "-"));
        (void)fputs(": ", stderr);
        command_print_argument(stderr, fields_text(mistake, "detail", "-"));
        (void)fputc('\n', stderr);
    }
}

/* Prints a problem in the server's words: its detail has the remedy. */
static int say_problem(const struct client *client, long status, const json_t *problem)
{
    const char *title = fields_text(problem, "title", NULL), *detail = fields_text(problem, "detail", NULL);
    (void)fprintf(stderr, "kdnetctl %s: ", client->command->name);
    if (title || detail) {
        command_print_argument(stderr, title ? title : detail);
        if (title && detail) {
            (void)fputs(": ", stderr);
            command_print_argument(stderr, detail);
        }
    } else {
        (void)fprintf(stderr, "kdnetd answered with HTTP status %ld and no reason; is it a kdnetd?", status);
    }
    (void)fputc('\n', stderr);
    print_mistakes(problem);
    if (status == 401 && !client->token[0])
        (void)fputs("--token-file FILE or KDNETD_TOKEN_FILE names a token" WORDS_NO_TOKEN ".\n", stderr);
    bool no_such = fields_is(problem, "type", "urn:kdnetd:problem:no-such-target") ||
                   fields_is(problem, "type", "urn:kdnetd:problem:not-found");
    return status == 404 && no_such ? COMMAND_NO_TARGET : COMMAND_FAILED;
}

static int judge(const struct client *client, long status, json_t **answer)
{
    if (status >= 200 && status < 300)
        return COMMAND_OK;
    int outcome = status == 0 ? say_unreachable(client) : say_problem(client, status, *answer);
    json_decref(*answer);
    *answer = NULL;
    return outcome;
}

int client_get(struct client *client, const char *path, json_t **answer)
{
    int status = client_post(client, "GET", path, NULL, answer);
    if (status != COMMAND_OK || json_is_object(*answer))
        return status;
    command_say(client->command, "the answer is not what a kdnetd says; is there a kdnetd at that place?");
    json_decref(*answer);
    *answer = NULL;
    return COMMAND_FAILED;
}

int client_post(struct client *client, const char *method, const char *path, const json_t *body, json_t **answer)
{
    long status = client_transport(client, method, path, body, answer);
    return judge(client, status, answer);
}

int client_try(struct client *client, const char *path, long *status, json_t **answer)
{
    *status = client_transport(client, "GET", path, NULL, answer);
    return *status == 0 ? COMMAND_UNREACHABLE : COMMAND_OK;
}

int client_lines(struct client *client, const char *path, const char *last_id, client_line *line, void *user)
{
    json_t *answer = NULL;
    long status = client_transport_lines(client, path, last_id, line, user, &answer);
    return judge(client, status, &answer);
}

static bool append_escaped(char *path, size_t size, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t at = strlen(path);
    for (; *text; ++text) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("-._~", c);
        if (at + 4 > size)
            return false;
        if (plain) {
            path[at++] = (char)c;
            continue;
        }
        path[at++] = '%';
        path[at++] = digits[c >> 4];
        path[at++] = digits[c & 15];
    }
    path[at] = '\0';
    return true;
}

bool client_query(char *path, size_t size, const char *name, const char *value)
{
    size_t at = strlen(path);
    int count = snprintf(path + at, size - at, "%c%s=", strchr(path, '?') ? '&' : '?', name);
    return count > 0 && (size_t)count < size - at && append_escaped(path, size, value);
}

bool client_segment(char *path, size_t size, const char *text)
{
    return append_escaped(path, size, text);
}

void client_print_json(const json_t *value)
{
    /* It fails for want of memory, and when standard output is closed: ask_end looks there, too. */
    if (json_dumpf(value, stdout, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) != 0 &&
        !ferror(stdout))
        command_short_of_memory();
    (void)putchar('\n');
}
