/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link: the exchange of KD packets with one target: packet ids, ACK, RESEND, RESET, retransmission, repeats.
 *
 * Protocol: PROTOCOL.md section 4 [cap, ros]. No crypto and no clock: the caller decrypts, encrypts and passes the
 * time.
 *
 * One data packet of ours is in flight at a time. A request (wants_reply) ends with its reply; an answer or a Continue
 * ends with its ACK. A packet without an ACK is retransmitted with the same id. When a request has its ACK but no
 * reply, the link sends RESEND, and at last RESET: a target that was connected to our previous process may have taken
 * the id for a repeat and dropped the request. The target first gets time to think: the link measures the round trips
 * of ACKs and of replies separately, and keeps a timeout that grew by retransmissions until the next valid measurement
 * (Karn).
 */
#ifndef KDNET_LINK_H
#define KDNET_LINK_H

#include "kdnet/wire/packet.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_LINK_PAYLOAD_MAX  1360 /* our longest payload: SetContext of x64, 56 + 1232 bytes */
#define KDNET_LINK_CONTROL_MAX  4
#define KDNET_LINK_RTO_FIRST_US 250000U
#define KDNET_LINK_RTO_MIN_US   40000U
#define KDNET_LINK_RTO_GROWN_US 1000000U /* limit of growth while one packet is retransmitted again and again */
#define KDNET_LINK_RTO_MAX_US   2000000U /* limit of a measured timeout */

/* State that outlives the exchange of packets. Small, because every idle target keeps one. */
struct kdnet_link_memory {
    uint32_t next_id;               /* of our next data packet */
    uint32_t last_id;               /* of the target's last data packet */
    uint32_t last_checksum;         /* of that packet's payload */
    uint32_t rtt_us, rttvar_us;     /* of an ACK, smoothed; 0 before the first measurement */
    uint32_t reply_us, replyvar_us; /* of a reply, smoothed */
    uint16_t last_type;
    uint8_t damaged : 2; /* damaged data packets since the last intact one */
    bool have_last : 1;
    bool out_of_step : 1; /* a RESET has to precede our next data packet */
    bool reset_sent : 1;  /* a RESET was sent since the handshake */
    bool unsure : 1;      /* a RESET was sent, and no reply has proved since that the target counts our ids as we do */
    bool mute : 1;        /* the target has acknowledged a request without ever answering one */
    uint8_t rtt_kept : 4, reply_kept : 4; /* growth steps of the timeouts since the last measurement */
    uint64_t last_sequence;               /* of the datagram with the last data packet */
};

struct kdnet_link_control {
    uint16_t type;
    uint32_t id;
};

struct kdnet_link {
    struct kdnet_link_memory memory;

    struct kdnet_link_control control[KDNET_LINK_CONTROL_MAX]; /* to be sent, oldest first */
    unsigned control_count;

    bool rivals;      /* there may be another host */
    bool split;       /* another host receives a part of the target's packets */
    bool busy;        /* a data packet of ours is in flight */
    bool wants_reply; /* ends with its reply, not with its ACK */
    bool acked;
    bool due;          /* to be sent now */
    bool echo;         /* a RESEND follows the data packet */
    bool alternate;    /* a RESEND followed the data packet the last time */
    bool resetting;    /* a RESET is in flight; the data packet waits for the answer */
    bool brought;      /* a data packet of the target came since that RESET */
    bool awaiting;     /* the RESET was answered; the target's own packet comes first */
    bool agreed;       /* the previous RESET was answered */
    uint64_t asked_us; /* when the last RESEND or RESET was sent; 0: never */
    bool reset_since;  /* a RESET was sent after the data packet */
    bool asked;        /* a RESEND or RESET was sent for the data packet */
    uint16_t type;
    uint32_t id;
    unsigned sends;         /* transmissions of the data packet */
    unsigned timeouts;      /* since the last sign of life for the data packet */
    unsigned reset_at;      /* value of `timeouts` when the last RESET went out or ended */
    uint64_t reset_us;      /* when the last RESET was sent */
    unsigned resets_out;    /* RESETs without an answer yet, as far as known */
    unsigned resets_own;    /* those of them that were sent for this packet */
    uint32_t again_id;      /* id of a packet that was sent more than once, whose first ACK took again_us */
    uint64_t again_us;      /* 0: no such packet */
    uint64_t begun_us;      /* first transmission; 0: not yet */
    uint64_t last_us;       /* last transmission */
    uint64_t acked_us;      /* first ACK; 0: none yet */
    uint64_t answer_us;     /* until then a RESEND of the target is not answered at once */
    uint64_t pace_until_us; /* while `split`: when the missing reply counts as a timeout */
    uint64_t timer_us;      /* when to act; UINT64_MAX: never */
    size_t length;
    uint8_t payload[KDNET_LINK_PAYLOAD_MAX];
};

/* Meaning of a received packet for the caller. */
enum kdnet_link_news {
    KDNET_LINK_NOTHING,
    KDNET_LINK_DATA,  /* a new data packet for the caller */
    KDNET_LINK_ACKED, /* our data packet, which wants no reply, has arrived */
};

/* Initialises the memory for a target that was just started: our ids begin at 80000000. */
void kdnet_link_memory_init(struct kdnet_link_memory *memory);

/* Initialises a link without a packet in flight; copies `memory`. */
void kdnet_link_init(struct kdnet_link *link, const struct kdnet_link_memory *memory);

/*
 * Takes the body of an authentic data datagram.
 *
 * sequence  of the datagram; a lower sequence than the last data packet's marks a late packet.
 * packet    written when the news is DATA; borrows from the body. Its ACK is queued, and a queued RESEND is dropped:
 *           the target has one packet in flight at a time, which is this one.
 *
 * Returns KDNET_OK; KDNET_ERR_CHECKSUM, KDNET_ERR_LENGTH, KDNET_ERR_SHORT (RESEND is queued; after three damaged
 * packets the next one is taken as it is); KDNET_ERR_REPEAT (acknowledged again when it repeats the last packet); or
 * another error of kdnet_packet_decode: not a KD packet.
 */
int kdnet_link_receive(struct kdnet_link *link, const uint8_t *body, size_t length, uint64_t sequence, uint64_t now_us,
                       enum kdnet_link_news *news, struct kdnet_packet *packet);

/*
 * Sends a data packet; the previous packet must be done or abandoned.
 * Returns KDNET_OK, KDNET_ERR_STATE (busy) or KDNET_ERR_SPACE (payload over KDNET_LINK_PAYLOAD_MAX).
 */
int kdnet_link_send(struct kdnet_link *link, uint16_t type, bool wants_reply, const uint8_t *payload, size_t length);

/* Another host receives a part of the target's packets: asks again for the reply to the request in flight. */
void kdnet_link_share(struct kdnet_link *link, uint64_t now_us);

/* The reply just received answers a question that was sent only once: another host received its ACK. */
void kdnet_link_proven(struct kdnet_link *link);

/* Ends the request in flight: its reply has come. */
void kdnet_link_done(struct kdnet_link *link);

/* Ends the request in flight and measures the time to its reply. */
void kdnet_link_replied(struct kdnet_link *link, uint64_t now_us);

/*
 * Whether the target may take our next data packet for a repeat, and then acknowledge but ignore it. A request's reply
 * disproves that. Before a packet without a reply, such as a Continue, make requests until this is false.
 */
bool kdnet_link_is_unsure(const struct kdnet_link *link);

/* Marks the link unsure: the target has been silent for long, so only its next reply shows the target's state. */
void kdnet_link_doubt(struct kdnet_link *link);

/* Requires a RESET before the next data packet: the target acknowledged our packets without taking them. */
void kdnet_link_diverged(struct kdnet_link *link);

/*
 * Ends the packet in flight: the target's behaviour shows that it took the packet, though no ACK came. Likely, not
 * certain, so the link becomes unsure.
 */
void kdnet_link_presume_done(struct kdnet_link *link);

/* Gives up the packet in flight. When the target may not have taken it, a RESET brings both sides in step before the
 * next packet. */
void kdnet_link_abandon(struct kdnet_link *link);

/* Queues a control packet (RESEND, RESET, ACK). When KDNET_LINK_CONTROL_MAX are queued, the oldest is dropped: the
 * target or the link will repeat it. */
void kdnet_link_control(struct kdnet_link *link, uint16_t type, uint32_t id);

/* Adapts to a new data key. With `keep`, the packet in flight is sent again under the new key, after a RESET;
 * without, the link starts anew and keeps only the measured times. */
void kdnet_link_restart(struct kdnet_link *link, bool keep);

/*
 * Gets the next KD packet to send, if any.
 * Returns true and writes `out` (KDNET_PACKET_HEADER + KDNET_LINK_PAYLOAD_MAX bytes suffice) and length.
 */
bool kdnet_link_next(struct kdnet_link *link, uint64_t now_us, uint8_t *out, size_t size, size_t *length);

/* When to call kdnet_link_expire next; UINT64_MAX: never. */
uint64_t kdnet_link_deadline(const struct kdnet_link *link);

/* Decides what to retransmit at now_us. */
void kdnet_link_expire(struct kdnet_link *link, uint64_t now_us);

/* The target repeats the packet that it waits with although it has acknowledged a request. While nothing proves that
 * the target counts our ids as we do, the likely cause is a lost step: RESET, then the request again. Otherwise the
 * target still thinks, and was asked meanwhile. */
void kdnet_link_ignored(struct kdnet_link *link);

/* An acknowledged request stays unanswered for longer than any target thinks: RESET, then the request again. */
void kdnet_link_distrust(struct kdnet_link *link);

/* Stops retransmission until kdnet_link_wake: the target is lost. */
void kdnet_link_sleep(struct kdnet_link *link);
void kdnet_link_wake(struct kdnet_link *link, uint64_t now_us);

/* Adds a round trip that was measured elsewhere, e.g. in the handshake. */
void kdnet_link_sample(struct kdnet_link *link, uint64_t sample_us);

/* Adds an upper bound of a round trip of which another host may have received a part. */
void kdnet_link_sample_most(struct kdnet_link *link, uint64_t most_us);

/* Adds an upper bound of a round trip, from a packet that may have been sent more than once. Counts only when
 * nothing is measured yet, or when the bound is shorter than the measured time. */
void kdnet_link_sample_first(struct kdnet_link *link, uint64_t most_us);

/* Returns the smoothed round-trip time in microseconds; 0: not measured. */
uint32_t kdnet_link_rtt(const struct kdnet_link *link);

/* Returns the smoothed time from a request to its reply; before the first reply, that of ACKs. */
uint32_t kdnet_link_reply_rtt(const struct kdnet_link *link);

/* Returns how long the ACK of the next packet is awaited. */
uint64_t kdnet_link_timeout(const struct kdnet_link *link);

/* Whether `packet` repeats the target's last data packet: only our ACK was lost. */
bool kdnet_link_is_repeat(const struct kdnet_link_memory *memory, const struct kdnet_packet *packet);

/* Returns how long the reply to the request in flight is awaited before the target is asked again. */
uint64_t kdnet_link_reply_timeout(const struct kdnet_link *link);

#endif
