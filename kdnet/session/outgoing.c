/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/session/outgoing_internal.h"
#include "kdnet/error.h"
#include "kdnet/session/demand_internal.h"
#include "kdnet/session/offers_internal.h"

#include <string.h>

static bool seal_control(struct kdnet_session *session, uint8_t version, uint64_t sequence, const uint8_t *body,
                         size_t length, struct kdnet_outgoing *out)
{
    struct kdnet_datagram datagram = {.version = version,
                                      .channel = KDNET_CHANNEL_CONTROL,
                                      .from_host = true,
                                      .sequence = sequence,
                                      .body = body,
                                      .body_length = length};
    out->to_sender = true;
    return kdnet_datagram_seal(session->shared->crypto, session->keys.control.bytes, &session->keys.hmac, &datagram,
                               out->payload, sizeof out->payload, &out->length) == KDNET_OK;
}

int kdnet_session_solicit_poke(struct kdnet_session *session, uint8_t version, struct kdnet_outgoing *out)
{
    return seal_control(session, version, 0, NULL, 0, out) ? KDNET_OK : KDNET_ERR_CRYPTO;
}

static bool next_response(struct kdnet_session *session, struct kdnet_outgoing *out)
{
    const struct kdnet_offer *offer = &session->offers->offer[session->response_due - 1];
    uint8_t body[KDNET_RESPONSE_LENGTH];
    struct kdnet_response response;
    session->response_due = 0;
    memcpy(response.target_random, offer->target_random, sizeof response.target_random);
    memcpy(response.host_random, offer->host_random, sizeof response.host_random);
    kdnet_response_encode(&response, body);
    return seal_control(session, offer->version, offer->sequence, body, sizeof body, out);
}

static bool seal_data(struct kdnet_session *session, uint8_t version, const uint8_t *key, const uint8_t *body,
                      size_t length, struct kdnet_outgoing *out)
{
    struct kdnet_datagram datagram = {.version = version,
                                      .channel = KDNET_CHANNEL_DATA,
                                      .from_host = true,
                                      .sequence = ++session->sequence,
                                      .body = body,
                                      .body_length = length};
    out->to_sender = false;
    return kdnet_datagram_seal(session->shared->crypto, key, &session->keys.hmac, &datagram, out->payload,
                               sizeof out->payload, &out->length) == KDNET_OK;
}

/* Makes a break-in request. It is no packet of the link: no id, no ACK. */
static bool next_break_in(struct kdnet_session *session, struct kdnet_outgoing *out)
{
    static const uint8_t body[1] = {KDNET_BREAK_IN_BYTE};
    return kdnet_demand_take_due(session) &&
           seal_data(session, session->version, session->data_key, body, sizeof body, out);
}

static bool next_packet(struct kdnet_session *session, uint64_t now_us, struct kdnet_outgoing *out)
{
    uint8_t body[KDNET_PACKET_HEADER + KDNET_LINK_PAYLOAD_MAX];
    size_t length;
    if (!session->active || !session->connected)
        return false;
    unsigned sends = session->active->link.sends;
    if (!kdnet_link_next(&session->active->link, now_us, body, sizeof body, &length))
        return false;
    if (session->active->link.sends > sends && sends > 0)
        kdnet_state_count(session, KDNET_COUNT_SENT_AGAIN);
    return seal_data(session, session->version, session->data_key, body, length, out);
}

/* Makes a RESEND under a key that the machine may have taken without our knowledge: a halted machine answers. */
static bool next_knock(struct kdnet_session *session, struct kdnet_outgoing *out)
{
    static const struct kdnet_packet packet = {.control = true, .type = KDNET_PACKET_RESEND};
    const struct kdnet_offer *newest = kdnet_offers_newest(session, NULL);
    uint8_t body[KDNET_PACKET_HEADER];
    size_t length;
    session->knock_due = false;
    if (!newest || kdnet_packet_encode(&packet, body, sizeof body, &length) != KDNET_OK ||
        !seal_data(session, newest->version, newest->data_key, body, length, out))
        return false;
    out->to_sender = true;
    return true;
}

bool kdnet_session_next_control(struct kdnet_session *session, struct kdnet_outgoing *out)
{
    if (session->response_due)
        return next_response(session, out);
    if (session->knock_due && next_knock(session, out))
        return true;
    if (!session->solicit_due)
        return false;
    session->solicit_due = false;
    bool made = kdnet_session_solicit_poke(session, session->solicit_version, out) == KDNET_OK;
    out->to_sender = session->solicit_to_sender;
    return made;
}

bool kdnet_outgoing_next_data(struct kdnet_session *session, uint64_t now_us, struct kdnet_outgoing *out)
{
    return next_packet(session, now_us, out) || next_break_in(session, out);
}
