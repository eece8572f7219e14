/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link: the exchange of KD packets with one target: ids, ACK, RESEND, RESET, sending again, repeats.
 *
 * Uses error, packet. Protocol: PROTOCOL.md section 4 [cap, ros]. No crypto, no clock: the caller opens and seals, and
 * says what time it is.
 *
 * One data packet of ours is under way at a time. A request (wants_reply) is done when its reply comes; an answer or a
 * Continue when it is acknowledged. What gets no ACK is sent again with the same id. A request that got its ACK but no
 * reply is asked for by RESEND, and in the end by RESET: the target may have taken our id for a repeat (it was
 * connected to our previous process) and thrown the request away. Before that it has time to think: the round trips of
 * ACKs and of replies are measured apart, and what had to be sent again leaves its patience to the next one until
 * something is measured (Karn).
 */
#ifndef KDNET_LINK_H
#define KDNET_LINK_H

#include "kdnet/wire/packet.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_LINK_PAYLOAD_MAX  1360 /* our largest: SetContext of x64, 56 + 1232 bytes */
#define KDNET_LINK_CONTROL_MAX  4
#define KDNET_LINK_RTO_FIRST_US 250000U
#define KDNET_LINK_RTO_MIN_US   40000U
#define KDNET_LINK_RTO_GROWN_US 1000000U /* to which it grows while one packet is sent again and again */
#define KDNET_LINK_RTO_MAX_US   2000000U /* of what was measured */

/* What a link must remember while nothing is under way; small, because every idle target keeps one. */
struct kdnet_link_memory {
    uint32_t next_id;               /* of our next data packet */
    uint32_t last_id;               /* of the target's last data packet */
    uint32_t last_checksum;         /* of its payload */
    uint32_t rtt_us, rttvar_us;     /* of an ACK, smoothed; 0 before the first measurement */
    uint32_t reply_us, replyvar_us; /* of a reply */
    uint16_t last_type;
    uint8_t damaged : 2; /* damaged data packets since the last whole one */
    bool have_last : 1;
    bool out_of_step : 1; /* RESET goes before our next data packet */
    bool reset_sent : 1;  /* a RESET went out since the handshake */
    bool unsure : 1;      /* a RESET went out, and no reply has shown since that the target counts as we do */
    bool mute : 1;        /* it has acknowledged a request and never answered it, nor any since */
    uint8_t rtt_kept : 4, reply_kept : 4; /* steps by which the timeouts have grown since something was measured */
    uint64_t last_sequence;               /* of the datagram that brought the last data packet */
};

struct kdnet_link_control {
    uint16_t type;
    uint32_t id;
};

struct kdnet_link {
    struct kdnet_link_memory memory;

    struct kdnet_link_control control[KDNET_LINK_CONTROL_MAX]; /* to be sent, oldest first */
    unsigned control_count;

    bool split;       /* of what the target sends, we get only a part: another host gets the rest */
    bool busy;        /* a data packet of ours is under way */
    bool wants_reply; /* done by its reply, not by its ACK */
    bool acked;
    bool due;          /* to be sent now */
    bool resetting;    /* a RESET is out; the data packet waits for its answer */
    bool brought;      /* a data packet of the target has come since that RESET */
    bool awaiting;     /* the RESET was answered; the target's own packet comes first */
    bool agreed;       /* the RESET before it was answered */
    uint64_t asked_us; /* when a RESEND or RESET went out last; 0: never */
    bool reset_since;  /* a RESET went out after the data packet */
    bool asked;        /* a RESEND or RESET went out for it */
    uint16_t type;
    uint32_t id;
    unsigned sends;      /* how often it went out */
    unsigned timeouts;   /* since the last sign of life for it */
    unsigned reset_at;   /* of these, when a RESET went out or ended */
    uint64_t reset_us;   /* when a RESET went out last */
    unsigned resets_out; /* that got no answer yet, as far as we know */
    unsigned resets_own; /* of them for this packet */
    uint32_t again_id;   /* of a packet that went out more than once, whose first ACK came after again_us */
    uint64_t again_us;   /* 0: there is none */
    uint64_t begun_us;   /* when it went out first; 0: not yet */
    uint64_t last_us;    /* when it went out last */
    uint64_t acked_us;   /* when its first ACK came; 0: not yet */
    uint64_t answer_us;  /* until then the target's RESEND gets no answer at once */
    uint64_t timer_us;   /* when to act; UINT64_MAX: never */
    size_t length;
    uint8_t payload[KDNET_LINK_PAYLOAD_MAX];
};

/* What a received packet means for the caller. */
enum kdnet_link_news {
    KDNET_LINK_NOTHING,
    KDNET_LINK_DATA,  /* a new data packet: look at it */
    KDNET_LINK_ACKED, /* our data packet, which wants no reply, has arrived */
};

/* A link as after a handshake with a target that was just started: our ids begin at 80000000. */
void kdnet_link_memory_init(struct kdnet_link_memory *memory);

/* Nothing under way; `memory` is copied. */
void kdnet_link_init(struct kdnet_link *link, const struct kdnet_link_memory *memory);

/*
 * Takes the body of an authentic data datagram.
 *
 * sequence  of its datagram: an older one than the last data packet's is a straggler.
 * packet    written when the news is DATA; borrows from the body. Its ACK is already on its way, and a RESEND that has
 *           not gone out yet does not: the target has one packet under way at a time, and this is it.
 *
 * Returns KDNET_OK; KDNET_ERR_CHECKSUM, KDNET_ERR_LENGTH, KDNET_ERR_SHORT (RESEND is on its way; after three, such a
 * packet is taken as it is); KDNET_ERR_REPEAT (acknowledged again when it was the last one); or another error of
 * kdnet_packet_decode: not a KD packet.
 */
int kdnet_link_receive(struct kdnet_link *link, const uint8_t *body, size_t length, uint64_t sequence, uint64_t now_us,
                       enum kdnet_link_news *news, struct kdnet_packet *packet);

/*
 * Puts a data packet under way; the one before must be done or abandoned.
 * Returns KDNET_OK, KDNET_ERR_STATE (busy) or KDNET_ERR_SPACE (payload over KDNET_LINK_PAYLOAD_MAX).
 */
int kdnet_link_send(struct kdnet_link *link, uint16_t type, bool wants_reply, const uint8_t *payload, size_t length);

/* The reply to the request under way has come. */
void kdnet_link_done(struct kdnet_link *link);

/* The same, and how long it took is measured. */
void kdnet_link_replied(struct kdnet_link *link, uint64_t now_us);

/*
 * Whether the target may take our next data packet for a repeat, and acknowledge but ignore it. A request tells by its
 * reply; before a packet that has none, such as a Continue, ask for something with a reply until this is false.
 */
bool kdnet_link_is_unsure(const struct kdnet_link *link);

/* The target has not answered for long: what it does now is known only when it replies again. The link is unsure. */
void kdnet_link_doubt(struct kdnet_link *link);

/* The target acknowledged our packets and did not take them: RESET before the next one. */
void kdnet_link_diverged(struct kdnet_link *link);

/*
 * The target shows by what it does that it has taken our data packet, though no ACK came. Likely, not certain: the link
 * is unsure then.
 */
void kdnet_link_presume_done(struct kdnet_link *link);

/* Gives the data packet under way up. When the target may not have taken it, RESET brings both sides in step before the
 * next one. */
void kdnet_link_abandon(struct kdnet_link *link);

/* Asks for a control packet (RESEND, RESET, ACK) to be sent. With more than KDNET_LINK_CONTROL_MAX waiting, the oldest
 * is dropped: it would only repeat. */
void kdnet_link_control(struct kdnet_link *link, uint16_t type, uint32_t id);

/* After a new data key: what is under way goes out again under it, behind a RESET when `keep`; otherwise all is as
 * after kdnet_link_init. */
void kdnet_link_restart(struct kdnet_link *link, bool keep);

/*
 * The next KD packet to send, if there is one.
 * Returns true and writes `out` (KDNET_PACKET_HEADER + KDNET_LINK_PAYLOAD_MAX bytes are enough) and length.
 */
bool kdnet_link_next(struct kdnet_link *link, uint64_t now_us, uint8_t *out, size_t size, size_t *length);

/* When kdnet_link_expire wants to be called; UINT64_MAX: never. */
uint64_t kdnet_link_deadline(const struct kdnet_link *link);

/* Time has come: decides what to send again. */
void kdnet_link_expire(struct kdnet_link *link, uint64_t now_us);

/* The target says again what it waits with although it has acknowledged a request. While nothing shows that it counts
 * our ids as we do, that is the likely cause: RESET, and the request again. Else it thinks, and was asked meanwhile. */
void kdnet_link_ignored(struct kdnet_link *link);

/* A request that was acknowledged is not answered, for longer than any target thinks: RESET, and the request again. */
void kdnet_link_distrust(struct kdnet_link *link);

/* No more sending again until kdnet_link_wake: nobody is there to hear it. */
void kdnet_link_sleep(struct kdnet_link *link);
void kdnet_link_wake(struct kdnet_link *link, uint64_t now_us);

/* A round trip that was measured elsewhere, such as the handshake's. */
void kdnet_link_sample(struct kdnet_link *link, uint64_t sample_us);

/* The same of something that may have gone out more than once, and so took that long at most: it counts while nothing
 * else is known, and when it is shorter. */
void kdnet_link_sample_first(struct kdnet_link *link, uint64_t most_us);

/* Smoothed round-trip time in microseconds; 0 when nothing was measured. */
uint32_t kdnet_link_rtt(const struct kdnet_link *link);

/* The same from a request to its reply; what is known of ACKs before the first reply. */
uint32_t kdnet_link_reply_rtt(const struct kdnet_link *link);

/* How long the ACK of what goes out next is waited for. */
uint64_t kdnet_link_timeout(const struct kdnet_link *link);

/* Whether this packet is the target's last data packet again: only its ACK was lost. */
bool kdnet_link_is_repeat(const struct kdnet_link_memory *memory, const struct kdnet_packet *packet);

/* How long the reply to the request under way is waited for before the target is asked again. */
uint64_t kdnet_link_reply_timeout(const struct kdnet_link *link);

#endif
