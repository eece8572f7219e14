/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/program.h"

#include <openssl/crypto.h>
#include <signal.h>
#include <sys/resource.h>

void program_start(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    (void)signal(SIGPIPE, SIG_IGN); // NOLINT(cert-err33-c): nothing to do when it fails
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
}

int program_signal_summary(void)
{
    return SIGUSR1;
}

uint64_t program_raise_files(uint64_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return wanted;
    if (limit.rlim_cur < wanted) {
        rlim_t before = limit.rlim_cur;
        limit.rlim_cur = wanted < limit.rlim_max ? (rlim_t)wanted : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            return before;
    }
    return limit.rlim_cur;
}

bool program_refused_is_deaf(void)
{
    return false;
}
