/* SPDX-License-Identifier: Apache-2.0 */
/* The service control manager keeps no sockets: what comes while kdnetd starts again, machines send again. */
#include "service/platform/inherited.h"

void inherited_take(void)
{
}

size_t inherited_sockets(const struct sockaddr *local, uv_os_sock_t *out, size_t room)
{
    (void)local;
    (void)out;
    (void)room;
    return 0;
}

size_t inherited_close_rest(void)
{
    return 0;
}

int inherited_duplicate(uv_os_sock_t socket, uv_os_sock_t *out)
{
    (void)socket;
    (void)out;
    return UV_ENOSYS;
}

void inherited_keep(const struct sockaddr *local, unsigned index, uv_os_sock_t socket)
{
    (void)local;
    (void)index;
    (void)socket;
}

void inherited_forget(const struct sockaddr *local, unsigned index)
{
    (void)local;
    (void)index;
}
