/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/wire/manipulate.h"
#include "kdnet/error.h"
#include "kdnet/base/wire.h"

#include <string.h>

/* DBGKD_MANIPULATE_STATE64 (PROTOCOL.md section 6). */
enum {
    AT_LEVEL = 4,
    AT_PROCESSOR = 6,
    AT_STATUS = 8,
    AT_UNION = 16,
};

static void decode_version(const uint8_t *p, struct kdnet_version *out)
{
    out->major = kdnet_get_le16(p);
    out->minor = kdnet_get_le16(p + 2);
    out->protocol = p[4];
    out->kd_secondary = p[5];
    out->flags = kdnet_get_le16(p + 6);
    out->machine = kdnet_get_le16(p + 8);
    out->max_packet_type = p[10];
    out->max_state_change = p[11];
    out->max_manipulate = p[12];
    out->simulation = p[13];
    out->kernel_base = kdnet_get_le64(p + 16);
    out->loaded_module_list = kdnet_get_le64(p + 24);
    out->debugger_data_list = kdnet_get_le64(p + 32);
}

static void encode_version(const struct kdnet_version *version, uint8_t *p)
{
    kdnet_put_le16(p, version->major);
    kdnet_put_le16(p + 2, version->minor);
    p[4] = version->protocol;
    p[5] = version->kd_secondary;
    kdnet_put_le16(p + 6, version->flags);
    kdnet_put_le16(p + 8, version->machine);
    p[10] = version->max_packet_type;
    p[11] = version->max_state_change;
    p[12] = version->max_manipulate;
    p[13] = version->simulation;
    kdnet_put_le64(p + 16, version->kernel_base);
    kdnet_put_le64(p + 24, version->loaded_module_list);
    kdnet_put_le64(p + 32, version->debugger_data_list);
}

static void decode_union(const uint8_t *p, struct kdnet_manipulate *out)
{
    switch (out->api) {
    case KDNET_API_READ_VIRTUAL_MEMORY:
    case KDNET_API_WRITE_VIRTUAL_MEMORY:
        out->u.memory.address = kdnet_get_le64(p);
        out->u.memory.count = kdnet_get_le32(p + 8);
        out->u.memory.actual = kdnet_get_le32(p + 12);
        break;
    case KDNET_API_GET_VERSION:
        decode_version(p, &out->u.version);
        break;
    case KDNET_API_GET_CONTEXT_EX:
    case KDNET_API_SET_CONTEXT_EX:
        out->u.context_ex.offset = kdnet_get_le32(p);
        out->u.context_ex.count = kdnet_get_le32(p + 4);
        out->u.context_ex.copied = kdnet_get_le32(p + 8);
        break;
    case KDNET_API_SET_CONTEXT:
        out->u.set_context.flags = kdnet_get_le32(p);
        break;
    case KDNET_API_CONTINUE:
    case KDNET_API_CONTINUE2:
        out->u.go_on.status = kdnet_get_le32(p);
        break;
    default:
        break;
    }
}

static void encode_union(const struct kdnet_manipulate *in, uint8_t *p)
{
    switch (in->api) {
    case KDNET_API_READ_VIRTUAL_MEMORY:
    case KDNET_API_WRITE_VIRTUAL_MEMORY:
        kdnet_put_le64(p, in->u.memory.address);
        kdnet_put_le32(p + 8, in->u.memory.count);
        kdnet_put_le32(p + 12, in->u.memory.actual);
        break;
    case KDNET_API_GET_VERSION:
        encode_version(&in->u.version, p);
        break;
    case KDNET_API_GET_CONTEXT_EX:
    case KDNET_API_SET_CONTEXT_EX:
        kdnet_put_le32(p, in->u.context_ex.offset);
        kdnet_put_le32(p + 4, in->u.context_ex.count);
        kdnet_put_le32(p + 8, in->u.context_ex.copied);
        break;
    case KDNET_API_SET_CONTEXT:
        kdnet_put_le32(p, in->u.set_context.flags);
        break;
    case KDNET_API_CONTINUE:
    case KDNET_API_CONTINUE2:
        kdnet_put_le32(p, in->u.go_on.status);
        break;
    default:
        break;
    }
}

int kdnet_manipulate_decode(const uint8_t *payload, size_t length, struct kdnet_manipulate *out)
{
    if (length < KDNET_MANIPULATE_SIZE)
        return KDNET_ERR_SHORT;
    memset(out, 0, sizeof *out);
    memcpy(out->raw, payload, sizeof out->raw);
    out->api = kdnet_get_le32(payload);
    out->processor_level = kdnet_get_le16(payload + AT_LEVEL);
    out->processor = kdnet_get_le16(payload + AT_PROCESSOR);
    out->return_status = kdnet_get_le32(payload + AT_STATUS);
    out->data = payload + KDNET_MANIPULATE_SIZE;
    out->data_length = length - KDNET_MANIPULATE_SIZE;
    decode_union(payload + AT_UNION, out);
    return KDNET_OK;
}

int kdnet_manipulate_encode(const struct kdnet_manipulate *manipulate, uint8_t *out, size_t size, size_t *length)
{
    if (size < KDNET_MANIPULATE_SIZE || size - KDNET_MANIPULATE_SIZE < manipulate->data_length)
        return KDNET_ERR_SPACE;
    memcpy(out, manipulate->raw, sizeof manipulate->raw);
    kdnet_put_le32(out, manipulate->api);
    kdnet_put_le16(out + AT_LEVEL, manipulate->processor_level);
    kdnet_put_le16(out + AT_PROCESSOR, manipulate->processor);
    kdnet_put_le32(out + AT_STATUS, manipulate->return_status);
    encode_union(manipulate, out + AT_UNION);
    if (manipulate->data_length > 0)
        memcpy(out + KDNET_MANIPULATE_SIZE, manipulate->data, manipulate->data_length);
    *length = KDNET_MANIPULATE_SIZE + manipulate->data_length;
    return KDNET_OK;
}

void kdnet_manipulate_continue(struct kdnet_manipulate *out, enum kdnet_machine machine, uint32_t status, uint64_t dr7)
{
    memset(out, 0, sizeof *out);
    out->api = machine == KDNET_MACHINE_UNKNOWN ? KDNET_API_CONTINUE : KDNET_API_CONTINUE2;
    out->return_status = KDNET_STATUS_PENDING;
    out->u.go_on.status = status;
    uint8_t *set = out->raw + AT_UNION + 4; /* packed to 4; TraceFlag, at its start, stays 0 */
    switch (machine) {
    case KDNET_MACHINE_X64:
        kdnet_put_le64(set + 4, dr7);
        kdnet_put_le64(set + 12, 1);
        break;
    case KDNET_MACHINE_X86:
        kdnet_put_le32(set + 4, (uint32_t)dr7);
        kdnet_put_le32(set + 8, 1);
        break;
    case KDNET_MACHINE_ARM64:
        kdnet_put_le64(set + 8, 1); /* behind Continue and TraceFlag [sym] */
        break;
    case KDNET_MACHINE_UNKNOWN:
        break;
    }
}

const char *kdnet_api_name(uint32_t api)
{
    switch (api) {
#define NAME(name, number, text)                                                                                       \
    case number:                                                                                                       \
        return text;
        KDNET_API_MAP(NAME)
#undef NAME
    default:
        return NULL;
    }
}
