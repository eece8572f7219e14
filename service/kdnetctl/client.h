/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client: asks a running kdnetd over its HTTP interface, by its Unix socket or a URL.
 *
 * Prints faults to standard error, in the server's words where there are any; the caller only passes the exit status
 * on.
 */
#ifndef SERVICE_CTL_CLIENT_H
#define SERVICE_CTL_CLIENT_H

#include "service/kdnetctl/command.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Common options, from the command line, else from KDNETD_SOCKET, KDNETD_URL, KDNETD_TOKEN_FILE. */
struct client_options {
    const char *socket, *url, *token_file;
    bool json;
    bool utc;
};

enum { CLIENT_OPTION_SOCKET = 1000, CLIENT_OPTION_URL, CLIENT_OPTION_TOKEN, CLIENT_OPTION_JSON, CLIENT_OPTION_UTC };

/* Takes an option of command_common. False: another option. */
bool client_take_option(struct client_options *options, int option);

struct client;

/* Finds kdnetd; nothing is sent yet. Returns COMMAND_OK, or another status after a complaint; then *out is NULL. */
int client_open(struct client **out, const struct command *command, const struct client_options *options);
void client_close(struct client *client);

/*
 * Makes one request. client_get: *answer is the answered object, to be released with json_decref. client_post: the
 * answer; a body that is no JSON becomes a text, an empty one NULL. Returns COMMAND_OK, or another status after a
 * complaint; *answer is then NULL.
 */
int client_get(struct client *client, const char *path, json_t **answer);
int client_post(struct client *client, const char *method, const char *path, const json_t *body, json_t **answer);

/* Makes a request without complaints: *status is HTTP's (0: nobody answered), *answer the answer, also of an error. */
int client_try(struct client *client, const char *path, long *status, json_t **answer);

/* Why kdnetd could not be reached in the last call. */
const char *client_fault(const struct client *client);
/* Returns where kdnetd is asked: the path of the socket, or the URL. */
const char *client_place(const struct client *client);

/* Passes each line of an answer to the caller as it comes, without its line end, until `line` returns false. A
 * stream has no end. `last_id`: where a stream continues, or NULL. Returns like client_get; COMMAND_OK when the
 * caller or the server ended. */
typedef bool client_line(void *user, const char *line, size_t length);
int client_lines(struct client *client, const char *path, const char *last_id, client_line *line, void *user);

/* Appends a query parameter, percent-encoded. False: no room. */
bool client_query(char *path, size_t size, const char *name, const char *value);
/* Appends a segment of a path, percent-encoded. */
bool client_segment(char *path, size_t size, const char *text);

/* Prints a value as one line of JSON that is harmless on a terminal. */
void client_print_json(const json_t *value);

#endif
