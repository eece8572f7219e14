/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client: asks a running kdnetd over its HTTP interface, by its Unix socket or a URL.
 *
 * Uses command. What goes wrong is told on standard error, in the words of the server where it gave some; the caller
 * only passes the exit status on.
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

/* Takes an option of command_common. False: it is none of these. */
bool client_take_option(struct client_options *options, int option);

struct client;

/* Finds kdnetd; nothing is sent yet. Returns COMMAND_OK, or another status after a complaint; then *out is NULL. */
int client_open(struct client **out, const struct command *command, const struct client_options *options);
void client_close(struct client *client);

/*
 * One request. client_get: *answer is the object that was answered, to be released with json_decref. client_post: what
 * was answered; a body that is no JSON is a text, an empty one NULL.
 * Returns COMMAND_OK, or another status after a complaint; then *answer is NULL.
 */
int client_get(struct client *client, const char *path, json_t **answer);
int client_post(struct client *client, const char *method, const char *path, const json_t *body, json_t **answer);

/* The same without complaints: *status is that of HTTP (0: nobody answered), *answer what was answered, an error's too.
 */
int client_try(struct client *client, const char *path, long *status, json_t **answer);

/* Why kdnetd could not be reached in the last call. */
const char *client_fault(const struct client *client);
/* Where it is asked: the path of the socket, or the URL. */
const char *client_place(const struct client *client);

/* Gives each line of an answer to the caller as it comes, without its line end; false ends it. A stream has no end.
 * `last_id`: where a stream goes on, or NULL. Returns as client_get; COMMAND_OK when the caller or the server ended. */
typedef bool client_line(void *user, const char *line, size_t length);
int client_lines(struct client *client, const char *path, const char *last_id, client_line *line, void *user);

/* Appends a query parameter, with what is not plain in it as %XX. False: no room. */
bool client_query(char *path, size_t size, const char *name, const char *value);
/* Appends a segment of a path in the same way. */
bool client_segment(char *path, size_t size, const char *text);

/* Prints a value as one line of JSON that is harmless on a terminal. */
void client_print_json(const json_t *value);

#endif
