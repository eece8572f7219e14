/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnetctl/content.h"
#include "kdnet/error.h"
#include "kdnet/kernel/bugcheck.h"
#include "kdnet/names.h"

#include <string.h>

static void decode_state_change(const struct kdnet_packet *packet, struct content *out)
{
    int error = packet->type == KDNET_PACKET_STATE_CHANGE64
                    ? kdnet_state_change_decode(packet->payload, packet->payload_length, &out->state_change)
                    : kdnet_state_change_decode32(packet->payload, packet->payload_length, &out->state_change);
    if (error != KDNET_OK)
        return;
    out->payload = CONTENT_STATE_CHANGE;
    const struct kdnet_state_change *change = &out->state_change;
    kdnet_machine_report(out->layout ? out->layout->machine : KDNET_MACHINE_UNKNOWN, change->report,
                         change->report_length, &out->report);
}

static void decode_manipulate(struct conversation *conversation, struct content *out)
{
    struct kdnet_manipulate *manipulate = &out->manipulate;
    if (kdnet_manipulate_decode(out->packet.payload, out->packet.payload_length, manipulate) != KDNET_OK)
        return;
    out->payload = CONTENT_MANIPULATE;
    if (manipulate->api == KDNET_API_GET_VERSION && !out->from_host && out->checksum_good) {
        conversation->machine = (enum kdnet_machine)manipulate->u.version.machine;
        out->layout = kdnet_machine_layout(conversation->machine);
    }
    bool whole = manipulate->api == KDNET_API_GET_CONTEXT || manipulate->api == KDNET_API_SET_CONTEXT ||
                 ((manipulate->api == KDNET_API_GET_CONTEXT_EX || manipulate->api == KDNET_API_SET_CONTEXT_EX) &&
                  manipulate->u.context_ex.offset == 0);
    if (whole && out->layout && manipulate->data_length >= out->layout->context_size)
        out->context = manipulate->data;
}

static void decode_debug_io(struct content *out)
{
    struct kdnet_debug_io *io = &out->debug_io;
    if (kdnet_debug_io_decode(out->packet.payload, out->packet.payload_length, io) != KDNET_OK)
        return;
    out->payload = CONTENT_DEBUG_IO;
    size_t room = out->packet.payload_length - KDNET_DEBUG_IO_HEADER;
    if (out->from_host) /* an answer: its length is the read one */
        io->text_length = io->read_length < room ? io->read_length : room;
    out->has_bugcheck = io->api == KDNET_DEBUG_IO_PRINT &&
                        kdnet_bugcheck_from_text(io->text, io->text_length, &out->bugcheck);
}

static void decode_file_io(struct content *out)
{
    struct kdnet_file_io *io = &out->file_io;
    if (kdnet_file_io_decode(out->packet.payload, out->packet.payload_length, io) != KDNET_OK)
        return;
    out->payload = CONTENT_FILE_IO;
    if (io->api != KDNET_FILE_IO_CREATE || io->data_length < 2)
        return;
    out->path = io->data;
    while (out->path_length + 1 < io->data_length && (io->data[out->path_length] | io->data[out->path_length + 1]) != 0)
        out->path_length += 2;
}

static bool decode_packet(struct conversation *conversation, struct content *out)
{
    int error = kdnet_packet_decode(out->body, out->body_length, &out->packet);
    if (error != KDNET_OK && error != KDNET_ERR_CHECKSUM)
        return false;
    out->kind = CONTENT_PACKET;
    out->checksum_good = error == KDNET_OK;
    if (out->packet.payload_length == 0)
        return true;
    out->payload = CONTENT_OTHER_PAYLOAD;
    if (out->packet.control)
        return true;
    switch (out->packet.type) {
    case KDNET_PACKET_STATE_CHANGE64:
    case KDNET_PACKET_STATE_CHANGE32:
        decode_state_change(&out->packet, out);
        break;
    case KDNET_PACKET_MANIPULATE:
        decode_manipulate(conversation, out);
        break;
    case KDNET_PACKET_DEBUG_IO:
        decode_debug_io(out);
        break;
    case KDNET_PACKET_FILE_IO:
        decode_file_io(out);
        break;
    default:
        break;
    }
    return true;
}

static void decode_control(struct content *out)
{
    if (out->body_length == 0)
        out->kind = CONTENT_EMPTY_CONTROL;
    else if (!out->from_host && kdnet_poke_decode(out->body, out->body_length, &out->poke) == KDNET_OK)
        out->kind = CONTENT_POKE;
    else if (out->from_host && kdnet_response_decode(out->body, out->body_length, &out->response) == KDNET_OK)
        out->kind = CONTENT_RESPONSE;
}

void content_decode(struct opener_opened *opened, struct content *out)
{
    const struct kdnet_datagram *datagram = &opened->datagram;
    /* Does not clear the whole struct: each decoder writes its members, and this runs for each datagram. */
    out->kind = CONTENT_UNKNOWN;
    out->from_host = datagram->from_host;
    out->body = datagram->body;
    out->body_length = datagram->body_length;
    out->payload = CONTENT_NO_PAYLOAD;
    out->has_bugcheck = false;
    out->path = NULL;
    out->path_length = 0;
    out->layout = kdnet_machine_layout(opened->conversation->machine);
    out->context = NULL;
    if (datagram->channel == KDNET_CHANNEL_CONTROL)
        decode_control(out);
    else if (kdnet_check_decode(out->body, out->body_length, out->check_ipv4) == KDNET_OK)
        out->kind = CONTENT_CHECK;
    else if (out->body_length == 1 && out->body[0] == KDNET_BREAK_IN_BYTE)
        out->kind = CONTENT_BREAK_IN;
    else
        decode_packet(opened->conversation, out);
}

const char *content_kind_name(enum content_kind kind)
{
    switch (kind) {
    case CONTENT_UNKNOWN:
        return "unknown";
    case CONTENT_POKE:
        return "poke";
    case CONTENT_RESPONSE:
        return "response";
    case CONTENT_CHECK:
        return "connection_check";
    case CONTENT_EMPTY_CONTROL:
        return "empty_control";
    case CONTENT_BREAK_IN:
        return "break_in";
    case CONTENT_PACKET:
        return "packet";
    }
    return "unknown";
}

const char *content_state_name(uint32_t new_state)
{
    switch (new_state & ~KDNET_STATE_ALTERNATE) {
    case KDNET_STATE_EXCEPTION:
        return "exception";
    case KDNET_STATE_LOAD_SYMBOLS:
        return "load_symbols";
    case KDNET_STATE_COMMAND_STRING:
        return "command_string";
    default:
        return "unknown";
    }
}

const char *content_continue_name(uint32_t status)
{
    switch (status) {
    case KDNET_DBG_CONTINUE:
        return "DBG_CONTINUE";
    case KDNET_DBG_EXCEPTION_HANDLED:
        return "DBG_EXCEPTION_HANDLED";
    case KDNET_DBG_EXCEPTION_NOT_HANDLED:
        return "DBG_EXCEPTION_NOT_HANDLED";
    default:
        return kdnet_status_name(status);
    }
}
