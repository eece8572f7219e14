/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel that does not give datagrams to the worker that they are for: preloaded, and SO_ATTACH_REUSEPORT_CBPF fails.
 */
#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>

#pragma GCC diagnostic ignored "-Wpedantic" /* a function from a void pointer: POSIX has it so */

int setsockopt(int descriptor, int level, int name, const void *value, socklen_t length)
{
    int (*next)(int, int, int, const void *,
                socklen_t) = (int (*)(int, int, int, const void *, socklen_t))dlsym(RTLD_NEXT, "setsockopt");
    if (level == SOL_SOCKET && name == SO_ATTACH_REUSEPORT_CBPF) {
        errno = ENOPROTOOPT;
        return -1;
    }
    return next(descriptor, level, name, value, length);
}
