/* SPDX-License-Identifier: Apache-2.0 */
/* client, inside: the transport. client_curl.c speaks HTTP by libcurl; client_none.c reports that it is missing. */
#ifndef SERVICE_CTL_CLIENT_INTERNAL_H
#define SERVICE_CTL_CLIENT_INTERNAL_H

#include "service/kdnetctl/client.h"

#define CLIENT_PLACE_SIZE 1024
#define CLIENT_TOKEN_SIZE 512
#define CLIENT_FAULT_SIZE 512

struct client {
    const struct command *command;
    bool by_socket;
    bool searched; /* nobody named a place */
    char place[CLIENT_PLACE_SIZE];
    char token[CLIENT_TOKEN_SIZE];
    char fault[CLIENT_FAULT_SIZE]; /* why nobody answered */
    void *transport;
};

/* Where kdnetd of this computer answers, unless told: client_place_posix.c or client_place_windows.c. */
void client_find_place(struct client *client);
const char *client_usual_token(void); /* the default token file; NULL: none is needed, or readable */

int client_transport_open(struct client *client);
void client_transport_close(struct client *client);

/* A request. Returns HTTP's status, 0 when nobody answered (`fault` says why). */
long client_transport(struct client *client, const char *method, const char *path, const json_t *body, json_t **answer);

/* Requests an answer line by line. `answer` is an error's. */
long client_transport_lines(struct client *client, const char *path, const char *last_id, client_line *line, void *user,
                            json_t **answer);

#endif
