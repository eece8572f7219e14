/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/successor.h"

void successor_take(int argc, char **argv)
{
    (void)argc;
    (void)argv;
}

bool successor_waits(void)
{
    return false;
}

const char *successor_sockets(void)
{
    return NULL;
}

bool successor_wait(char **text, size_t *length)
{
    *text = NULL;
    *length = 0;
    return false;
}

int successor_predecessor(void)
{
    return -1;
}

void successor_predecessor_ended(void)
{
}

int successor_start(const struct successor_socket *sockets, size_t count)
{
    (void)sockets;
    (void)count;
    return UV_ENOTSUP;
}

int64_t successor_ready(int channel)
{
    (void)channel;
    return UV_EOF;
}

bool successor_begin(int channel, const char *text, size_t length)
{
    (void)channel;
    (void)text;
    (void)length;
    return false;
}

void successor_drop(int channel)
{
    (void)channel;
}
