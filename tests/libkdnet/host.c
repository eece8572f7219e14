/* SPDX-License-Identifier: Apache-2.0 */
/* host PORT w.x.y.z [RVA]: tells the verdicts of one machine's crash dumps; RVA: where its kernel has their status. */
#include <kdnet/kdnet.h>
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static enum kdnet_rva_answer find_rva(void *user, const struct kdnet_pdb *pdb, const char *symbol, uint32_t *rva,
                                      enum kdnet_source *source)
{
    *rva = user && pdb ? (uint32_t)strtoul((const char *)user, NULL, 16) : 0;
    *source = KDNET_SOURCE_RVA;
    return *rva && strcmp(symbol, KDNET_STATUS_SYMBOL) == 0 ? KDNET_RVA_FOUND : KDNET_RVA_NO_SYMBOLS;
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
    static struct sockaddr_in target, sender;
    struct pollfd udp = {socket(AF_INET, SOCK_DGRAM, 0), POLLIN, 0};
    struct kdnet_session_shared shared;
    struct kdnet_key key;
    struct kdnet_received received;
    struct kdnet_event event;
    struct kdnet_outgoing out;
    target.sin_family = AF_INET;
    target.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0));
    if (argc < 3 || kdnet_key_parse(argv[2], strlen(argv[2]), &key, NULL, NULL) != KDNET_OK ||
        bind(udp.fd, (struct sockaddr *)&target, sizeof target) != 0)
        return 2;
    kdnet_session_shared_init(&shared, kdnet_crypto_new());
    shared.find_rva = find_rva;
    shared.user = argv[3];
    struct kdnet_session *host = kdnet_session_new(&shared, NULL, &key);
    while (host && poll(&udp, 1, 10) >= 0) {
        socklen_t size = sizeof sender;
        ssize_t n = recvfrom(udp.fd, out.payload, sizeof out.payload, MSG_DONTWAIT, (struct sockaddr *)&sender, &size);
        if (n >= 0 && kdnet_session_receive(host, out.payload, (size_t)n, now_us(), &received) == 0 && received.live)
            target = sender;
        kdnet_session_expire(host, now_us());
        while (kdnet_session_next_event(host, &event))
            if (event.type == KDNET_EVENT_CRASH_STATUS)
                printf("%s: bug check %X, dump %s\n", kdnet_phase_name(event.u.crash_status.phase),
                       event.u.crash_status.bugcheck.data.code,
                       kdnet_verdict_name(event.u.crash_status.conclusion.verdict));
        fflush(stdout);
        while (kdnet_session_next_datagram(host, now_us(), &out))
            sendto(udp.fd, out.payload, out.length, 0, (struct sockaddr *)(out.to_sender ? &sender : &target), size);
    }
    return 1;
}
