/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/names.h"
#include "service/kdnetctl/describe.h"

#define ADDRESS_DIGITS 16
#define CODE_DIGITS    8

static void write_status(struct out *out, uint32_t status)
{
    out_json_hex(out, "status", status, CODE_DIGITS);
    out_json_string(out, "status_name", kdnet_status_name(status));
}

static void write_poke(struct out *out, const struct kdnet_poke *poke)
{
    out_json_open(out, "poke", '{');
    out_json_bytes(out, "random", poke->random, sizeof poke->random);
    out_json_address(out, "target", &poke->target);
    out_json_address(out, "host", &poke->host);
    out_json_address(out, "connected", &poke->connected);
    out_json_close(out, '}');
}

static void write_response(struct out *out, const struct kdnet_response *response)
{
    out_json_open(out, "response", '{');
    out_json_bytes(out, "target_random", response->target_random, sizeof response->target_random);
    out_json_bytes(out, "host_random", response->host_random, sizeof response->host_random);
    out_json_close(out, '}');
}

static void write_check(struct out *out, const uint8_t ipv4[static 4])
{
    uint8_t ip[16] = {[10] = 0xff, [11] = 0xff, [12] = ipv4[0], [13] = ipv4[1], [14] = ipv4[2], [15] = ipv4[3]};
    out_json_open(out, "connection_check", '{');
    out_json_name(out, "host");
    out_char(out, '"');
    out_ip(out, ip);
    out_char(out, '"');
    out_json_close(out, '}');
}

static void write_exception(struct out *out, const struct kdnet_exception *exception)
{
    out_json_open(out, "exception", '{');
    out_json_hex(out, "code", exception->code, CODE_DIGITS);
    out_json_string(out, "name", kdnet_status_name(exception->code));
    out_json_hex(out, "flags", exception->flags, CODE_DIGITS);
    out_json_hex(out, "record", exception->record, ADDRESS_DIGITS);
    out_json_hex(out, "address", exception->address, ADDRESS_DIGITS);
    out_json_open(out, "parameters", '[');
    for (size_t i = 0; i < exception->parameter_count && i < KDNET_EXCEPTION_PARAMETERS; ++i)
        out_json_hex(out, NULL, exception->parameters[i], ADDRESS_DIGITS);
    out_json_close(out, ']');
    out_json_bool(out, "first_chance", exception->first_chance != 0);
    out_json_close(out, '}');
}

static void write_load_symbols(struct out *out, const struct kdnet_state_change *change)
{
    const struct kdnet_load_symbols *load = &change->load_symbols;
    out_json_open(out, "load_symbols", '{');
    out_json_untrusted(out, "path", load->path, load->path_text_length);
    out_json_hex(out, "base", load->base, ADDRESS_DIGITS);
    out_json_hex(out, "process_id", load->process_id, ADDRESS_DIGITS);
    out_json_hex(out, "checksum", load->checksum, CODE_DIGITS);
    out_json_number(out, "image_size", load->image_size);
    out_json_bool(out, "unload", load->unload);
    out_json_bool(out, "shutdown", kdnet_state_change_is_shutdown(change));
    out_json_close(out, '}');
}

static void write_command(struct out *out, const struct kdnet_command_string *command)
{
    out_json_open(out, "command_string", '{');
    out_json_untrusted(out, "name", command->name, command->name_length);
    out_json_untrusted(out, "command", command->command, command->command_length);
    out_json_close(out, '}');
}

static void write_state_change(struct out *out, const struct content *content)
{
    const struct kdnet_state_change *change = &content->state_change;
    uint32_t state = change->new_state & ~KDNET_STATE_ALTERNATE;
    out_json_open(out, "state_change", '{');
    out_json_string(out, "new_state", content_state_name(change->new_state));
    out_json_hex(out, "new_state_code", change->new_state, CODE_DIGITS);
    out_json_bool(out, "alternate", (change->new_state & KDNET_STATE_ALTERNATE) != 0);
    out_json_number(out, "processor", change->processor);
    out_json_number(out, "processor_level", change->processor_level);
    out_json_number(out, "processors", change->processor_count);
    out_json_hex(out, "thread", change->thread, ADDRESS_DIGITS);
    out_json_hex(out, "program_counter", change->program_counter, ADDRESS_DIGITS);
    if (state == KDNET_STATE_EXCEPTION)
        write_exception(out, &change->exception);
    else if (state == KDNET_STATE_LOAD_SYMBOLS)
        write_load_symbols(out, change);
    else if (state == KDNET_STATE_COMMAND_STRING && change->command.name)
        write_command(out, &change->command);
    if (content->report.instructions)
        out_json_bytes(out, "instructions", content->report.instructions, content->report.instruction_count);
    if (content->layout)
        out_json_hex(out, "dr7", content->report.dr7, ADDRESS_DIGITS);
    out_json_close(out, '}');
}

static void write_version(struct out *out, const struct kdnet_version *version)
{
    out_json_open(out, "version", '{');
    out_json_string(out, "who", kdnet_who_name((enum kdnet_who)(version->major >> 8)));
    out_json_string(out, "machine", kdnet_machine_name((enum kdnet_machine)version->machine));
    out_json_number(out, "build", version->minor);
    out_json_bool(out, "checked", (version->major & 0xff) == 0xc);
    out_json_hex(out, "major_version", version->major, 4);
    out_json_hex(out, "machine_type", version->machine, 4);
    out_json_number(out, "protocol_version", version->protocol);
    out_json_number(out, "kd_secondary_version", version->kd_secondary);
    out_json_hex(out, "flags", version->flags, 4);
    out_json_number(out, "max_packet_type", version->max_packet_type);
    out_json_number(out, "max_state_change", version->max_state_change);
    out_json_number(out, "max_manipulate", version->max_manipulate);
    out_json_number(out, "simulation", version->simulation);
    out_json_hex(out, "kernel_base", version->kernel_base, ADDRESS_DIGITS);
    out_json_hex(out, "loaded_module_list", version->loaded_module_list, ADDRESS_DIGITS);
    out_json_hex(out, "debugger_data_list", version->debugger_data_list, ADDRESS_DIGITS);
    out_json_close(out, '}');
}

static void write_context(struct out *out, const struct content *content)
{
    if (!content->context)
        return;
    out_json_open(out, "context", '{');
    out_json_string(out, "machine", content->layout->name);
    out_json_hex(out, "program_counter", kdnet_machine_pc(content->layout, content->context), ADDRESS_DIGITS);
    out_json_hex(out, "argument", kdnet_machine_argument(content->layout, content->context), ADDRESS_DIGITS);
    out_json_close(out, '}');
}

static void write_api(struct out *out, const struct content *content)
{
    const struct kdnet_manipulate *manipulate = &content->manipulate;
    switch (manipulate->api) {
    case KDNET_API_READ_VIRTUAL_MEMORY:
    case KDNET_API_WRITE_VIRTUAL_MEMORY:
        out_json_hex(out, "address", manipulate->u.memory.address, ADDRESS_DIGITS);
        out_json_number(out, "count", manipulate->u.memory.count);
        if (!content->from_host) /* stack garbage in a request */
            out_json_number(out, "actual", manipulate->u.memory.actual);
        break;
    case KDNET_API_GET_VERSION:
        if (!content->from_host)
            write_version(out, &manipulate->u.version);
        break;
    case KDNET_API_GET_CONTEXT_EX:
    case KDNET_API_SET_CONTEXT_EX:
        out_json_number(out, "offset", manipulate->u.context_ex.offset);
        out_json_number(out, "count", manipulate->u.context_ex.count);
        if (!content->from_host)
            out_json_number(out, "copied", manipulate->u.context_ex.copied);
        break;
    case KDNET_API_SET_CONTEXT:
        out_json_hex(out, "context_flags", manipulate->u.set_context.flags, CODE_DIGITS);
        break;
    case KDNET_API_CONTINUE:
    case KDNET_API_CONTINUE2:
        out_json_hex(out, "continue_status", manipulate->u.go_on.status, CODE_DIGITS);
        out_json_string(out, "continue_status_name", content_continue_name(manipulate->u.go_on.status));
        break;
    default:
        break;
    }
}

static void write_manipulate(struct out *out, const struct content *content)
{
    const struct kdnet_manipulate *manipulate = &content->manipulate;
    out_json_open(out, "manipulate", '{');
    out_json_string(out, "api", kdnet_api_name(manipulate->api));
    out_json_hex(out, "api_number", manipulate->api, 4);
    out_json_bool(out, "reply", !content->from_host);
    out_json_number(out, "processor", manipulate->processor);
    if (!content->from_host)
        write_status(out, manipulate->return_status);
    write_api(out, content);
    write_context(out, content);
    if (manipulate->data_length > 0)
        out_json_bytes(out, "data", manipulate->data, manipulate->data_length);
    out_json_close(out, '}');
}

static void write_bugcheck(struct out *out, const struct kdnet_bugcheck *bugcheck)
{
    out_json_open(out, "bugcheck", '{');
    out_json_hex(out, "code", bugcheck->code, CODE_DIGITS);
    out_json_string(out, "name", kdnet_bugcheck_name(bugcheck->code));
    out_json_open(out, "parameters", '[');
    for (size_t i = 0; i < 4; ++i)
        out_json_hex(out, NULL, bugcheck->parameters[i], ADDRESS_DIGITS);
    out_json_close(out, ']');
    out_json_close(out, '}');
}

static void write_debug_io(struct out *out, const struct content *content)
{
    const struct kdnet_debug_io *io = &content->debug_io;
    out_json_open(out, "debug_io", '{');
    out_json_string(out, "api",
                    io->api == KDNET_DEBUG_IO_PRINT        ? "print"
                    : io->api == KDNET_DEBUG_IO_GET_STRING ? "get_string"
                                                           : NULL);
    out_json_hex(out, "api_number", io->api, 4);
    out_json_bool(out, "reply", content->from_host);
    out_json_number(out, "processor", io->processor);
    out_json_untrusted(out, "text", io->text, io->text_length);
    if (content->has_bugcheck)
        write_bugcheck(out, &content->bugcheck);
    out_json_close(out, '}');
}

static void write_file_io(struct out *out, const struct content *content)
{
    const struct kdnet_file_io *io = &content->file_io;
    out_json_open(out, "file_io", '{');
    out_json_string(out, "api", kdnet_file_io_name(io->api));
    out_json_hex(out, "api_number", io->api, 4);
    out_json_bool(out, "reply", content->from_host);
    if (content->from_host)
        write_status(out, io->status);
    if (content->path)
        out_json_untrusted_utf16(out, "path", content->path, content->path_length);
    else if (io->data_length > 0)
        out_json_bytes(out, "data", io->data, io->data_length);
    out_json_close(out, '}');
}

static void write_packet(struct out *out, const struct content *content)
{
    const struct kdnet_packet *packet = &content->packet;
    out_json_open(out, "packet", '{');
    out_json_number(out, "type", packet->type);
    out_json_string(out, "name", kdnet_packet_type_name(packet->type));
    out_json_bool(out, "control", packet->control);
    out_json_hex(out, "id", packet->id, CODE_DIGITS);
    out_json_number(out, "length", packet->payload_length);
    out_json_string(out, "checksum", content->checksum_good ? "good" : "bad");
    if (content->payload == CONTENT_OTHER_PAYLOAD)
        out_json_bytes(out, "payload", packet->payload, packet->payload_length);
    out_json_close(out, '}');
    if (content->payload == CONTENT_STATE_CHANGE)
        write_state_change(out, content);
    else if (content->payload == CONTENT_MANIPULATE)
        write_manipulate(out, content);
    else if (content->payload == CONTENT_DEBUG_IO)
        write_debug_io(out, content);
    else if (content->payload == CONTENT_FILE_IO)
        write_file_io(out, content);
}

static void write_content(struct out *out, const struct content *content)
{
    out_json_string(out, "kind", content_kind_name(content->kind));
    switch (content->kind) {
    case CONTENT_POKE:
        write_poke(out, &content->poke);
        break;
    case CONTENT_RESPONSE:
        write_response(out, &content->response);
        break;
    case CONTENT_CHECK:
        write_check(out, content->check_ipv4);
        break;
    case CONTENT_PACKET:
        write_packet(out, content);
        break;
    case CONTENT_UNKNOWN:
        out_json_bytes(out, "body", content->body, content->body_length);
        break;
    case CONTENT_EMPTY_CONTROL:
    case CONTENT_BREAK_IN:
        break;
    }
}

static void write_header(struct out *out, const struct opener_opened *opened, bool verified)
{
    if (verified)
        out_json_string(out, "direction", opened->datagram.from_host ? "host_to_target" : "target_to_host");
    else
        out_json_null(out, "direction");
    if (opened->has_header) {
        out_json_number(out, "version", opened->version);
        out_json_string(out, "channel",
                        opened->channel == KDNET_CHANNEL_DATA      ? "data"
                        : opened->channel == KDNET_CHANNEL_CONTROL ? "control"
                                                                   : "unknown");
    }
    if (verified)
        out_json_number(out, "sequence", opened->datagram.sequence);
    else
        out_json_null(out, "sequence");
    out_json_bool(out, "verified", verified);
}

void describe_json(struct out *out, const struct capture_datagram *captured, const struct opener_opened *opened,
                   const struct content *content)
{
    out->comma = false;
    out_json_open(out, NULL, '{');
    out_json_number(out, "number", captured->number);
    out_json_name(out, "time");
    out_char(out, '"');
    out_time(out, captured->time_us);
    out_char(out, '"');
    out_json_name(out, "relative");
    out_seconds(out, captured->relative_us, 0);
    out_json_address(out, "from", &captured->from);
    out_json_address(out, "to", &captured->to);
    write_header(out, opened, content != NULL);
    if (content) {
        out_json_number(out, "key", opened->key + 1);
        write_content(out, content);
    } else {
        out_json_string(out, "reason", opener_reason(opened));
        out_json_number(out, "length", captured->wire_length);
    }
    out_json_close(out, '}');
    out_char(out, '\n');
}
