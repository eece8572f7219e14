/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnetctl/fleet_limit.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char said[2048];
static volatile sig_atomic_t length, ends_with;

static void end(int number)
{
    (void)number;
    struct pollfd place = {.fd = STDERR_FILENO, .events = POLLOUT}; /* a full pipe would keep this process */
    ssize_t written = length > 0 && poll(&place, 1, 0) > 0 ? write(STDERR_FILENO, said, (size_t)length) : 0;
    (void)written;
    _exit(ends_with);
}

void fleet_limit(const struct command *command, unsigned seconds, int status, const char *text)
{
    const struct sigaction action = {.sa_handler = end};
    sigset_t signals;
    (void)alarm(0);
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGALRM);
    length = 0;
    if (text)
        (void)snprintf(said, sizeof said, "kdnetctl %s: %s\n", command->name, text);
    if (text)
        length = (sig_atomic_t)strlen(said);
    ends_with = status;
    (void)sigaction(SIGALRM, &action, NULL);
    (void)pthread_sigmask(SIG_UNBLOCK, &signals, NULL); /* who started this program may have blocked it */
    (void)alarm(seconds);
}
