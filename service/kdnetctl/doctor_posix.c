/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl doctor: checks on this computer. */
#include "service/kdnetctl/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_SIZE 1024
#define MTU_LEAST 1300 /* a machine's largest replies, with their headers; KDNET puts no fragments together */

/* The port behind the last colon. */
static unsigned port_of(const char *address)
{
    const char *colon = strrchr(address, ':');
    unsigned long port = colon ? strtoul(colon + 1, NULL, 10) : 0;
    return port <= 65535 ? (unsigned)port : 0;
}

/* Of sockets with this port, in a table of /proc/net. Returns whether there are some. */
static bool count_drops(const char *path, unsigned port, unsigned long *drops)
{
    char line[LINE_SIZE];
    FILE *file = fopen(path, "re");
    bool some = false;
    while (file && fgets(line, sizeof line, file)) {
        unsigned found = 0;
        size_t end = strcspn(line, "\n");
        while (end > 0 && line[end - 1] == ' ')
            line[--end] = '\0';
        line[end] = '\0';
        const char *last = strrchr(line, ' ');
        if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%x", &found) != 1 || found != port || !last) // NOLINT(cert-err34-c)
            continue;
        some = true;
        *drops += strtoul(last + 1, NULL, 10);
    }
    if (file)
        (void)fclose(file);
    return some;
}

void doctor_check_drops(struct doctor *doctor, const char *listener)
{
    unsigned long drops = 0;
    unsigned port = port_of(listener);
    bool some = count_drops("/proc/net/udp", port, &drops);
    some = count_drops("/proc/net/udp6", port, &drops) || some;
    if (!doctor->is_local || !some) {
        doctor_report(doctor, "dropped_by_kernel", DOCTOR_CANNOT_TELL,
                      "whether the kernel drops datagrams can be seen on kdnetd's computer alone");
        return;
    }
    if (drops == 0) {
        doctor_report(doctor, "dropped_by_kernel", DOCTOR_OK, "the kernel dropped no datagram of UDP port %u", port);
        return;
    }
    doctor_report(doctor, "dropped_by_kernel", DOCTOR_WRONG,
                  "the kernel dropped %lu datagrams of UDP port %u: its buffer was full", drops, port);
    doctor_blame(
        doctor, "dropped_by_kernel",
        "Let the kernel grant larger buffers, and restart kdnetd: sysctl -w net.core.rmem_max=16777216. When it "
        "goes on, kdnetd has too few processors (workers), or somebody floods the port.");
}

/* --------------------------------------------------------------------------------------------------- firewall */

enum verdict { VERDICT_NONE, VERDICT_ACCEPTS, VERDICT_DROPS, VERDICT_DROPS_BY_POLICY };

static bool names_port(const char *line, unsigned port)
{
    char text[16];
    int length = snprintf(text, sizeof text, "%u", port);
    for (const char *at = strstr(line, "port"); at && (at = strstr(at, text)); ++at) {
        bool begins = at[-1] == ' ' || at[-1] == '{' || at[-1] == ',',
             ends = !strchr("0123456789", at[length]) || at[length] == '\0';
        if (begins && ends)
            return true;
    }
    return false;
}

/* A line of nft's or iptables' list of rules. */
static enum verdict judge_rule(const char *line, unsigned port)
{
    bool drops = strstr(line, "drop") || strstr(line, "DROP") || strstr(line, "reject") || strstr(line, "REJECT");
    if (strstr(line, "hook input") || strncmp(line, "-P INPUT", 8) == 0)
        return strstr(line, "policy drop") || strstr(line, " DROP") ? VERDICT_DROPS_BY_POLICY : VERDICT_NONE;
    if (strstr(line, "tcp ") && !strstr(line, "udp"))
        return VERDICT_NONE;
    if (!names_port(line, port))
        return VERDICT_NONE;
    return drops ? VERDICT_DROPS : strstr(line, "accept") || strstr(line, "ACCEPT") ? VERDICT_ACCEPTS : VERDICT_NONE;
}

/* The first rule for the port counts; the policy when there is none. False: the command is not there or may not look.
 */
static bool read_rules(const char *command, unsigned port, enum verdict *out)
{
    char line[LINE_SIZE];
    FILE *pipe = popen(command, "re"); // NOLINT(cert-env33-c): a constant, with PATH as root has it
    if (!pipe)
        return false;
    while (fgets(line, sizeof line, pipe)) {
        enum verdict verdict = judge_rule(line + strspn(line, " \t"), port);
        bool is_rule = verdict != VERDICT_NONE && verdict != VERDICT_DROPS_BY_POLICY;
        if (*out == VERDICT_NONE || (*out == VERDICT_DROPS_BY_POLICY && is_rule))
            *out = verdict;
    }
    return pclose(pipe) == 0;
}

void doctor_check_firewall(struct doctor *doctor, const char *listener)
{
    enum verdict verdict = VERDICT_NONE;
    unsigned port = port_of(listener);
    bool seen = false;
    if (doctor->is_local && geteuid() == 0) {
        seen = read_rules("nft list ruleset 2>/dev/null", port, &verdict);
        seen = read_rules("iptables -S 2>/dev/null", port, &verdict) || seen;
    }
    if (!seen) {
        doctor_report(doctor, "firewall", DOCTOR_CANNOT_TELL,
                      "the firewall can be seen by root on kdnetd's computer, with nft or iptables there; those on the "
                      "way cannot be seen at all");
        return;
    }
    if (verdict != VERDICT_DROPS && verdict != VERDICT_DROPS_BY_POLICY) {
        doctor_report(doctor, "firewall", DOCTOR_OK, "no rule of this computer drops UDP port %u", port);
        return;
    }
    doctor_report(doctor, "firewall", DOCTOR_WRONG, "this computer's firewall drops UDP port %u (%s)", port,
                  verdict == VERDICT_DROPS ? "a rule for it" : "policy of its input chain, and no rule for the port");
    doctor_blame(doctor, "firewall",
                 "Let UDP port %u in: nft add rule inet filter input udp dport %u accept, before the "
                 "rule that drops it, or with ufw: ufw allow %u/udp.",
                 port, port, port);
}

/* --------------------------------------------------------------------------------------------------- the way */

/* "192.0.2.7:51111", "[2001:db8::7]:51111", or without a port. */
static bool parse_address(const char *text, struct sockaddr_storage *out, socklen_t *length)
{
    char ip[INET6_ADDRSTRLEN + 1];
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof *out);
    bool brackets = text[0] == '[';
    size_t count = brackets ? strcspn(text + 1, "]") : strspn(text, "0123456789.");
    if (!brackets && text[count] != ':' && text[count] != '\0')
        count = strlen(text);
    if (!brackets && strchr(text, ':') && strchr(strchr(text, ':') + 1, ':'))
        count = strlen(text);
    if (count == 0 || count >= sizeof ip)
        return false;
    memcpy(ip, text + brackets, count);
    ip[count] = '\0';
    if (inet_pton(AF_INET, ip, &ipv4->sin_addr) == 1) {
        ipv4->sin_family = AF_INET;
        ipv4->sin_port = htons(9);
        *length = sizeof *ipv4;
        return true;
    }
    ipv6->sin6_family = AF_INET6;
    ipv6->sin6_port = htons(9);
    *length = sizeof *ipv6;
    return inet_pton(AF_INET6, ip, &ipv6->sin6_addr) == 1;
}

/* Asks the kernel for the path MTU without sending. Returns 0 or errno. */
static int find_mtu(const struct sockaddr_storage *address, socklen_t length, int *mtu)
{
    bool ipv6 = address->ss_family == AF_INET6;
    socklen_t size = sizeof *mtu;
    int descriptor = socket(address->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = 0;
    if (descriptor < 0)
        return errno;
    if (connect(descriptor, (const struct sockaddr *)address, length) != 0 ||
        getsockopt(descriptor, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, ipv6 ? IPV6_MTU : IP_MTU, mtu, &size) != 0)
        error = errno;
    (void)close(descriptor);
    return error;
}

void doctor_check_way(struct doctor *doctor, const char *address)
{
    struct sockaddr_storage where;
    socklen_t length = 0;
    int mtu = 0;
    if (!doctor->is_local || !parse_address(address, &where, &length)) {
        doctor_report(doctor, "way", DOCTOR_CANNOT_TELL,
                      "the way to the machine can be seen on kdnetd's computer alone");
        return;
    }
    int error = find_mtu(&where, length, &mtu);
    if (error != 0)
        doctor_report(doctor, "way", DOCTOR_CANNOT_TELL, "no way to %s: %s", address, strerror(error));
    else if (mtu >= MTU_LEAST)
        doctor_report(doctor, "way", DOCTOR_OK, "datagrams of %d bytes fit on the way to %s", mtu, address);
    else {
        doctor_report(doctor, "way", DOCTOR_WRONG, "datagrams of more than %d bytes do not fit on the way to %s", mtu,
                      address);
        doctor_blame(
            doctor, "small_mtu",
            "Let %d bytes through on the way (an MTU of 1500; tunnels make it smaller): KDNET puts no fragments "
            "together, and reads of the machine's memory get no answer.",
            MTU_LEAST);
    }
}
