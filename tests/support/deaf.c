/* SPDX-License-Identifier: Apache-2.0 */
/* deaf: put before a program (LD_PRELOAD), lets no name be found, and no search for one end: as with name servers that
 * do not answer, but for ever. */
#include <netdb.h>
#include <unistd.h>

int getaddrinfo(const char *restrict name, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict found)
{
    (void)name, (void)service, (void)hints, (void)found;
    while (1)
        (void)pause();
}
