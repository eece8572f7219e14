/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to a halted machine, one at a time. PROTOCOL.md section 6. */
#include "kdnet/error.h"
#include "kdnet/session/request_internal.h"

#define HEADER_MOST 512U /* of an image's headers at once: enough for every kernel seen */

bool kdnet_request(struct kdnet_session *session, enum kdnet_purpose purpose, struct kdnet_manipulate *manipulate,
                   bool wants_reply)
{
    struct kdnet_halt *halt = &session->active->halt;
    uint8_t payload[KDNET_LINK_PAYLOAD_MAX];
    size_t length;
    manipulate->processor_level = halt->stop.change.processor_level;
    manipulate->processor = halt->stop.change.processor;
    manipulate->return_status = KDNET_STATUS_PENDING;
    halt->request.purpose = purpose;
    if (kdnet_manipulate_encode(manipulate, payload, sizeof payload, &length) != KDNET_OK)
        return false;
    return kdnet_link_send(&session->active->link, KDNET_PACKET_MANIPULATE, wants_reply, payload, length) == KDNET_OK;
}

bool kdnet_request_plain(struct kdnet_session *session, enum kdnet_purpose purpose, uint32_t api)
{
    struct kdnet_manipulate manipulate = {.api = api};
    return kdnet_request(session, purpose, &manipulate, true);
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

uint32_t kdnet_request_next_length(const struct kdnet_session *session)
{
    const struct kdnet_request *request = &session->active->halt.request;
    const struct kdnet_kernel_info *info = session->kernel_info;
    uint32_t rest = request->wanted - request->have, most = request->most;
    if (info && info->read_most > 0 && info->read_most < most)
        most = info->read_most;
    return rest < most ? rest : most;
}

bool kdnet_request_rest(struct kdnet_session *session)
{
    const struct kdnet_request *request = &session->active->halt.request;
    struct kdnet_manipulate manipulate = {.api = KDNET_API_READ_VIRTUAL_MEMORY};
    manipulate.u.memory.address = request->address + request->have;
    manipulate.u.memory.count = kdnet_request_next_length(session);
    return kdnet_request(session, request->purpose, &manipulate, true);
}

bool kdnet_request_read(struct kdnet_session *session, enum kdnet_purpose purpose, uint64_t address, uint32_t length)
{
    struct kdnet_request *request = &session->active->halt.request;
    request->purpose = purpose;
    request->address = address;
    request->wanted = length < KDNET_READ_SPACE ? length : KDNET_READ_SPACE;
    request->have = 0;
    request->most = KDNET_READ_SPACE;
    request->is_enough = NULL;
    return kdnet_request_rest(session);
}

bool kdnet_request_image_way(struct kdnet_session *session, const struct kdnet_image_way *way, uint64_t base)
{
    struct kdnet_request *request = &session->active->halt.request;
    uint32_t rva, length;
    kdnet_image_way_next(way, &rva, &length);
    if (way->part != KDNET_IMAGE_HEADER)
        return kdnet_request_read(session, KDNET_FOR_PROBE, base + rva, length);
    request->purpose = KDNET_FOR_PROBE;
    request->address = base + rva;
    request->wanted = length;
    request->have = 0;
    request->most = HEADER_MOST;
    request->is_enough = kdnet_image_header_is_enough;
    return kdnet_request_rest(session);
}
