/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnetctl/client_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_socket(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISSOCK(status.st_mode);
}

static bool try_folder(struct client *client, const char *name, const char *otherwise)
{
    const char *folder = name ? getenv(name) : otherwise;
    if (!folder || folder[0] == '\0')
        return false;
    size_t length = name ? strcspn(folder, ":") : strlen(folder);
    (void)snprintf(client->place, sizeof client->place, "%.*s/kdnetd.sock", (int)length, folder);
    return is_socket(client->place);
}

/* Tries kdnetd's default places for its socket, in the same order. */
void client_find_place(struct client *client)
{
    client->by_socket = true;
    if (try_folder(client, "RUNTIME_DIRECTORY", NULL) || try_folder(client, NULL, "/run/kdnetd") ||
        try_folder(client, "XDG_RUNTIME_DIR", NULL))
        return;
    (void)snprintf(client->place, sizeof client->place, "/run/kdnetd/kdnetd.sock");
}

const char *client_usual_token(void)
{
    return NULL;
}
