/* SPDX-License-Identifier: Apache-2.0 */
/* deaf: put before a program (LD_PRELOAD), lets no name be found, and no search for one end: as with name servers that
 * do not answer, but for ever. The file KDNETD_DEAF_MARK, if there is such a name, is made when the first begins. */
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>

int getaddrinfo(const char *restrict name, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict found)
{
    const char *mark = getenv("KDNETD_DEAF_MARK");
    (void)name, (void)service, (void)hints, (void)found;
    if (mark)
        (void)close(open(mark, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    while (1)
        (void)pause();
}
