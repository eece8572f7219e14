/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/wire/state_change.h"
#include "kdnet/error.h"
#include "kdnet/base/wire.h"

#include <string.h>

/* DBGKD_ANY_WAIT_STATE_CHANGE: offsets in the payload (PROTOCOL.md section 5). */
enum {
    AT_PROCESSOR_LEVEL = 4,
    AT_PROCESSOR = 6,
    AT_PROCESSOR_COUNT = 8,
    AT_THREAD = 16,
    AT_PROGRAM_COUNTER = 24,
    AT_UNION = 32,
    AT_FIRST_CHANCE = 184,
};

/* EXCEPTION_RECORD64, from the union's start. */
enum {
    EX_FLAGS = 4,
    EX_RECORD = 8,
    EX_ADDRESS = 16,
    EX_COUNT = 24,
    EX_PARAMETERS = 32,
};

/* DBGKD_LOAD_SYMBOLS64, from the union's start. */
enum {
    LS_BASE = 8,
    LS_PROCESS = 16,
    LS_CHECKSUM = 24,
    LS_SIZE = 28,
    LS_UNLOAD = 32,
};

/* DBGKD_WAIT_STATE_CHANGE32, where it differs; the union's offsets from its start [ros]. */
enum {
    AT32_THREAD = 12,
    AT32_PROGRAM_COUNTER = 16,
    AT32_UNION = 20,
    EX32_RECORD = 8,
    EX32_ADDRESS = 12,
    EX32_COUNT = 16,
    EX32_PARAMETERS = 20,
    EX32_FIRST_CHANCE = 80,
    LS32_BASE = 4,
    LS32_PROCESS = 8,
    LS32_CHECKSUM = 12,
    LS32_SIZE = 16,
    LS32_UNLOAD = 20,
};

#define NAME_MAX_LENGTH 127 /* of a command string's name [ros] */

static uint32_t kind(const struct kdnet_state_change *change)
{
    return change->new_state & ~KDNET_STATE_ALTERNATE;
}

static void decode_exception(const uint8_t *payload, struct kdnet_exception *out)
{
    const uint8_t *p = payload + AT_UNION;
    out->code = kdnet_get_le32(p);
    out->flags = kdnet_get_le32(p + EX_FLAGS);
    out->record = kdnet_get_le64(p + EX_RECORD);
    out->address = kdnet_get_le64(p + EX_ADDRESS);
    out->parameter_count = kdnet_get_le32(p + EX_COUNT);
    for (size_t i = 0; i < KDNET_EXCEPTION_PARAMETERS; ++i)
        out->parameters[i] = kdnet_get_le64(p + EX_PARAMETERS + 8 * i);
    out->first_chance = kdnet_get_le32(payload + AT_FIRST_CHANCE);
}

/* The path is the payload's end; never reach back into the fixed part for it. */
static void take_path(const uint8_t *payload, size_t length, size_t fixed, struct kdnet_load_symbols *out)
{
    size_t room = length - fixed;
    size_t path_length = out->path_length < room ? out->path_length : room;
    out->path = (const char *)payload + length - path_length;
    out->path_text_length = strnlen(out->path, path_length);
}

static void decode_load_symbols(const uint8_t *payload, size_t length, struct kdnet_load_symbols *out)
{
    const uint8_t *p = payload + AT_UNION;
    out->path_length = kdnet_get_le32(p);
    out->base = kdnet_get_le64(p + LS_BASE);
    out->process_id = kdnet_get_le64(p + LS_PROCESS);
    out->checksum = kdnet_get_le32(p + LS_CHECKSUM);
    out->image_size = kdnet_get_le32(p + LS_SIZE);
    out->unload = p[LS_UNLOAD] != 0;
    take_path(payload, length, KDNET_STATE_CHANGE_FIXED, out);
}

static uint64_t extended(const uint8_t *p)
{
    return (uint64_t)(int64_t)(int32_t)kdnet_get_le32(p);
}

static void decode_exception32(const uint8_t *payload, struct kdnet_exception *out)
{
    const uint8_t *p = payload + AT32_UNION;
    out->code = kdnet_get_le32(p);
    out->flags = kdnet_get_le32(p + EX_FLAGS);
    out->record = extended(p + EX32_RECORD);
    out->address = extended(p + EX32_ADDRESS);
    out->parameter_count = kdnet_get_le32(p + EX32_COUNT);
    for (size_t i = 0; i < KDNET_EXCEPTION_PARAMETERS; ++i)
        out->parameters[i] = extended(p + EX32_PARAMETERS + 4 * i);
    out->first_chance = kdnet_get_le32(p + EX32_FIRST_CHANCE);
}

static void decode_load_symbols32(const uint8_t *payload, size_t length, struct kdnet_load_symbols *out)
{
    const uint8_t *p = payload + AT32_UNION;
    out->path_length = kdnet_get_le32(p);
    out->base = extended(p + LS32_BASE);
    out->process_id = extended(p + LS32_PROCESS);
    out->checksum = kdnet_get_le32(p + LS32_CHECKSUM);
    out->image_size = kdnet_get_le32(p + LS32_SIZE);
    out->unload = p[LS32_UNLOAD] != 0;
    take_path(payload, length, KDNET_STATE_CHANGE32_FIXED, out);
}

/* Where the string begins that ends before `end`: behind the NUL of what is before it, or at `from`. */
static size_t begin_of(const uint8_t *payload, size_t from, size_t end)
{
    while (end > from && payload[end - 1] != '\0')
        --end;
    return end;
}

/* Name and command are the payload's last two strings, each with its NUL, behind the control report [ros]. */
static void decode_command(const uint8_t *payload, size_t length, struct kdnet_command_string *out)
{
    size_t from = KDNET_STATE_CHANGE_FIXED;
    out->flags = kdnet_get_le32(payload + AT_UNION);
    if (length <= from || payload[length - 1] != '\0')
        return;
    size_t command = begin_of(payload, from, length - 1);
    if (command == from)
        return; /* one string only: whose is it? */
    size_t name = begin_of(payload, from, command - 1);
    if (command - 1 - name > NAME_MAX_LENGTH)
        return;
    out->name = (const char *)payload + name;
    out->name_length = command - 1 - name;
    out->command = (const char *)payload + command;
    out->command_length = length - 1 - command;
}

/* What is in the same places in both forms; `fixed` bytes, then the control report. */
static void decode_common(const uint8_t *payload, size_t length, size_t fixed, struct kdnet_state_change *out)
{
    memset(out, 0, sizeof *out);
    memcpy(out->raw, payload, fixed);
    out->new_state = kdnet_get_le32(payload);
    out->processor_level = kdnet_get_le16(payload + AT_PROCESSOR_LEVEL);
    out->processor = kdnet_get_le16(payload + AT_PROCESSOR);
    out->processor_count = kdnet_get_le32(payload + AT_PROCESSOR_COUNT);
    out->report = payload + fixed;
    out->report_length = length - fixed;
}

int kdnet_state_change_decode32(const uint8_t *payload, size_t length, struct kdnet_state_change *out)
{
    if (length < KDNET_STATE_CHANGE32_FIXED)
        return KDNET_ERR_SHORT;
    decode_common(payload, length, KDNET_STATE_CHANGE32_FIXED, out);
    out->thread = extended(payload + AT32_THREAD);
    out->program_counter = extended(payload + AT32_PROGRAM_COUNTER);
    if (kind(out) == KDNET_STATE_EXCEPTION)
        decode_exception32(payload, &out->exception);
    else if (kind(out) == KDNET_STATE_LOAD_SYMBOLS)
        decode_load_symbols32(payload, length, &out->load_symbols);
    return KDNET_OK;
}

int kdnet_state_change_decode(const uint8_t *payload, size_t length, struct kdnet_state_change *out)
{
    if (length < KDNET_STATE_CHANGE_FIXED)
        return KDNET_ERR_SHORT;
    decode_common(payload, length, KDNET_STATE_CHANGE_FIXED, out);
    out->thread = kdnet_get_le64(payload + AT_THREAD);
    out->program_counter = kdnet_get_le64(payload + AT_PROGRAM_COUNTER);
    if (kind(out) == KDNET_STATE_EXCEPTION)
        decode_exception(payload, &out->exception);
    else if (kind(out) == KDNET_STATE_LOAD_SYMBOLS)
        decode_load_symbols(payload, length, &out->load_symbols);
    else if (kind(out) == KDNET_STATE_COMMAND_STRING)
        decode_command(payload, length, &out->command);
    return KDNET_OK;
}

static void encode_exception(const struct kdnet_exception *exception, uint8_t *out)
{
    uint8_t *p = out + AT_UNION;
    kdnet_put_le32(p, exception->code);
    kdnet_put_le32(p + EX_FLAGS, exception->flags);
    kdnet_put_le64(p + EX_RECORD, exception->record);
    kdnet_put_le64(p + EX_ADDRESS, exception->address);
    kdnet_put_le32(p + EX_COUNT, exception->parameter_count);
    for (size_t i = 0; i < KDNET_EXCEPTION_PARAMETERS; ++i)
        kdnet_put_le64(p + EX_PARAMETERS + 8 * i, exception->parameters[i]);
    kdnet_put_le32(out + AT_FIRST_CHANCE, exception->first_chance);
}

static void encode_load_symbols(const struct kdnet_load_symbols *load, uint8_t *out)
{
    uint8_t *p = out + AT_UNION;
    kdnet_put_le32(p, load->path_length);
    kdnet_put_le64(p + LS_BASE, load->base);
    kdnet_put_le64(p + LS_PROCESS, load->process_id);
    kdnet_put_le32(p + LS_CHECKSUM, load->checksum);
    kdnet_put_le32(p + LS_SIZE, load->image_size);
    p[LS_UNLOAD] = load->unload ? 1 : 0;
}

int kdnet_state_change_encode(const struct kdnet_state_change *change, uint8_t *out, size_t size, size_t *length)
{
    if (size < KDNET_STATE_CHANGE_FIXED || size - KDNET_STATE_CHANGE_FIXED < change->report_length)
        return KDNET_ERR_SPACE;
    memcpy(out, change->raw, sizeof change->raw);
    kdnet_put_le32(out, change->new_state);
    kdnet_put_le16(out + AT_PROCESSOR_LEVEL, change->processor_level);
    kdnet_put_le16(out + AT_PROCESSOR, change->processor);
    kdnet_put_le32(out + AT_PROCESSOR_COUNT, change->processor_count);
    kdnet_put_le64(out + AT_THREAD, change->thread);
    kdnet_put_le64(out + AT_PROGRAM_COUNTER, change->program_counter);
    if (kind(change) == KDNET_STATE_EXCEPTION)
        encode_exception(&change->exception, out);
    else if (kind(change) == KDNET_STATE_LOAD_SYMBOLS)
        encode_load_symbols(&change->load_symbols, out);
    if (change->report_length > 0)
        memcpy(out + KDNET_STATE_CHANGE_FIXED, change->report, change->report_length);
    *length = KDNET_STATE_CHANGE_FIXED + change->report_length;
    return KDNET_OK;
}

bool kdnet_state_change_is_shutdown(const struct kdnet_state_change *change)
{
    const struct kdnet_load_symbols *load = &change->load_symbols;
    return kind(change) == KDNET_STATE_LOAD_SYMBOLS && load->unload && load->process_id == 0 &&
           (load->base == UINT64_MAX || load->base == UINT32_MAX);
}
