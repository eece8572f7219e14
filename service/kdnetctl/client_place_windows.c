/* SPDX-License-Identifier: Apache-2.0 */
/* Without a Unix socket: HTTP on this computer, with the token that `kdnetd service install` has made. */
#include "service/kdnetctl/client_internal.h"

#include <stdio.h>

#define TOKEN_FILE KDNETD_ETC "/kdnetd/tokens"

void client_find_place(struct client *client)
{
    client->by_socket = false;
    (void)snprintf(client->place, sizeof client->place, "http://127.0.0.1:9471");
}

/* Only administrators can read the file; others may ask without a token. */
const char *client_usual_token(void)
{
    FILE *file = fopen(TOKEN_FILE, "rb");
    if (!file)
        return NULL;
    (void)fclose(file);
    return TOKEN_FILE;
}
