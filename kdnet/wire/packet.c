/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/wire/packet.h"
#include "kdnet/error.h"
#include "kdnet/base/wire.h"

#include <string.h>

uint32_t kdnet_packet_checksum(const uint8_t *payload, size_t length)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < length; ++i)
        sum += payload[i];
    return sum;
}

int kdnet_packet_decode(const uint8_t *body, size_t length, struct kdnet_packet *out)
{
    if (length < KDNET_PACKET_HEADER)
        return KDNET_ERR_SHORT;
    uint32_t leader = kdnet_get_le32(body);
    size_t count = kdnet_get_le16(body + 6);
    if (leader != KDNET_PACKET_LEADER && leader != KDNET_PACKET_CONTROL)
        return KDNET_ERR_FORMAT;
    int error = count > KDNET_PACKET_PAYLOAD_MAX       ? KDNET_ERR_LENGTH
                : count > length - KDNET_PACKET_HEADER ? KDNET_ERR_SHORT
                                                       : KDNET_OK;
    if (error != KDNET_OK) /* what is there */
        count = length - KDNET_PACKET_HEADER < KDNET_PACKET_PAYLOAD_MAX ? length - KDNET_PACKET_HEADER
                                                                        : KDNET_PACKET_PAYLOAD_MAX;
    *out = (struct kdnet_packet){
        .control = leader == KDNET_PACKET_CONTROL,
        .type = kdnet_get_le16(body + 4),
        .id = kdnet_get_le32(body + 8),
        .payload = body + KDNET_PACKET_HEADER,
        .payload_length = count,
    };
    if (error == KDNET_OK && kdnet_packet_checksum(out->payload, count) != kdnet_get_le32(body + 12))
        return KDNET_ERR_CHECKSUM;
    return error;
}

int kdnet_packet_encode(const struct kdnet_packet *packet, uint8_t *out, size_t size, size_t *length)
{
    if (packet->payload_length > KDNET_PACKET_PAYLOAD_MAX)
        return KDNET_ERR_LENGTH;
    if (size < KDNET_PACKET_HEADER + packet->payload_length)
        return KDNET_ERR_SPACE;
    kdnet_put_le32(out, packet->control ? KDNET_PACKET_CONTROL : KDNET_PACKET_LEADER);
    kdnet_put_le16(out + 4, packet->type);
    kdnet_put_le16(out + 6, (uint16_t)packet->payload_length);
    kdnet_put_le32(out + 8, packet->id);
    kdnet_put_le32(out + 12, kdnet_packet_checksum(packet->payload, packet->payload_length));
    if (packet->payload_length > 0)
        memcpy(out + KDNET_PACKET_HEADER, packet->payload, packet->payload_length);
    *length = KDNET_PACKET_HEADER + packet->payload_length;
    return KDNET_OK;
}

const char *kdnet_packet_type_name(uint16_t type)
{
    static const char *const names[] = {
        [KDNET_PACKET_UNUSED] = "unused",
        [KDNET_PACKET_STATE_CHANGE32] = "state change 32",
        [KDNET_PACKET_MANIPULATE] = "manipulate",
        [KDNET_PACKET_DEBUG_IO] = "debug I/O",
        [KDNET_PACKET_ACK] = "ACK",
        [KDNET_PACKET_RESEND] = "RESEND",
        [KDNET_PACKET_RESET] = "RESET",
        [KDNET_PACKET_STATE_CHANGE64] = "state change 64",
        [KDNET_PACKET_POLL_BREAK_IN] = "poll break-in",
        [KDNET_PACKET_TRACE_IO] = "trace I/O",
        [KDNET_PACKET_CONTROL_REQUEST] = "control request",
        [KDNET_PACKET_FILE_IO] = "file I/O",
    };
    return type < sizeof names / sizeof names[0] ? names[type] : NULL;
}
