/* SPDX-License-Identifier: Apache-2.0 */
/* A socket whose buffer is full now and then: preloaded, and each third sendmmsg takes nothing, each third one only the
 * first datagram. The file that KDNETD_TEST_BUSY names says that it was so. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wpedantic" /* a function from a void pointer: POSIX has it so */

static atomic_uint calls;

int sendmmsg(int descriptor, struct mmsghdr *messages, unsigned count, int flags)
{
    int (*next)(int, struct mmsghdr *, unsigned,
                int) = (int (*)(int, struct mmsghdr *, unsigned, int))dlsym(RTLD_NEXT, "sendmmsg");
    unsigned call = atomic_fetch_add(&calls, 1);
    const char *mark = getenv("KDNETD_TEST_BUSY");
    if (call == 0 && mark)
        (void)close(open(mark, O_CREAT | O_WRONLY, 0600));
    if (call % 3 == 0) {
        errno = EAGAIN;
        return -1;
    }
    return next(descriptor, messages, call % 3 == 1 && count > 1 ? 1 : count, flags);
}
