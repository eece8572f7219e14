/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/soak/relay_capture.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define PCAP_LINK_RAW  101U /* LINKTYPE_RAW: an IP header first */
#define PCAP_SNAPLEN   65535U
#define IP_HEADER      20U
#define UDP_HEADER     8U
#define PROTOCOL_UDP   17
#define IP_VERSION_IHL 0x45
#define IP_TTL_VALUE   64

static FILE *capture;

bool relay_capture_open(const char *path)
{
    const uint32_t header[6] = {0xa1b2c3d4U, 2U | 4U << 16, 0, 0, PCAP_SNAPLEN, PCAP_LINK_RAW};
    capture = fopen(path, "wbe");
    return capture && fwrite(header, sizeof header, 1, capture) == 1;
}

void relay_capture(const struct sockaddr_in *source, const struct sockaddr_in *destination, const uint8_t *bytes,
                   size_t length)
{
    uint16_t udp_length = (uint16_t)(length + UDP_HEADER), ip_length = (uint16_t)(udp_length + IP_HEADER);
    uint8_t head[IP_HEADER + UDP_HEADER] = {IP_VERSION_IHL, [8] = IP_TTL_VALUE, [9] = PROTOCOL_UDP};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const uint32_t record[4] = {(uint32_t)now.tv_sec, (uint32_t)(now.tv_nsec / 1000), ip_length, ip_length};
    head[2] = (uint8_t)(ip_length >> 8), head[3] = (uint8_t)ip_length;
    memcpy(head + 12, &source->sin_addr, 4);
    memcpy(head + 16, &destination->sin_addr, 4);
    memcpy(head + 20, &source->sin_port, 2);
    memcpy(head + 22, &destination->sin_port, 2);
    head[24] = (uint8_t)(udp_length >> 8), head[25] = (uint8_t)udp_length;
    (void)fwrite(record, sizeof record, 1, capture);
    (void)fwrite(head, sizeof head, 1, capture);
    (void)fwrite(bytes, length, 1, capture);
}

void relay_capture_close(void)
{
    (void)fclose(capture);
}
