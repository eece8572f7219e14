/* SPDX-License-Identifier: Apache-2.0 */
/*
 * no_calls NAME=ERRNO... -- PROGRAM [ARGUMENT]...: runs a program under a filter of system calls that refuses some, as
 * a container's or a unit's does. Names: recvmmsg, recvmsg, recvfrom, sendmmsg, sendmsg, sendto, reuseport (setsockopt
 * with SO_REUSEPORT), ipv6 (socket of that family).
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STEPS_MAX      64
#define WORD(argument) (offsetof(struct seccomp_data, args) + 8 * (argument)) /* the low half: little endian */

struct refusal {
    const char *name;
    long number;
    int argument; /* that has to be `value`; -1: none */
    unsigned value;
};

static const struct refusal refusals[] = {
    {"recvmmsg", SYS_recvmmsg, -1, 0},
    {"recvmsg", SYS_recvmsg, -1, 0},
    {"recvfrom", SYS_recvfrom, -1, 0},
    {"sendmmsg", SYS_sendmmsg, -1, 0},
    {"sendmsg", SYS_sendmsg, -1, 0},
    {"sendto", SYS_sendto, -1, 0},
    {"reuseport", SYS_setsockopt, 2, SO_REUSEPORT},
    {"ipv6", SYS_socket, 0, AF_INET6},
};

static struct sock_filter steps[STEPS_MAX];
static unsigned short step_count;

static void add(unsigned code, unsigned k, unsigned char yes, unsigned char no)
{
    steps[step_count++] = (struct sock_filter){.code = (unsigned short)code, .jt = yes, .jf = no, .k = k};
}

static void refuse(const char *text)
{
    const char *sign = strchr(text, '=');
    for (size_t i = 0; sign && i < sizeof refusals / sizeof refusals[0]; ++i) {
        const struct refusal *r = &refusals[i];
        if (strncmp(r->name, text, (size_t)(sign - text)) != 0 || r->name[sign - text] != '\0' ||
            step_count + 6 > STEPS_MAX)
            continue;
        add(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
        add(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)r->number, 0, r->argument >= 0 ? 3 : 1);
        if (r->argument >= 0) {
            add(BPF_LD | BPF_W | BPF_ABS, (unsigned)WORD((size_t)r->argument), 0, 0);
            add(BPF_JMP | BPF_JEQ | BPF_K, r->value, 0, 1);
        }
        add(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((unsigned)atoi(sign + 1) & SECCOMP_RET_DATA), 0, 0);
        return;
    }
    (void)fprintf(stderr, "no_calls: what is %s?\n", text);
    exit(2);
}

int main(int argc, char **argv)
{
    int i = 1;
    for (; i < argc && strcmp(argv[i], "--") != 0; ++i)
        refuse(argv[i]);
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    struct sock_fprog filter = {.len = step_count, .filter = steps};
    if (i + 1 >= argc || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        perror("no_calls");
        return 2;
    }
    (void)execv(argv[i + 1], argv + i + 1);
    perror(argv[i + 1]);
    return 2;
}
