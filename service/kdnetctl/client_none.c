/* SPDX-License-Identifier: Apache-2.0 */
/* Builds without libcurl: commands that ask kdnetd report that. */
#include "service/kdnetctl/client_internal.h"

int client_transport_open(struct client *client)
{
    command_say(client->command, "this kdnetctl was built without libcurl and cannot ask kdnetd; build it with "
                                 "libcurl4-openssl-dev and KDNETD_CURL=ON");
    return COMMAND_FAILED;
}

void client_transport_close(struct client *client)
{
    (void)client;
}

long client_transport(struct client *client, const char *method, const char *path, const json_t *body, json_t **answer)
{
    (void)client;
    (void)method;
    (void)path;
    (void)body;
    *answer = NULL;
    return 0;
}

long client_transport_lines(struct client *client, const char *path, const char *last_id, client_line *line, void *user,
                            json_t **answer)
{
    (void)line;
    (void)user;
    (void)last_id;
    return client_transport(client, "GET", path, NULL, answer);
}
