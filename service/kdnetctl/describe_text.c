/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/names.h"
#include "service/kdnetctl/describe.h"

#define ADDRESS_DIGITS 16
#define CODE_DIGITS    8

static void write_address(struct out *out, uint64_t address)
{
    out_hex_padded(out, address, ADDRESS_DIGITS);
}

/* "0xc0000001 STATUS_UNSUCCESSFUL" */
static void write_code(struct out *out, uint32_t code, const char *name)
{
    out_hex_padded(out, code, CODE_DIGITS);
    if (!name)
        return;
    out_char(out, ' ');
    out_text(out, name);
}

/* ": 4d5a900003000000 ... |MZ......|" */
static void write_data(struct out *out, const uint8_t *data, size_t length)
{
    size_t shown = length < DESCRIBE_TEXT_DATA ? length : DESCRIBE_TEXT_DATA;
    if (length == 0)
        return;
    out_char(out, ':');
    for (size_t i = 0; i < shown; ++i) {
        if (i % 8 == 0)
            out_char(out, ' ');
        out_hex_bytes(out, data + i, 1);
    }
    out_text(out, shown < length ? " ... |" : " |");
    for (size_t i = 0; i < shown; ++i) {
        if (data[i] >= 0x20 && data[i] < 0x7f)
            out_char(out, (char)data[i]);
        else
            out_char(out, '.');
    }
    out_char(out, '|');
}

static void write_quoted(struct out *out, const char *text, size_t length)
{
    out_char(out, '"');
    out_untrusted(out, text, length);
    out_char(out, '"');
}

static void write_poke(struct out *out, const struct kdnet_poke *poke)
{
    out_text(out, "poke: ");
    if (out_is_nobody(&poke->connected)) {
        out_text(out, "not connected");
    } else {
        out_text(out, "connected to ");
        out_address(out, &poke->connected);
    }
    out_text(out, ", target ");
    out_address(out, &poke->target);
    out_text(out, ", host ");
    out_address(out, &poke->host);
    out_text(out, ", random ");
    out_hex_bytes(out, poke->random, sizeof poke->random);
}

static void write_response(struct out *out, const struct kdnet_response *response)
{
    out_text(out, "response: target random ");
    out_hex_bytes(out, response->target_random, sizeof response->target_random);
    out_text(out, ", host random ");
    out_hex_bytes(out, response->host_random, sizeof response->host_random);
}

static void write_check(struct out *out, const uint8_t ipv4[static 4])
{
    uint8_t ip[16] = {[10] = 0xff, [11] = 0xff, [12] = ipv4[0], [13] = ipv4[1], [14] = ipv4[2], [15] = ipv4[3]};
    out_text(out, "connection check: host ");
    out_ip(out, ip);
}

static void write_exception(struct out *out, const struct kdnet_exception *exception)
{
    out_text(out, "exception ");
    write_code(out, exception->code, kdnet_status_name(exception->code));
    out_text(out, exception->first_chance != 0 ? ", first chance, at " : ", second chance, at ");
    write_address(out, exception->address);
    for (size_t i = 0; i < exception->parameter_count && i < KDNET_EXCEPTION_PARAMETERS; ++i) {
        out_text(out, i == 0 ? ", parameters " : " ");
        out_hex(out, exception->parameters[i]);
    }
}

static void write_load_symbols(struct out *out, const struct kdnet_state_change *change)
{
    const struct kdnet_load_symbols *load = &change->load_symbols;
    if (kdnet_state_change_is_shutdown(change)) {
        out_text(out, "unload of all symbols: the machine is about to reboot or shut down");
        return;
    }
    out_text(out, load->unload ? "unload symbols " : "load symbols ");
    write_quoted(out, load->path, load->path_text_length);
    out_text(out, " at ");
    write_address(out, load->base);
    out_text(out, ", size ");
    out_hex(out, load->image_size);
    out_text(out, ", checksum ");
    out_hex(out, load->checksum);
    if (load->process_id != 0 && load->process_id != UINT64_MAX) {
        out_text(out, ", process ");
        out_hex(out, load->process_id);
    }
}

static void write_command(struct out *out, const struct kdnet_command_string *command)
{
    out_text(out, "command string");
    if (!command->name)
        return;
    out_text(out, " ");
    write_quoted(out, command->name, command->name_length);
    out_text(out, " ");
    write_quoted(out, command->command, command->command_length);
}

static void write_state_change(struct out *out, const struct content *content)
{
    const struct kdnet_state_change *change = &content->state_change;
    uint32_t state = change->new_state & ~KDNET_STATE_ALTERNATE;
    out_text(out, "HALTED: ");
    if (state == KDNET_STATE_EXCEPTION) {
        write_exception(out, &change->exception);
    } else if (state == KDNET_STATE_LOAD_SYMBOLS) {
        write_load_symbols(out, change);
    } else if (state == KDNET_STATE_COMMAND_STRING) {
        write_command(out, &change->command);
    } else {
        out_text(out, "unknown state ");
        out_hex(out, change->new_state);
    }
    if (change->new_state & KDNET_STATE_ALTERNATE)
        out_text(out, ", alternate form");
    out_text(out, ", PC ");
    write_address(out, change->program_counter);
    out_text(out, ", processor ");
    out_decimal(out, change->processor);
    out_text(out, " of ");
    out_decimal(out, change->processor_count);
    if (content->report.instructions) {
        out_text(out, ", code ");
        out_hex_bytes(out, content->report.instructions, content->report.instruction_count);
    }
}

static void write_version(struct out *out, const struct kdnet_version *version)
{
    static const char *const people[] = {
        [KDNET_WHO_NT] = "NT kernel", [KDNET_WHO_BOOT] = "boot loader", [KDNET_WHO_HYPERVISOR] = "hypervisor"};
    size_t who = version->major >> 8;
    out_text(out, ": ");
    out_text(out, who < sizeof people / sizeof people[0] && people[who] ? people[who] : "unknown kernel");
    out_text(out, ", build ");
    out_decimal(out, version->minor);
    out_text(out, (version->major & 0xff) == 0xc ? ", checked, " : ", ");
    out_text(out, kdnet_machine_name((enum kdnet_machine)version->machine));
    out_text(out, ", protocol ");
    out_decimal(out, version->protocol);
    out_text(out, ", KernBase ");
    write_address(out, version->kernel_base);
    out_text(out, ", PsLoadedModuleList ");
    write_address(out, version->loaded_module_list);
    out_text(out, ", DebuggerDataList ");
    write_address(out, version->debugger_data_list);
}

static void write_memory(struct out *out, const struct content *content)
{
    const struct kdnet_manipulate *manipulate = &content->manipulate;
    out_text(out, ", ");
    if (!content->from_host) {
        out_decimal(out, manipulate->u.memory.actual);
        out_text(out, " of ");
    }
    out_decimal(out, manipulate->u.memory.count);
    out_text(out, " bytes at ");
    write_address(out, manipulate->u.memory.address);
    write_data(out, manipulate->data, manipulate->data_length);
}

static void write_context(struct out *out, const struct content *content)
{
    const struct kdnet_manipulate *manipulate = &content->manipulate;
    if (manipulate->api == KDNET_API_GET_CONTEXT_EX || manipulate->api == KDNET_API_SET_CONTEXT_EX) {
        out_text(out, ", ");
        out_decimal(out, content->from_host ? manipulate->u.context_ex.count : manipulate->u.context_ex.copied);
        out_text(out, " bytes from offset ");
        out_decimal(out, manipulate->u.context_ex.offset);
    }
    if (!content->context) {
        write_data(out, manipulate->data, manipulate->data_length);
        return;
    }
    out_text(out, ", PC ");
    write_address(out, kdnet_machine_pc(content->layout, content->context));
    out_text(out, ", first argument ");
    out_hex(out, kdnet_machine_argument(content->layout, content->context));
    out_text(out, " (");
    out_text(out, content->layout->name);
    out_char(out, ')');
}

static void write_api(struct out *out, const struct content *content)
{
    const struct kdnet_manipulate *manipulate = &content->manipulate;
    switch (manipulate->api) {
    case KDNET_API_READ_VIRTUAL_MEMORY:
    case KDNET_API_WRITE_VIRTUAL_MEMORY:
        write_memory(out, content);
        return;
    case KDNET_API_GET_VERSION:
        if (!content->from_host)
            write_version(out, &manipulate->u.version);
        return;
    case KDNET_API_GET_CONTEXT:
    case KDNET_API_SET_CONTEXT:
    case KDNET_API_GET_CONTEXT_EX:
    case KDNET_API_SET_CONTEXT_EX:
        write_context(out, content);
        return;
    case KDNET_API_CONTINUE:
    case KDNET_API_CONTINUE2:
        out_text(out, ": ");
        write_code(out, manipulate->u.go_on.status, content_continue_name(manipulate->u.go_on.status));
        return;
    default:
        write_data(out, manipulate->data, manipulate->data_length);
    }
}

static void write_manipulate(struct out *out, const struct content *content)
{
    const struct kdnet_manipulate *manipulate = &content->manipulate;
    const char *name = kdnet_api_name(manipulate->api);
    if (name) {
        out_text(out, name);
    } else {
        out_text(out, "manipulate ");
        out_hex(out, manipulate->api);
    }
    if (content->from_host) {
        out_text(out, " request");
    } else {
        out_text(out, " reply, ");
        write_code(out, manipulate->return_status, kdnet_status_name(manipulate->return_status));
    }
    write_api(out, content);
}

static void write_debug_io(struct out *out, const struct content *content)
{
    const struct kdnet_debug_io *io = &content->debug_io;
    if (io->api == KDNET_DEBUG_IO_PRINT) {
        out_text(out, "print ");
    } else if (io->api == KDNET_DEBUG_IO_GET_STRING) {
        out_text(out, content->from_host ? "answer to the prompt " : "prompt ");
    } else {
        out_text(out, "debug I/O ");
        out_hex(out, io->api);
        out_char(out, ' ');
    }
    write_quoted(out, io->text, io->text_length);
    if (!content->has_bugcheck)
        return;
    out_text(out, ", BUG CHECK ");
    write_code(out, content->bugcheck.code, kdnet_bugcheck_name(content->bugcheck.code));
}

static void write_file_io(struct out *out, const struct content *content)
{
    const struct kdnet_file_io *io = &content->file_io;
    const char *name = kdnet_file_io_name(io->api);
    out_text(out, "file ");
    if (name)
        out_text(out, name);
    else
        out_hex(out, io->api);
    if (content->from_host) {
        out_text(out, " answer, ");
        write_code(out, io->status, kdnet_status_name(io->status));
    }
    if (content->path) {
        out_text(out, " \"");
        out_untrusted_utf16(out, content->path, content->path_length);
        out_char(out, '"');
    } else {
        write_data(out, io->data, io->data_length);
    }
}

static void write_packet_name(struct out *out, const struct kdnet_packet *packet)
{
    const char *name = kdnet_packet_type_name(packet->type);
    if (name) {
        out_text(out, name);
    } else {
        out_text(out, "KD packet type ");
        out_decimal(out, packet->type);
    }
}

static void write_packet(struct out *out, const struct content *content)
{
    const struct kdnet_packet *packet = &content->packet;
    switch (content->payload) {
    case CONTENT_STATE_CHANGE:
        write_state_change(out, content);
        break;
    case CONTENT_MANIPULATE:
        write_manipulate(out, content);
        break;
    case CONTENT_DEBUG_IO:
        write_debug_io(out, content);
        break;
    case CONTENT_FILE_IO:
        write_file_io(out, content);
        break;
    case CONTENT_OTHER_PAYLOAD:
        write_packet_name(out, packet);
        write_data(out, packet->payload, packet->payload_length);
        break;
    case CONTENT_NO_PAYLOAD:
        write_packet_name(out, packet);
        break;
    }
    if (!content->checksum_good)
        out_text(out, ", BAD CHECKSUM");
    out_text(out, packet->control ? " [" : " [id ");
    out_hex_padded(out, packet->id, CODE_DIGITS);
    out_char(out, ']');
}

static void write_content(struct out *out, const struct content *content)
{
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
    case CONTENT_EMPTY_CONTROL:
        out_text(out, "empty control datagram: asks for a poke");
        break;
    case CONTENT_BREAK_IN:
        out_text(out, "break-in request");
        break;
    case CONTENT_PACKET:
        write_packet(out, content);
        break;
    case CONTENT_UNKNOWN:
        out_text(out, "not understood, ");
        out_decimal(out, content->body_length);
        out_text(out, " bytes");
        write_data(out, content->body, content->body_length);
        break;
    }
}

static void write_header(struct out *out, const struct opener_opened *opened)
{
    out_text(out, "  v");
    out_decimal(out, opened->version);
    out_text(out, opened->channel == KDNET_CHANNEL_DATA      ? " data   "
                  : opened->channel == KDNET_CHANNEL_CONTROL ? " control"
                                                             : " unknown");
}

void describe_text(struct out *out, const struct capture_datagram *captured, const struct opener_opened *opened,
                   const struct content *content)
{
    out_decimal_padded(out, captured->number, 6);
    out_text(out, "  ");
    out_time(out, captured->time_us);
    out_seconds(out, captured->relative_us, 13);
    out_text(out, !content ? "  " : content->from_host ? "  host " : "  target ");
    out_address(out, &captured->from);
    out_text(out, !content ? " -> " : content->from_host ? " -> target " : " -> host ");
    out_address(out, &captured->to);
    if (opened->has_header)
        write_header(out, opened);
    if (content) {
        out_text(out, " #");
        out_decimal(out, opened->datagram.sequence);
        out_text(out, "  verified  ");
        write_content(out, content);
    } else {
        out_text(out, "  NOT VERIFIED: ");
        out_text(out, opener_reason(opened));
        out_text(out, ", ");
        out_decimal(out, captured->wire_length);
        out_text(out, " bytes");
    }
    out_char(out, '\n');
}
