/* SPDX-License-Identifier: Apache-2.0 */
#include "service/capture/frame.h"
#include "kdnet/base/wire.h"

#include <string.h>

#include <pcap/pcap.h>

#define TUNNELS_MAX 4U
#define LABELS_MAX  16U

/* EtherTypes. */
enum {
    TYPE_IPV4 = 0x0800,
    TYPE_ETHERNET = 0x6558, /* in a tunnel: a whole frame */
    TYPE_VLAN = 0x8100,
    TYPE_IPV6 = 0x86dd,
    TYPE_MPLS = 0x8847,
    TYPE_QINQ = 0x88a8,
    TYPE_QINQ_OLD = 0x9100,
};

/* IP protocol numbers, and IPv6 extension headers among them. */
enum {
    NEXT_HOP_BY_HOP = 0,
    NEXT_IPV4 = 4,
    NEXT_UDP = 17,
    NEXT_IPV6 = 41,
    NEXT_ROUTING = 43,
    NEXT_FRAGMENT = 44,
    NEXT_GRE = 47,
    NEXT_AUTHENTICATION = 51,
    NEXT_OPTIONS = 60,
    NEXT_MOBILITY = 135,
    NEXT_HIP = 139,
    NEXT_SHIM6 = 140,
};

/* UDP ports of tunnels [IANA; 8472 is Linux's own for VXLAN]. */
enum { PORT_VXLAN = 4789, PORT_VXLAN_LINUX = 8472, PORT_GENEVE = 6081 };

/* Rest of a frame: `length` captured bytes, of `wire_length` bytes sent. length <= wire_length. */
struct view {
    const uint8_t *data;
    size_t length, wire_length;
};

struct reader {
    struct capture_datagram *out;
    struct frame_fragment *fragment;
    unsigned tunnels; /* how many we are in */
};

static enum frame_kind read_ip(struct reader *reader, struct view view);
static enum frame_kind read_payload(struct reader *reader, unsigned protocol, struct view view);

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

/* Limits the view to a header's length: bytes behind it are padding of the link. */
static void limit(struct view *view, size_t length)
{
    if (view->wire_length > length)
        view->wire_length = length;
    if (view->length > view->wire_length)
        view->length = view->wire_length;
}

/* --- links -------------------------------------------------------------------------------------------------------- */

static bool is_vlan(unsigned type)
{
    return type == TYPE_VLAN || type == TYPE_QINQ || type == TYPE_QINQ_OLD;
}

/* Skips MPLS labels; bit 0 of a label's third byte marks the last one (RFC 3032). */
static bool skip_labels(struct view *view)
{
    for (unsigned i = 0; i < LABELS_MAX && view->length >= 4; ++i) {
        bool last = (view->data[2] & 1) != 0;
        skip(view, 4);
        if (last)
            return true;
    }
    return false;
}

static enum frame_kind read_ethernet(struct reader *reader, struct view view);

/* Reads the payload that an EtherType announces. */
static enum frame_kind read_typed(struct reader *reader, unsigned type, struct view view)
{
    while (is_vlan(type)) {
        if (view.length < 4)
            return FRAME_OTHER;
        type = kdnet_get_be16(view.data + 2);
        skip(&view, 4);
    }
    switch (type) {
    case TYPE_IPV4:
    case TYPE_IPV6:
        return read_ip(reader, view);
    case TYPE_MPLS:
        return skip_labels(&view) ? read_ip(reader, view) : FRAME_OTHER;
    case TYPE_ETHERNET:
        return read_ethernet(reader, view);
    default:
        return FRAME_OTHER;
    }
}

/* A link header of `header` bytes whose EtherType is at `at`. */
static enum frame_kind read_link_header(struct reader *reader, struct view view, size_t header, size_t at)
{
    if (view.length < header)
        return FRAME_OTHER;
    unsigned type = kdnet_get_be16(view.data + at);
    skip(&view, header);
    return type == TYPE_ETHERNET ? FRAME_OTHER : read_typed(reader, type, view);
}

static enum frame_kind read_ethernet(struct reader *reader, struct view view)
{
    return read_link_header(reader, view, 14, 12);
}

static enum frame_kind read_link(struct reader *reader, int link_type, struct view view)
{
    switch (link_type) {
    case DLT_EN10MB:
        return read_ethernet(reader, view);
    case DLT_LINUX_SLL:
        return read_link_header(reader, view, 16, 14);
    case DLT_LINUX_SLL2:
        return read_link_header(reader, view, 20, 0);
    case DLT_NULL: /* an address family whose number and byte order depend on the capturing system; use the IP version
                      instead */
    case DLT_LOOP:
        return skip(&view, 4) ? read_ip(reader, view) : FRAME_OTHER;
    case DLT_RAW:
    case DLT_IPV4:
    case DLT_IPV6:
        return read_ip(reader, view);
    default:
        return FRAME_OTHER;
    }
}

bool frame_link_is_known(int link_type)
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

/* --- IP ----------------------------------------------------------------------------------------------------------- */

static void set_ipv4(struct kdnet_address *out, const uint8_t *ip)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    memcpy(out->ip, mapped, sizeof mapped);
    memcpy(out->ip + sizeof mapped, ip, 4);
}

/* Returns the length of an IPv6 extension header; 0: `next` is no skippable header. */
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

/* Whether an IP payload of this kind may contain a UDP datagram. */
static bool may_hold_udp(unsigned protocol)
{
    static const uint8_t header[8];
    return protocol == NEXT_UDP || protocol == NEXT_GRE || protocol == NEXT_IPV4 || protocol == NEXT_IPV6 ||
           extension_length(protocol, header) > 0;
}

/* `place` is the offset in units of 8 bytes. */
static enum frame_kind tell_fragment(struct reader *reader, const struct view *view, unsigned protocol, uint32_t id,
                                     unsigned place, bool more)
{
    if (!may_hold_udp(protocol))
        return FRAME_OTHER;
    *reader->fragment = (struct frame_fragment){.from = reader->out->from,
                                                .to = reader->out->to,
                                                .id = id,
                                                .protocol = (uint8_t)protocol,
                                                .offset = (uint16_t)(place * 8),
                                                .more = more,
                                                .cut = view->length < view->wire_length,
                                                .data = view->data,
                                                .length = view->length};
    reader->fragment->from.port = reader->fragment->to.port = 0;
    return FRAME_FRAGMENT;
}

static enum frame_kind read_ipv4(struct reader *reader, struct view view)
{
    if (view.length < 20)
        return FRAME_OTHER;
    const uint8_t *p = view.data;
    size_t header = (size_t)(p[0] & 0x0f) * 4;
    size_t total = kdnet_get_be16(p + 2);
    unsigned fragment = kdnet_get_be16(p + 6) & 0x3fffU; /* more fragments, and the offset */
    if (header < 20 || (total != 0 && total < header))
        return FRAME_OTHER;
    set_ipv4(&reader->out->from, p + 12);
    set_ipv4(&reader->out->to, p + 16);
    if (total != 0) /* 0: captured before the network card cut a large send into packets */
        limit(&view, total);
    if (!skip(&view, header))
        return FRAME_OTHER;
    if (fragment != 0)
        return tell_fragment(reader, &view, p[9], kdnet_get_be16(p + 4), fragment & 0x1fffU, (fragment & 0x2000U) != 0);
    return read_payload(reader, p[9], view);
}

static enum frame_kind read_ipv6(struct reader *reader, struct view view)
{
    if (view.length < 40)
        return FRAME_OTHER;
    const uint8_t *p = view.data;
    size_t length = kdnet_get_be16(p + 4);
    memcpy(reader->out->from.ip, p + 8, 16);
    memcpy(reader->out->to.ip, p + 24, 16);
    skip(&view, 40);
    if (length != 0) /* 0: a jumbogram, or as for IPv4 */
        limit(&view, length);
    return read_payload(reader, p[6], view);
}

static enum frame_kind read_ip(struct reader *reader, struct view view)
{
    if (view.length == 0)
        return FRAME_OTHER;
    switch (view.data[0] >> 4) {
    case 4:
        return read_ipv4(reader, view);
    case 6:
        return read_ipv6(reader, view);
    default:
        return FRAME_OTHER;
    }
}

/* --- tunnels and UDP ---------------------------------------------------------------------------------------------- */

/* GRE: flags and version, EtherType, then checksum, key and sequence number, each if its flag is set. */
static enum frame_kind read_gre(struct reader *reader, struct view view)
{
    if (view.length < 4)
        return FRAME_OTHER;
    unsigned flags = kdnet_get_be16(view.data), type = kdnet_get_be16(view.data + 2);
    size_t header = 4;
    for (unsigned flag = 0x8000U; flag >= 0x1000U; flag >>= 1) /* checksum, (routes), key, sequence number */
        header += (flags & flag) != 0 ? 4 : 0;
    if ((flags & 0x4007U) != 0 || !skip(&view, header)) /* source routes; another version */
        return FRAME_OTHER;
    return read_typed(reader, type, view);
}

static enum frame_kind read_vxlan(struct reader *reader, struct view view)
{
    bool marked = view.length >= 8 && (view.data[0] & 0x08) != 0;
    return marked && skip(&view, 8) ? read_ethernet(reader, view) : FRAME_OTHER;
}

static enum frame_kind read_geneve(struct reader *reader, struct view view)
{
    if (view.length < 8 || view.data[0] >> 6 != 0)
        return FRAME_OTHER;
    unsigned type = kdnet_get_be16(view.data + 2);
    return skip(&view, 8 + (size_t)(view.data[0] & 0x3f) * 4) ? read_typed(reader, type, view) : FRAME_OTHER;
}

/* Reads the payload of a datagram to a tunnel's port; FRAME_OTHER: unknown. */
static enum frame_kind read_udp_tunnel(struct reader *reader, unsigned port, struct view view)
{
    switch (port) {
    case PORT_VXLAN:
    case PORT_VXLAN_LINUX:
        return read_vxlan(reader, view);
    case PORT_GENEVE:
        return read_geneve(reader, view);
    default:
        return FRAME_OTHER;
    }
}

static enum frame_kind read_udp(struct reader *reader, struct view view)
{
    struct capture_datagram *out = reader->out;
    if (view.length < 8)
        return FRAME_OTHER;
    const uint8_t *p = view.data;
    size_t length = kdnet_get_be16(p + 4);
    if (length != 0 && length < 8)
        return FRAME_OTHER;
    out->from.port = kdnet_get_be16(p);
    out->to.port = kdnet_get_be16(p + 2);
    if (length > view.wire_length) /* the header claims more than was sent: report the datagram as truncated */
        view.wire_length = length;
    if (length != 0)
        limit(&view, length);
    skip(&view, 8);
    struct capture_datagram outer = *out;
    if (reader->tunnels++ < TUNNELS_MAX) {
        enum frame_kind inner = read_udp_tunnel(reader, outer.to.port, view);
        if (inner != FRAME_OTHER)
            return inner;
    }
    *out = outer;
    out->payload = view.data;
    out->length = view.length;
    out->wire_length = view.wire_length;
    return FRAME_UDP;
}

static enum frame_kind read_ip_tunnel(struct reader *reader, unsigned protocol, struct view view)
{
    if (reader->tunnels++ >= TUNNELS_MAX)
        return FRAME_OTHER;
    return protocol == NEXT_GRE ? read_gre(reader, view) : read_ip(reader, view);
}

/* Reads the payload that an IP header announces. */
static enum frame_kind read_payload(struct reader *reader, unsigned protocol, struct view view)
{
    for (;;) {
        if (protocol == NEXT_UDP)
            return read_udp(reader, view);
        if (protocol == NEXT_GRE || protocol == NEXT_IPV4 || protocol == NEXT_IPV6)
            return read_ip_tunnel(reader, protocol, view);
        const uint8_t *p = view.data;
        size_t extension = view.length < 8 ? 0 : extension_length(protocol, p);
        if (extension == 0 || !skip(&view, extension))
            return FRAME_OTHER;
        unsigned place = kdnet_get_be16(p + 2);
        if (protocol == NEXT_FRAGMENT &&
            (place & 0xfff9U) != 0) /* otherwise the packet is complete: an atomic fragment */
            return tell_fragment(reader, &view, p[0], kdnet_get_be32(p + 4), place >> 3, (place & 1) != 0);
        protocol = p[0];
    }
}

enum frame_kind frame_read(int link_type, const uint8_t *frame, size_t length, size_t wire_length,
                           struct capture_datagram *out, struct frame_fragment *fragment)
{
    struct reader reader = {.out = out, .fragment = fragment};
    struct view view = {.data = frame, .length = length, .wire_length = wire_length};
    return read_link(&reader, link_type, view);
}

enum frame_kind frame_read_whole(const struct frame_fragment *fragment, const uint8_t *data, size_t length,
                                 struct capture_datagram *out)
{
    struct frame_fragment inner; /* fragment inside a tunnel; not reassembled */
    struct reader reader = {.out = out, .fragment = &inner};
    struct view view = {.data = data, .length = length, .wire_length = length};
    out->from = fragment->from;
    out->to = fragment->to;
    return read_payload(&reader, fragment->protocol, view);
}
