/* SPDX-License-Identifier: Apache-2.0 */
#include "service/ctl/capture.h"
#include "kdnet/wire.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>

#define TIME_MAX_S 253402300799 /* 9999-12-31T23:59:59Z, the last second that RFC 3339 can write */

/* EtherTypes. */
enum {
    TYPE_IPV4 = 0x0800,
    TYPE_VLAN = 0x8100,
    TYPE_IPV6 = 0x86dd,
    TYPE_QINQ = 0x88a8,
    TYPE_QINQ_OLD = 0x9100,
};

/* IP protocol numbers, and IPv6 extension headers among them. */
enum {
    NEXT_HOP_BY_HOP = 0,
    NEXT_UDP = 17,
    NEXT_ROUTING = 43,
    NEXT_FRAGMENT = 44,
    NEXT_AUTHENTICATION = 51,
    NEXT_OPTIONS = 60,
    NEXT_MOBILITY = 135,
    NEXT_HIP = 139,
    NEXT_SHIM6 = 140,
};

struct capture {
    pcap_t *pcap;
    int link_type;
    int64_t first_us;
    struct capture_counts counts;
};

/* What is left of a frame: `length` captured bytes, of `wire_length` that were sent. length <= wire_length. */
struct view {
    const uint8_t *data;
    size_t length, wire_length;
};

/* Steps over `count` captured bytes. */
static bool skip(struct view *view, size_t count)
{
    if (count > view->length)
        return false;
    view->data += count;
    view->length -= count;
    view->wire_length -= count;
    return true;
}

/* Takes a length from a header: what lies after it is padding of the link. */
static void limit(struct view *view, size_t length)
{
    if (view->wire_length > length)
        view->wire_length = length;
    if (view->length > view->wire_length)
        view->length = view->wire_length;
}

static bool is_vlan(unsigned type)
{
    return type == TYPE_VLAN || type == TYPE_QINQ || type == TYPE_QINQ_OLD;
}

/* Steps over `header` bytes of link header whose EtherType is at `at`, and VLAN tags after it. */
static bool skip_typed(struct view *view, size_t header, size_t at)
{
    if (view->length < header)
        return false;
    unsigned type = kdnet_get_be16(view->data + at);
    skip(view, header);
    while (is_vlan(type)) {
        if (view->length < 4)
            return false;
        type = kdnet_get_be16(view->data + 2);
        skip(view, 4);
    }
    return type == TYPE_IPV4 || type == TYPE_IPV6;
}

static bool skip_link(int link_type, struct view *view)
{
    switch (link_type) {
    case DLT_EN10MB:
        return skip_typed(view, 14, 12);
    case DLT_LINUX_SLL:
        return skip_typed(view, 16, 14);
    case DLT_LINUX_SLL2:
        return skip_typed(view, 20, 0);
    case DLT_NULL: /* an address family whose number and byte order are the capturing system's; the IP version says it
                      better */
    case DLT_LOOP:
        return skip(view, 4);
    default:
        return true;
    }
}

static bool link_is_known(int link_type)
{
    switch (link_type) {
    case DLT_EN10MB:
    case DLT_LINUX_SLL:
    case DLT_LINUX_SLL2:
    case DLT_NULL:
    case DLT_LOOP:
    case DLT_RAW:
    case DLT_IPV4:
    case DLT_IPV6:
        return true;
    default:
        return false;
    }
}

static void set_ipv4(struct kdnet_address *out, const uint8_t *ip)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    memcpy(out->ip, mapped, sizeof mapped);
    memcpy(out->ip + sizeof mapped, ip, 4);
}

static enum capture_frame skip_ipv4(struct view *view, struct capture_datagram *out)
{
    if (view->length < 20)
        return CAPTURE_FRAME_OTHER;
    const uint8_t *p = view->data;
    size_t header = (size_t)(p[0] & 0x0f) * 4;
    size_t total = kdnet_get_be16(p + 2);
    unsigned fragment = kdnet_get_be16(p + 6) & 0x3fffU; /* more fragments, and the offset */
    if (header < 20 || p[9] != NEXT_UDP || (total != 0 && total < header))
        return CAPTURE_FRAME_OTHER;
    if (fragment != 0)
        return CAPTURE_FRAME_FRAGMENT;
    set_ipv4(&out->from, p + 12);
    set_ipv4(&out->to, p + 16);
    if (total != 0) /* 0: captured before the network card cut a large send into packets */
        limit(view, total);
    return skip(view, header) ? CAPTURE_FRAME_UDP : CAPTURE_FRAME_OTHER;
}

/* Length of an IPv6 extension header, or 0 when `next` is none that can be stepped over. */
static size_t extension_length(unsigned next, const uint8_t *header)
{
    switch (next) {
    case NEXT_HOP_BY_HOP:
    case NEXT_ROUTING:
    case NEXT_OPTIONS:
    case NEXT_MOBILITY:
    case NEXT_HIP:
    case NEXT_SHIM6:
        return ((size_t)header[1] + 1) * 8;
    case NEXT_FRAGMENT:
        return 8;
    case NEXT_AUTHENTICATION:
        return ((size_t)header[1] + 2) * 4;
    default:
        return 0;
    }
}

static enum capture_frame skip_ipv6(struct view *view, struct capture_datagram *out)
{
    if (view->length < 40)
        return CAPTURE_FRAME_OTHER;
    const uint8_t *p = view->data;
    size_t length = kdnet_get_be16(p + 4);
    unsigned next = p[6];
    memcpy(out->from.ip, p + 8, 16);
    memcpy(out->to.ip, p + 24, 16);
    skip(view, 40);
    if (length != 0) /* 0: a jumbogram, or as for IPv4 */
        limit(view, length);
    while (next != NEXT_UDP) {
        p = view->data;
        size_t extension = view->length < 8 ? 0 : extension_length(next, p);
        if (extension == 0)
            return CAPTURE_FRAME_OTHER;
        if (next == NEXT_FRAGMENT && (kdnet_get_be16(p + 2) & 0xfff9U) != 0) /* else it is whole: an atomic fragment */
            return CAPTURE_FRAME_FRAGMENT;
        next = p[0];
        if (!skip(view, extension))
            return CAPTURE_FRAME_OTHER;
    }
    return CAPTURE_FRAME_UDP;
}

static enum capture_frame skip_ip(struct view *view, struct capture_datagram *out)
{
    if (view->length == 0)
        return CAPTURE_FRAME_OTHER;
    switch (view->data[0] >> 4) {
    case 4:
        return skip_ipv4(view, out);
    case 6:
        return skip_ipv6(view, out);
    default:
        return CAPTURE_FRAME_OTHER;
    }
}

static bool skip_udp(struct view *view, struct capture_datagram *out)
{
    if (view->length < 8)
        return false;
    const uint8_t *p = view->data;
    size_t length = kdnet_get_be16(p + 4);
    if (length != 0 && length < 8)
        return false;
    out->from.port = kdnet_get_be16(p);
    out->to.port = kdnet_get_be16(p + 2);
    if (length > view->wire_length) /* a header that says more than was sent: show it as cut */
        view->wire_length = length;
    if (length != 0)
        limit(view, length);
    skip(view, 8);
    out->payload = view->data;
    out->length = view->length;
    out->wire_length = view->wire_length;
    return true;
}

static int64_t frame_time(const struct pcap_pkthdr *header)
{
    int64_t seconds = (int64_t)header->ts.tv_sec;
    int64_t micros = (int64_t)header->ts.tv_usec;
    if (seconds < 0 || seconds > TIME_MAX_S)
        seconds = seconds < 0 ? 0 : TIME_MAX_S;
    if (micros < 0 || micros > 999999)
        micros = micros < 0 ? 0 : 999999;
    return seconds * 1000000 + micros;
}

enum capture_frame capture_read_frame(int link_type, const uint8_t *frame, size_t length, size_t wire_length,
                                      struct capture_datagram *out)
{
    struct view view = {.data = frame, .length = length, .wire_length = wire_length};
    if (!skip_link(link_type, &view))
        return CAPTURE_FRAME_OTHER;
    enum capture_frame found = skip_ip(&view, out);
    if (found == CAPTURE_FRAME_UDP && !skip_udp(&view, out))
        return CAPTURE_FRAME_OTHER;
    return found;
}

static bool take_frame(struct capture *capture, const struct pcap_pkthdr *header, const uint8_t *data,
                       struct capture_datagram *out)
{
    size_t wire_length = header->len < header->caplen ? header->caplen : header->len;
    out->time_us = frame_time(header);
    if (capture->counts.frames++ == 0)
        capture->first_us = out->time_us;
    out->number = capture->counts.frames;
    out->relative_us = out->time_us - capture->first_us;
    enum capture_frame found = capture_read_frame(capture->link_type, data, header->caplen, wire_length, out);
    if (found == CAPTURE_FRAME_FRAGMENT)
        ++capture->counts.fragments;
    if (found != CAPTURE_FRAME_UDP)
        return false;
    ++capture->counts.datagrams;
    if (out->length < out->wire_length)
        ++capture->counts.cut;
    return true;
}

enum capture_result capture_next(struct capture *capture, struct capture_datagram *out)
{
    struct pcap_pkthdr *header;
    const u_char *data;
    for (;;) {
        int result = pcap_next_ex(capture->pcap, &header, &data);
        if (result == PCAP_ERROR_BREAK)
            return CAPTURE_END;
        if (result != 1)
            return CAPTURE_CUT;
        if (take_frame(capture, header, data, out))
            return CAPTURE_DATAGRAM;
    }
}

struct capture *capture_open(const char *path, char error[static CAPTURE_ERROR_SIZE])
{
    char reason[PCAP_ERRBUF_SIZE] = "";
    struct capture *capture = calloc(1, sizeof *capture);
    if (!capture) {
        (void)snprintf(error, CAPTURE_ERROR_SIZE, "%s: out of memory", path);
        return NULL;
    }
    capture->pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_MICRO, reason);
    if (!capture->pcap) {
        const char *repeated = strncmp(reason, path, strlen(path)) == 0 ? "" : path; /* libpcap names some files */
        (void)snprintf(error, CAPTURE_ERROR_SIZE, "%s%s%s; give it a pcap or pcapng file", repeated,
                       *repeated ? ": " : "", reason);
        free(capture);
        return NULL;
    }
    capture->link_type = pcap_datalink(capture->pcap);
    if (!link_is_known(capture->link_type)) {
        const char *name = pcap_datalink_val_to_name(capture->link_type);
        (void)snprintf(
            error, CAPTURE_ERROR_SIZE,
            "%s: link type %s (%d) is not understood; capture on Ethernet, on Linux's \"any\" interface, or as raw IP",
            path, name ? name : "unknown", capture->link_type);
        capture_close(capture);
        return NULL;
    }
    return capture;
}

void capture_close(struct capture *capture)
{
    if (!capture)
        return;
    pcap_close(capture->pcap);
    free(capture);
}

struct capture_counts capture_counts(const struct capture *capture)
{
    return capture->counts;
}

const char *capture_error(struct capture *capture)
{
    return pcap_geterr(capture->pcap);
}
