/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcap_header: libpcap's frame header, in the layout of the installed libpcap.
 */
#ifndef SERVICE_CAPTURE_PCAP_HEADER_H
#define SERVICE_CAPTURE_PCAP_HEADER_H

#include <pcap/pcap.h>
#include <stdint.h>

#ifdef KDNETD_PCAP_TIME32
/* struct pcap_pkthdr of a libpcap that was built with 32-bit seconds, where ours are 64 bits. */
struct pcap_header {
    struct {
        int32_t tv_sec, tv_usec;
    } ts;
    uint32_t caplen, len;
};
#else
#define pcap_header pcap_pkthdr
#endif

#endif
