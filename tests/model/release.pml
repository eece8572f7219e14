/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The release of a halted machine: link and session (kdnet/) against a strict target (service/kdnet-target/), over a network
 * that loses, repeats and reorders datagrams. README.md says what is checked, what each part stands for, and what is
 * left out. Each inline names the C function it stands for.
 *
 * The checker is built once and takes its parameters from the environment, so that a dozen models cost one compilation:
 *
 *   LOSS      datagrams lost, at any moment
 *   REPEAT    datagrams that come again later
 *   REORDER   datagrams that are overtaken by all that are under way behind them
 *   EARLY     timers of ours that fire although an answer is still under way
 *   RESTART   how often the host dies, at any moment, and starts with nothing
 *   REFRESH   how often the running target forgets its connection (KDTARGET: Refreshing KD connection)
 *   SILENCE   how often the host counts the target as lost, though it lives
 *   BREAKS    breaks of the machine, one after another (1 to 3)
 *   LOADSYM   bit b: break b is a load-symbols; otherwise a breakpoint
 *   FAULT     bit b: break b is an exception that is no breakpoint: nothing to step over
 *   SAMEPLACE 1: all breaks have the same bytes, as an int 3 in a loop
 *   READS     memory reads of an inquiry, beside GetVersion and GetContext
 *   THINK     packets that the target thinks about, for any time: its reply, or its going on, comes after any number of our
 *             timers; meanwhile it looks at nothing, and what does not fit on its network card is lost
 *   LATE      1: it acknowledges such a packet when it has done it, else at once
 *   TURNS     1: each timer has its turn, in any order (for what must happen in the end)
 *   CALM      1: also no more than so many new keys while one Continue is under way and nothing goes wrong
 *   MUTANT    one of the defects below
 */
c_decl {
\#define PARAMETER(name) (getenv(name) ? atoi(getenv(name)) : 0)
};

#define NO_PROOF                  1 /* a Continue goes out while the target may take it for a repeat */
#define CONTINUE_AGAIN            2 /* under a new key the Continue is sent again */
#define ACK_IS_ACCEPTANCE         3 /* an ACK counts as proof that the target counts as we do */
#define NO_RESEND                 4 /* after a handshake nobody asks whether the machine is halted */
#define ASKS_ONCE                 5 /* it is asked once, after a take-over too */
#define NO_SENDING_AGAIN          6 /* what gets no ACK is not sent again */
#define STRAGGLERS_TAKEN          7 /* a data packet behind a later one counts */
#define NOT_SAID_AGAIN            8 /* a state change that was asked for is a new break */
#define STALE_REPLY_PROVES       10 /* a reply without an ACK before it, which may be an older one said again, proves it too */
#define PROOFS_ALIKE             12 /* each proof is the same question: a late reply to one is taken for the next one's */
#define FIRST_IS_FRESH           11 /* who says that he holds no connection was never connected, so counts as we do */
#define GIVES_UP_EARLY           13 /* what was acknowledged and is not answered is given up while the target thinks */
#define NO_DISTRUST              14 /* it is given up without a RESET: the answer to the one before may have been an older one's */
#define SAID_AGAIN_CONTINUES      9 /* it is the old break, without a look at the program counter */

/* Limits of the code, scaled down; what matters is their order. In brackets the code's. */
#define TO_RESET         6 /* [20] link.c: longer than any target thinks */
#define RESETS_UNHEARD   3 /* [3]  link.c, kdnet_link_expire */
#define DEAF_TIMEOUTS    3 /* [4]  session.c */
#define TIMEOUTS_CYCLE   6 /* a multiple of all four: the count may start again there */
#define TAKE_OVER_ASKS   3 /* [8]  session.c */
#define FIRST_ASKS       1 /* [3]  session.c */
#define ASKS_QUICK       2 /* [3]  break_handler.c */
#define ASKS_MAX         7 /* [12] break_handler_internal.h */
#define ASKS_DEAF        2 /* [4]  resume.c */
#define STEP_TIMEOUTS    4 /* [12 s] resume.c: longer than any target thinks */
#define PROOFS_MAX       6 /* [20] resume.c */
#define GOING_SENDS      4 /* [12] resume.c */
#define GOING_HEARD      3 /* [3]  resume.c */
#define GOING_HEARD_MAX  16 /* [200] resume.c */
#define CARD             4 /* datagrams that wait while the target thinks */
#define IDS              15 /* ids modulo 16; the code's modulo 2^31 */
#define KEYS             6

/* Datagrams: kind, data key (0: control channel), id, a, g, late. */
#define RESPONSE 1  /* a: the poke that it answers; id: the new data key */
#define NUDGE    2  /* the empty control datagram */
#define ACK      3
#define RESEND   4
#define RESET    5
#define REQUEST  6  /* a: api; g as CONTINUE's */
#define CONTINUE 7  /* g: the break that it is meant for: known to the property, not to the programs */
#define POKE     8  /* a: its number; g: says that it is connected */
#define CHECK    9  /* the connection check */
#define STATE    10 /* a: its bytes, as a number; g: the break that it tells, known to the host only through a */
#define REPLY    11 /* a: api; g: GetContext's, whether the program counter has been moved on */

#define FRESH     0
#define OVERTAKEN 1 /* a later one of the same key was delivered: its sequence number is behind the receiver's mark */
#define COPY      2 /* it was delivered before */

chan h2t = [12] of { byte, byte, byte, byte, byte, byte };
chan t2h = [12] of { byte, byte, byte, byte, byte, byte };

/* api of requests: replies are matched by it alone (probes.c, is_our_reply) */
#define NONE        0
#define GET_VERSION 1
#define GET_CONTEXT 2
#define SET_CONTEXT 3
#define READ        4 /* READ + n: the address tells them apart */
#define READ_PROOF  8 /* the same, of a proof */

/* steps that differ only in what is done with the reply (session_internal.h, enum kdnet_step) */
#define STEP_INQUIRY 0
#define STEP_SAME    1
#define STEP_PROVE   2

/* stages (session_internal.h, enum kdnet_stage); HELD is not modelled: then nothing is owed to the machine */
#define RUNNING   0
#define READING   1
#define RELEASING 2
#define GOING     3

/* --- the host: struct kdnet_session ---------------------------------------------------------------------------- */
bit h_connected, h_known, h_rekey_wanted, h_lost;
bit h_nudged;       /* nudged_us: less than NUDGE_PERIOD_US ago */
bit h_offered;      /* an offer was made less than OFFER_SPACING_US ago */
byte h_foreign;     /* foreign_us: 0 no, 1 just now, 2 for longer than FOREIGN_PATIENCE_US */
byte h_key;
byte h_offer_key[2], h_offer_poke[2]; /* offers, older first; KDNET_OFFERS is 4 */
bit h_offer_took[2];
byte h_asks;        /* asks_left */
bit h_ask_timer;    /* ask_us is not KDNET_NEVER */
bit h_version;      /* boot->version_known */

/* struct kdnet_link */
byte l_next, l_last;
bit l_have, l_out, l_reset_sent, l_unsure;
bit l_busy, l_wants, l_acked, l_due, l_resetting, l_reset_since, l_timer;
bit l_agreed;       /* the RESET before the packet was answered */
bit l_asked;        /* asked_us: a RESEND or RESET went out less than ASKED_LATELY_US ago */
byte l_id, l_api, l_sends, l_timeouts;

/* struct kdnet_halt */
byte a_stage, a_step, a_bytes, a_reads, a_giving_up, a_proofs, a_asked, a_heard;
bit a_reset;        /* distrusted: a RESET went out before what is not answered is given up */
bit a_context_known, a_context_moved, a_context_tried, a_stepped, a_load, a_fault;
byte a_break;       /* property only: which break the host believes to be at */

/* --- the target: struct machine --------------------------------------------------------------------------------- */
byte t_key;         /* 0: not keyed */
byte t_poke;        /* number of its last poke, modulo 8 */
bit t_poke2;        /* the one before is remembered too */
byte t_next, t_expected, t_last;
bit t_accepted, t_pending, t_wait, t_moved;
byte t_kind, t_id, t_a, t_g; /* the pending packet */
byte t_break;
byte t_think, t_think_id, t_think_a, t_think_g; /* the packet that it thinks about; t_think: its kind, 0: none */

/* --- the network and the property ------------------------------------------------------------------------------- */
byte losses, thinks, repeats, reorders, earlies, restarts, refreshes, silences;
byte p_breaks, p_load, p_fault, p_reads, p_calm, mutant;
bit p_same, p_turns, p_late;
byte told;          /* bit b: a result was told for break b */
byte churn;         /* new keys while one Continue is under way, since the last thing that went wrong */
bit w_host, w_target; /* whose turn has been, where turns are kept (TURNS) */

hidden byte k, key, id, a, g, late, n, i, x, old;
hidden byte c_resend, c_ack, c_reset, c_nudge, c_response, c_new, c_acked, y;
hidden byte c_ack_id, c_poke, c_key;

#define IS_LOAD(b)  ((p_load >> (b)) & 1)
#define IS_FAULT(b) ((p_fault >> (b)) & 1)
#define BYTES(b)    (p_same -> 1 : (b))
#define QUIET       (len(t2h) == 0 && (t_think || len(h2t) == 0))
#define ENDED       (t_break == p_breaks && !t_wait)

inline to_target(kind, k0, id0, a0, g0)
{
    if
    :: t_think && len(h2t) >= CARD -> skip /* its card is full */
    :: else ->
        assert(nfull(h2t)); /* the model's room is enough: nothing is lost unseen */
        h2t!kind, k0, id0, a0, g0, FRESH
    fi
}

inline to_host(kind, k0, id0, a0, g0)
{
    assert(nfull(t2h));
    t2h!kind, k0, id0, a0, g0, FRESH
}

/* === link.c ====================================================================================================== */

/* kdnet_link_send */
inline link_send(wants, api)
{
    assert(!l_busy);
    l_id = l_next;
    l_next = (l_next + 1) & IDS;
    l_busy = 1; l_wants = wants; l_api = api;
    l_acked = 0; l_due = 1; l_sends = 0; l_timeouts = 0; l_reset_since = 0; l_timer = 0;
    l_agreed = 0
}

/* kdnet_link_done */
inline link_done()
{
    if
    :: l_resetting || l_reset_since -> l_out = 1
    :: else -> if :: l_wants -> l_unsure = (!l_acked && mutant != STALE_REPLY_PROVES) :: else fi
    fi;
    l_busy = 0; l_due = 0; l_resetting = 0; l_timer = 0;
    l_acked = 0; l_agreed = 0; l_reset_since = 0; l_api = NONE; l_wants = 0; l_timeouts = 0
}

/* kdnet_link_abandon */
inline link_abandon()
{
    if
    :: l_busy ->
        y = l_unsure;
        if
        :: l_sends == 0 -> l_next = l_id
        :: else -> if :: !l_acked -> l_out = 1 :: else fi
        fi;
        link_done();
        l_unsure = y
    :: else
    fi
}

/* begin_reset */
inline begin_reset()
{
    l_out = 0; l_unsure = 1; l_reset_sent = 1; l_resetting = 1; l_agreed = 0;
    l_reset_since = (l_sends > 0);
    c_reset = 1
}

/* end_reset */
inline end_reset()
{
    l_resetting = 0; l_acked = 0; l_due = l_busy; l_timer = 0
}

/* kdnet_link_restart */
inline link_restart(keep)
{
    l_resetting = 0; l_agreed = 0;
    if
    :: keep -> l_out = 1; l_acked = 0; l_due = l_busy; l_timer = 0
    :: else ->
        l_next = 0; l_last = 0; l_have = 0; l_out = 0; l_reset_sent = 0; l_unsure = 0; l_busy = 0; l_wants = 0;
        l_acked = 0; l_due = 0; l_reset_since = 0; l_timer = 0; l_asked = 0; l_id = 0; l_api = 0; l_sends = 0;
        l_timeouts = 0
    fi
}

/* receive_control and receive_ack; sets c_acked for KDNET_LINK_ACKED */
inline link_control()
{
    if
    :: k == ACK && l_busy && id == l_id && l_sends > 0 && !l_resetting ->
        if
        :: !l_wants -> link_done(); c_acked = 1
        :: else ->
            l_acked = 1; l_due = 0; l_timeouts = 0; l_timer = 1;
            if :: mutant == ACK_IS_ACCEPTANCE -> l_unsure = 0; l_reset_since = 0 :: else fi
        fi
    :: k == RESEND && l_busy && l_sends > 0 && !l_resetting -> l_due = 1
    :: k == RESET ->
        if
        :: l_resetting -> end_reset(); l_agreed = 1 /* reset_answered */
        :: !l_resetting && !l_reset_sent -> l_have = 0; l_out = 1; l_due = l_busy
        :: else
        fi
    :: else
    fi
}

/* kdnet_link_receive, a data packet; sets c_new for KDNET_LINK_DATA */
inline link_data()
{
    c_new = 0;
    if
    :: l_have && late == OVERTAKEN && mutant != STRAGGLERS_TAKEN -> skip
    :: else ->
        c_ack = 1; c_ack_id = id;
        if
        :: l_have && l_last == id -> skip
        :: else ->
            c_new = 1; c_resend = 0; /* forget_resend */
            /* never a packet twice as new: ids only go up */
            assert(!l_have || (((id - l_last) & IDS) >= 1 && ((id - l_last) & IDS) <= 8))
        fi;
        l_have = 1; l_last = id
    fi
}

/* kdnet_link_next, until there is nothing; kdnet_session_next_datagram */
inline host_flush()
{
    if :: c_response -> to_target(RESPONSE, 0, c_key, c_poke, 0) :: else fi;
    if :: c_nudge -> to_target(NUDGE, 0, 0, 0, 0) :: else fi;
    if
    :: h_connected ->
        if :: c_resend -> to_target(RESEND, h_key, 0, 0, 0); l_asked = 1 :: else fi;
        if :: c_ack -> to_target(ACK, h_key, c_ack_id, 0, 0) :: else fi;
        if :: l_busy && l_due && l_out -> begin_reset() :: else fi;
        if :: c_reset -> to_target(RESET, h_key, l_id, 0, 0); l_asked = 1; l_timer = (l_resetting -> 1 : l_timer) :: else fi;
        if
        :: l_busy && l_due && !l_resetting ->
            if
            :: l_wants -> to_target(REQUEST, h_key, l_id, l_api, a_break)
            :: else -> to_target(CONTINUE, h_key, l_id, 0, a_break)
            fi;
            l_due = 0;
            l_sends = (l_sends < GOING_SENDS -> l_sends + 1 : l_sends);
            l_timer = (mutant == NO_SENDING_AGAIN -> l_acked : 1)
        :: else
        fi
    :: else
    fi;
    c_response = 0; c_nudge = 0; c_resend = 0; c_ack = 0; c_reset = 0; c_acked = 0; c_new = 0
}

/* kdnet_link_wake */
inline link_wake()
{
    if :: l_busy && !l_timer && (!l_due || l_resetting) -> l_timeouts = 0; l_timer = 1 :: else fi
}

/* kdnet_link_expire; then the part of kdnet_session_expire that suspects the key */
inline link_expire()
{
    l_timeouts = l_timeouts + 1;
    l_timer = 0;
    if
    :: l_resetting ->
        if
        :: l_timeouts % RESETS_UNHEARD == 0 -> end_reset()
        :: else -> begin_reset()
        fi
    :: !l_resetting && (l_wants || l_unsure) && !t_think && l_timeouts % TO_RESET == 0 -> begin_reset()
    :: else ->
        if
        :: l_acked -> c_resend = 1; l_timer = 1
        :: else -> l_due = 1
        fi
    fi;
    if :: l_timeouts % DEAF_TIMEOUTS == 0 && !l_acked -> suspect_key() :: else fi;
    l_timeouts = l_timeouts % TIMEOUTS_CYCLE
}

/* === session.c: handshake ======================================================================================== */

/* kdnet_session_suspect_key */
inline suspect_key()
{
    h_rekey_wanted = 1;
    c_nudge = 1
}

/* heard */
inline heard()
{
    if :: h_lost -> h_lost = 0; link_wake() :: else fi
}

/* The smallest number of a key that nobody holds and no datagram under way names: fresh random bytes. */
inline fresh_key()
{
    x = 0;
    x = x | (1 << h_key) | (1 << t_key) | (1 << h_offer_key[0]) | (1 << h_offer_key[1]);
    n = len(h2t); i = 0;
    do
    :: i < n ->
        h2t?g, old, id, c_ack_id, c_poke, c_key; h2t!g, old, id, c_ack_id, c_poke, c_key;
        x = x | (1 << old);
        if :: g == RESPONSE -> x = x | (1 << id) :: else fi;
        i++
    :: else -> break
    od;
    n = len(t2h); i = 0;
    do
    :: i < n ->
        t2h?g, old, id, c_ack_id, c_poke, c_key; t2h!g, old, id, c_ack_id, c_poke, c_key;
        x = x | (1 << old);
        i++
    :: else -> break
    od;
    c_key = 1;
    do
    :: (x >> c_key) & 1 -> c_key++
    :: else -> break
    od;
    assert(c_key <= KEYS)
}

/* make_offer: a new provisional key, older offers stay while there is room */
inline make_offer(took)
{
    y = took;
    fresh_key();
    if
    :: h_offer_key[0] && h_offer_key[1] ->
        h_offer_key[0] = h_offer_key[1]; h_offer_poke[0] = h_offer_poke[1]; h_offer_took[0] = h_offer_took[1];
        h_offer_key[1] = 0
    :: else
    fi;
    i = (h_offer_key[0] -> 1 : 0);
    h_offer_key[i] = c_key; h_offer_poke[i] = a; h_offer_took[i] = y;
    c_poke = a; c_response = 1;
    h_offered = 1
}

/* forget_older_offers: offer i is used now; one that is younger stays */
inline forget_offers()
{
    if
    :: i == 0 && h_offer_key[1] ->
        h_offer_key[0] = h_offer_key[1]; h_offer_poke[0] = h_offer_poke[1]; h_offer_took[0] = h_offer_took[1]
    :: else -> h_offer_key[0] = 0; h_offer_poke[0] = 0; h_offer_took[0] = 0
    fi;
    h_offer_key[1] = 0; h_offer_poke[1] = 0; h_offer_took[1] = 0
}

/* receive_poke, answered, wants_answer; a poke of the same run of the target always */
inline receive_poke()
{
    if
    :: h_offer_key[0] && h_offer_poke[0] == a -> c_response = 1; c_key = h_offer_key[0]; c_poke = a
    :: h_offer_key[1] && h_offer_poke[1] == a -> c_response = 1; c_key = h_offer_key[1]; c_poke = a
    :: else ->
        if
        :: late != FRESH && (h_connected || h_offer_key[0]) -> skip /* its sequence is behind: of_session, or answered's `later` */
        :: else ->
            y = (!(h_offer_key[0] && h_offered) && (!h_connected || h_rekey_wanted || !g || h_offer_key[0]));
            if
            :: h_connected -> heard(); inquiry_heard()
            :: else
            fi;
            if :: y -> make_offer(g) :: else fi
        fi
    fi
}

/* promote: the target uses the key of offer i */
inline promote()
{
    x = (a_stage != RUNNING); /* keep */
    y = (l_next != 0 || l_out || l_reset_sent || l_busy); /* has_numbered */
    link_restart(x);
    if
    :: h_offer_took[i] || (h_known && y) -> l_out = 1
    :: else -> l_unsure = (mutant != FIRST_IS_FRESH)
    fi;
    c_resend = (mutant != NO_RESEND);
    if
    :: (h_offer_took[i] || !h_known) && mutant != ASKS_ONCE && mutant != NO_RESEND ->
        h_asks = (h_offer_took[i] -> TAKE_OVER_ASKS : FIRST_ASKS); h_ask_timer = 1
    :: else
    fi;
    h_key = h_offer_key[i];
    h_connected = 1; h_known = 1;
    forget_offers();
    if :: x -> inquiry_rekeyed() :: else fi
}

/* foreign_data: no key of ours opens it */
inline foreign_data()
{
    y = 1;
    if
    :: h_connected && h_foreign < 2 -> h_foreign = (h_foreign == 0 -> 1 : h_foreign); y = 0
    :: h_connected && h_foreign == 2 -> h_rekey_wanted = 1
    :: !h_connected && h_offer_key[0] && h_offered -> y = 0 /* a response is on its way */
    :: else
    fi;
    if :: y && !h_nudged -> h_nudged = 1; c_nudge = 1 :: else fi
}

/* receive_data, open_data, take_sequence, receive_packet */
inline receive_data()
{
    y = 0;
    if
    :: h_connected && key == h_key -> y = 1
    :: else ->
        i = 2;
        if
        :: h_offer_key[0] == key -> i = 0
        :: h_offer_key[1] == key -> i = 1
        :: else
        fi;
        if
        :: i < 2 -> promote(); y = 1
        :: else -> foreign_data(); y = 0
        fi
    fi;
    if
    :: y && late != COPY ->
        h_foreign = 0; h_rekey_wanted = 0;
        heard();
        if
        :: k == CHECK -> skip
        :: k == STATE || k == REPLY ->
            link_data();
            if
            :: c_new && k == STATE -> h_asks = 0; h_ask_timer = 0; on_state_change()
            :: c_new && k == REPLY -> reading_reply()
            :: else
            fi
        :: else ->
            link_control();
            if :: c_acked -> inquiry_acked() :: else fi
        fi
    :: else
    fi
}

/* === break_handler.c, probes.c, resume.c ============================================================================= */

/* kdnet_request, kdnet_request_plain, kdnet_request_read */
inline request(step, api)
{
    a_step = step;
    link_send(1, api)
}

/* kdnet_resume_done */
inline release_done()
{
    a_stage = RUNNING;
    /* what keep_change clears at the next break has no meaning until then */
    a_step = 0; a_bytes = 0; a_reads = 0; a_giving_up = 0; a_proofs = 0; a_asked = 0; a_heard = 0;
    a_reset = 0; a_context_known = 0; a_context_moved = 0; a_context_tried = 0; a_stepped = 0; a_load = 0; a_fault = 0; a_break = 0;
    churn = 0;
    if :: !l_busy -> l_sends = 0; l_id = 0 :: else fi
}

/* must_prove */
#define MUST_PROVE ((l_unsure || l_out) && a_proofs < PROOFS_MAX && mutant != NO_PROOF)

/* prove */
inline prove()
{
    a_proofs++;
    a_stage = RELEASING; a_giving_up = 0;
    if
    :: (a_proofs & 1) || mutant == PROOFS_ALIKE -> request(STEP_PROVE, GET_VERSION)
    :: else -> request(STEP_PROVE, READ_PROOF + a_proofs)
    fi
}

/* kdnet_resume_go_on */
inline go_on()
{
    if
    :: MUST_PROVE -> prove()
    :: else ->
        a_stage = GOING; a_heard = 0; a_step = 0;
        link_send(0, NONE)
    fi
}

#define MUST_STEP (!a_stepped && h_version && !a_fault)

/* kdnet_resume_next; must_step needs the machine's kind, which GetVersion gave */
inline release_next()
{
    a_stage = RELEASING;
    if
    :: MUST_STEP && !a_context_known && !a_context_tried ->
        a_giving_up = 0; request(STEP_INQUIRY, GET_CONTEXT)
    :: MUST_STEP && a_context_known && !a_context_moved && MUST_PROVE -> prove()
    :: MUST_STEP && a_context_known && !a_context_moved && !MUST_PROVE ->
        a_stepped = 1; a_context_moved = 1; a_giving_up = 0; request(STEP_INQUIRY, SET_CONTEXT)
    :: else -> go_on()
    fi
}

/* await_reply: the reply to what is under way at the deadline is wanted */
#define AWAITED (l_busy && l_wants && l_sends > 0 && (l_acked -> (l_api == GET_CONTEXT || l_unsure || l_out) : l_api == GET_VERSION))

/* kdnet_resume_conclude: the one result of this break, then on */
inline conclude()
{
    told = told | (1 << a_break);
    if
    :: AWAITED -> a_stage = RELEASING; a_giving_up = 0 /* await_reply */
    :: !AWAITED && l_busy -> /* the deadline came: a context that is to be set may be another break's, see release_next */
        link_abandon();
        if :: MUST_STEP && a_context_known && !a_context_moved -> l_unsure = 1 :: else fi;
        release_next()
    :: else -> release_next()
    fi
}

/* kdnet_break_handler_advance and kdnet_probes_next: GetVersion (once a boot), GetContext, reads */
inline advance()
{
    if
    :: l_busy -> skip
    :: !l_busy && a_stage == READING ->
        if
        :: !h_version && a_reads == 0 -> a_reads = 1; request(STEP_INQUIRY, GET_VERSION)
        :: h_version && a_reads == 0 -> a_reads = 1; request(STEP_INQUIRY, GET_CONTEXT)
        :: a_reads > 0 && h_version && !a_context_tried -> request(STEP_INQUIRY, GET_CONTEXT)
        :: a_reads > 0 && (a_context_tried || !h_version) && a_reads <= p_reads -> a_reads++; request(STEP_INQUIRY, READ + a_reads)
        :: else -> conclude()
        fi
    :: !l_busy && a_stage == RELEASING ->
        if :: a_load -> go_on() :: else -> release_next() fi
    :: else
    fi
}

/* keep_change and begin_halt, on_load_symbols */
inline begin_halt(bytes, brk)
{
    old = bytes; x = brk;
    release_done(); /* only what is cleared */
    a_bytes = old; a_break = x;
    a_load = IS_LOAD(a_break); a_fault = IS_FAULT(a_break);
    a_stage = READING;
    if :: a_load -> go_on() :: else -> advance() fi
}

/* on_state_change; implied_release */
inline on_state_change()
{
    if
    :: a_bytes == a && (a_stage == READING || a_stage == RELEASING) ->
        /* kdnet_link_ignored: said again */
        if :: l_busy && l_acked && !l_resetting && l_unsure && !l_agreed -> begin_reset() :: else fi
    :: a_bytes == a && a_stage == GOING && l_asked && l_busy && !l_sends && mutant != NOT_SAID_AGAIN ->
        skip /* the RESET before the Continue brought it */
    :: a_bytes == a && a_stage == GOING && l_asked && !(l_busy && !l_sends) && mutant != NOT_SAID_AGAIN ->
        a_proofs = 0;
        link_abandon();
        a_stage = RELEASING;
        if
        :: a_context_known && mutant != SAID_AGAIN_CONTINUES -> request(STEP_SAME, GET_CONTEXT)
        :: else -> advance()
        fi
    :: else ->
        y = (l_busy && !l_wants);
        if :: y -> link_done(); l_unsure = 1 /* kdnet_link_presume_done */ :: else fi;
        link_abandon();
        if :: a_stage == READING -> told = told | (1 << a_break) /* reason lost */ :: else fi;
        begin_halt(a, g)
    fi
}

/* kdnet_probes_reply */
inline reading_reply()
{
    if
    :: a_stage == RUNNING -> h_asks = ASKS_MAX; h_ask_timer = 1
    :: a_stage != RUNNING && l_busy && l_wants && l_api == a ->
        link_done();
        if
        :: a == GET_VERSION && a_step != STEP_PROVE -> h_version = 1
        :: a == GET_CONTEXT && a_step != STEP_SAME -> a_context_tried = 1; a_context_known = 1; a_context_moved = g
        :: else
        fi;
        if
        :: a == GET_CONTEXT && a_step == STEP_SAME && g != a_context_moved ->
            /* kdnet_break_handler_begin_again: it ran, and broke in at the same place. The property believes the machine. */
            begin_halt(a_bytes, t_break)
        :: else -> advance()
        fi
    :: else
    fi
}

/* kdnet_break_handler_acked; answers to prompts and file questions are not modelled */
inline inquiry_acked()
{
    if :: a_stage == GOING -> release_done() :: else fi
}

/* kdnet_break_handler_heard */
inline inquiry_heard()
{
    if :: h_asks > 0 && !h_ask_timer -> h_ask_timer = 1 :: else fi;
    if
    :: a_stage == GOING ->
        a_heard++;
        if
        :: a_heard >= GOING_HEARD_MAX -> link_abandon(); release_done()
        :: a_heard < GOING_HEARD_MAX && l_sends >= GOING_SENDS -> link_wake(); c_resend = 1
        :: else
        fi
    :: else
    fi
}

/* kdnet_break_handler_rekeyed */
inline inquiry_rekeyed()
{
    if
    :: a_stage == GOING && mutant != CONTINUE_AGAIN ->
        link_abandon();
        a_asked = (a_asked == 0 -> 1 : a_asked);
        churn = (p_calm > 0 -> churn + 1 : 0);
        assert(churn <= p_calm)
    :: else
    fi
}

/* Timers of ours: one that is due fires. kdnet_session_expire, kdnet_break_handler_expire. */
#define READ_DEADLINE (a_stage == READING)
#define ASK_GOING     (a_stage == GOING && !l_busy)
#define LINK_TIMER    (l_busy && l_timer)
#define ASK_TIMER     (h_asks > 0 && h_ask_timer)
#define HOST_TIMER    (READ_DEADLINE || ASK_GOING || LINK_TIMER || ASK_TIMER)

inline host_expire()
{
    if
    :: READ_DEADLINE -> conclude()
    :: ASK_GOING -> /* ask_again */
        if
        :: a_asked >= ASKS_MAX -> release_done()
        :: else ->
            a_asked++;
            if :: a_asked == ASKS_DEAF -> suspect_key() :: else fi;
            c_resend = 1
        fi
    :: ASK_TIMER -> /* expire_asks */
        h_asks--;
        h_ask_timer = (h_asks % ASKS_QUICK != 0);
        if :: a_stage == RUNNING && !l_busy -> c_resend = 1 :: else fi
    :: LINK_TIMER ->
        y = 0;
        if
        :: a_stage == RELEASING && l_acked -> /* kdnet_resume_expire_step */
            a_giving_up = (a_giving_up < STEP_TIMEOUTS -> a_giving_up + 1 : STEP_TIMEOUTS);
            if
            :: a_giving_up >= STEP_TIMEOUTS && (!t_think || mutant == GIVES_UP_EARLY) && (l_unsure || l_out) && !a_reset && !l_resetting && mutant != NO_DISTRUST ->
                a_reset = 1; l_acked = 0; begin_reset(); y = 1
            :: a_giving_up >= STEP_TIMEOUTS && (!t_think || mutant == GIVES_UP_EARLY) && !((l_unsure || l_out) && !a_reset && !l_resetting && mutant != NO_DISTRUST) ->
                if :: l_api == GET_CONTEXT -> a_context_tried = 1 :: else fi;
                a_proofs = PROOFS_MAX;
                link_abandon(); go_on(); y = 1
            :: else
            fi
        :: a_stage == GOING && l_sends >= GOING_SENDS -> l_timer = 0; y = 1 /* kdnet_resume_expire_going */
        :: else
        fi;
        if :: !y -> link_expire() :: else fi
    fi
}

/* Time passed: what was lately may be long ago. */
inline pass_time()
{
    h_nudged = 0; h_offered = 0;
    if :: h_foreign == 1 -> h_foreign = 2 :: else fi;
    if :: a_stage == GOING && l_asked -> if :: l_asked = 0 :: skip fi :: else fi
}

/* The process dies; another starts, which knows the keys of its configuration and nothing else. */
inline host_restart()
{
    h_connected = 0; h_known = 0; h_rekey_wanted = 0; h_lost = 0; h_nudged = 0; h_offered = 0; h_foreign = 0;
    h_key = 0; h_asks = 0; h_ask_timer = 0; h_version = 0;
    h_offer_key[0] = 0; h_offer_key[1] = 0; h_offer_poke[0] = 0; h_offer_poke[1] = 0;
    h_offer_took[0] = 0; h_offer_took[1] = 0;
    link_restart(0);
    release_done()
}

/* === the target: service/target ================================================================================== */

/* make_poke; numbers start again when nobody remembers one */
inline target_poke()
{
    if
    :: QUIET && !h_offer_key[0] -> t_poke = 0; t_poke2 = 0
    :: else -> t_poke = (t_poke + 1) & 7; t_poke2 = 1
    fi;
    n = (t_key != 0);
    to_host(POKE, 0, 0, t_poke, n)
}

/* OUT_PENDING in make_body */
inline target_pending()
{
    if :: t_key != 0 && t_pending -> to_host(t_kind, t_key, t_id, t_a, t_g) :: else fi
}

/* link_send of the target */
inline target_send(kind, a0, g0)
{
    t_kind = kind; t_a = a0; t_g = g0;
    t_pending = 1; t_id = t_next;
    t_next = (t_next + 1) & IDS;
    target_pending()
}

/* halt_send */
inline halt_send()
{
    target_send(STATE, BYTES(t_break), t_break)
}

/* send_again */
inline send_again()
{
    if
    :: t_pending -> target_pending()
    :: !t_pending && t_wait -> halt_send()
    :: else
    fi
}

inline target_acknowledged()
{
    t_pending = 0; t_kind = 0; t_a = 0; t_g = 0
}

/* take_response: the mark of the host's sequence goes back to zero, so what was late is not any more */
inline take_response()
{
    if
    :: a == t_poke || (t_poke2 && a == ((t_poke + 7) & 7)) ->
        x = id;
        n = len(h2t); i = 0;
        do
        :: i < n ->
            h2t?k, key, id, a, g, late;
            if :: key == x -> late = FRESH :: else fi;
            h2t!k, key, id, a, g, late;
            i++
        :: else -> break
        od;
        if
        :: x != t_key ->
            t_key = x;
            to_host(CHECK, t_key, 0, 0, 0);
            target_pending()
        :: else
        fi
    :: else
    fi
}

/* requests_do, do_request, go_on */
inline target_does()
{
    if
    :: k == REQUEST ->
        assert(a != SET_CONTEXT || p_same || g == t_break); /* never another break's registers */
        if :: a == SET_CONTEXT -> t_moved = 1 :: else fi;
        target_send(REPLY, a, t_moved)
    :: else -> /* CONTINUE */
        /* Never to another break than it was meant for, without a result told for that one. */
        assert(g == t_break || IS_LOAD(t_break) || ((told >> t_break) & 1));
        assert(IS_LOAD(t_break) || ((told >> t_break) & 1));
        if
        :: !IS_LOAD(t_break) && !IS_FAULT(t_break) && !t_moved -> halt_send() /* traps again at once */
        :: else -> t_wait = 0; t_moved = 0
        fi
    fi
}

/* take_data */
inline take_data()
{
    if
    :: t_accepted && id == t_last -> to_host(ACK, t_key, id, 0, 0)
    :: !(t_accepted && id == t_last) && !t_pending && !t_wait -> skip /* it runs: nobody listens */
    :: !(t_accepted && id == t_last) && t_pending -> target_acknowledged(); to_host(RESEND, t_key, 0, 0, 0)
    :: else ->
        if
        :: id == t_expected ->
            t_accepted = 1; t_last = id; t_expected = (id + 1) & IDS;
            if
            :: thinks > 0 -> /* think_begin */
                thinks--; churn = 0;
                t_think = k; t_think_id = id; t_think_a = a; t_think_g = g;
                if :: !p_late -> to_host(ACK, t_key, id, 0, 0) :: else fi
            :: true -> to_host(ACK, t_key, id, 0, 0); target_does()
            fi
        :: else -> to_host(ACK, t_key, id, 0, 0) /* strict: acknowledged and ignored */
        fi
    fi
}

/* take_control, take_reset */
inline take_control()
{
    if
    :: k == ACK && t_pending && id == t_id -> target_acknowledged()
    :: k == RESEND -> send_again()
    :: k == RESET && (t_pending || t_wait) ->
        t_expected = id; t_accepted = 0; t_last = 0;
        n = (t_pending -> t_id : t_next);
        to_host(RESET, t_key, n, 0, 0);
        send_again()
    :: else
    fi
}

inline target_receive()
{
    if
    :: k == NUDGE -> target_poke()
    :: k == RESPONSE -> take_response()
    :: else ->
        if
        :: t_key != 0 && key == t_key && late == FRESH ->
            if
            :: k == REQUEST || k == CONTINUE -> take_data()
            :: else -> take_control()
            fi
        :: else
        fi
    fi
}

/* For trails (pan -r); says nothing while checking. */
#define SAY_DATAGRAM printf("kind %d key %d id %d a %d g %d late %d\n", k, key, id, a, g, late)
#define SAY_HOST  printf("    host: stage %d busy %d api %d id %d sends %d acked %d due %d resetting %d timer %d unsure %d out %d key %d\n", a_stage, l_busy, l_api, l_id, l_sends, l_acked, l_due, l_resetting, l_timer, l_unsure, l_out, h_key)
#define SAY_TARGET printf("    target: break %d wait %d pending %d id %d expected %d last %d key %d\n", t_break, t_wait, t_pending, t_id, t_expected, t_last, t_key)

/* === processes =================================================================================================== */

proctype host()
{
    do
    :: atomic {
        t2h?k, key, id, a, g, late ->
        printf("to host: "); SAY_DATAGRAM;
        if :: k == POKE -> receive_poke() :: else -> receive_data() fi;
        host_flush();
        SAY_HOST
    }
    :: atomic { restarts > 0 -> restarts--; churn = 0; host_restart(); printf("host restarts\n") }
    od
}

proctype target()
{
    do
    :: atomic { !t_think && nempty(h2t) -> h2t?k, key, id, a, g, late; printf("to target: "); SAY_DATAGRAM; target_receive(); SAY_TARGET }
    :: atomic { /* think_expire */
        t_think ->
        k = t_think; a = t_think_a; g = t_think_g; id = t_think_id;
        t_think = 0; t_think_a = 0; t_think_g = 0; t_think_id = 0;
        if :: p_late -> to_host(ACK, t_key, id, 0, 0) :: else fi;
        target_does();
        printf("has thought\n"); SAY_TARGET
    }
    :: atomic {
        !t_wait && !t_pending && t_break < p_breaks ->
        t_break++; t_wait = 1; t_moved = 0;
        printf("break %d\n", t_break);
        halt_send() /* halt_begin */
    }
    :: atomic { refreshes > 0 && !t_wait && !t_pending && t_key != 0 -> refreshes--; churn = 0; t_key = 0; target_poke(); printf("refresh\n") }
    od
}

/* What the network does to the datagram that would come next. */
proctype network()
{
    do
    :: atomic { losses > 0 && nempty(h2t) -> losses--; churn = 0; h2t?k, key, id, a, g, late; printf("lost to target: "); SAY_DATAGRAM }
    :: atomic { losses > 0 && nempty(t2h) -> losses--; churn = 0; t2h?k, key, id, a, g, late; printf("lost to host: "); SAY_DATAGRAM }
    :: atomic {
        repeats > 0 && nempty(h2t) && nfull(h2t) -> repeats--;
        h2t?<k, key, id, a, g, late>;
        late = (key -> COPY : late);
        h2t!k, key, id, a, g, late
    }
    :: atomic {
        repeats > 0 && nempty(t2h) && nfull(t2h) -> repeats--;
        t2h?<k, key, id, a, g, late>; t2h!k, key, id, a, g, COPY
    }
    :: atomic {
        reorders > 0 && len(h2t) > 1 -> reorders--;
        h2t?k, key, id, a, g, late;
        late = (key && !late -> OVERTAKEN : late);
        h2t!k, key, id, a, g, late
    }
    :: atomic {
        reorders > 0 && len(t2h) > 1 -> reorders--;
        t2h?k, key, id, a, g, late;
        y = t2h??[STATE, eval(key), _, _, _, _] || t2h??[REPLY, eval(key), _, _, _, _] || key == 0;
        late = (y && !late -> OVERTAKEN : late);
        t2h!k, key, id, a, g, late
    }
    od
}

/*
 * Halted, nothing under way, and nobody will do anything: the machine hangs. Not so when the target itself says its
 * packet again, a timer of ours runs, or its next poke makes us act: no key of ours for it, one that we doubt, one that
 * it has not, a silence that the poke ends, a Continue that only sleeps, asks that wait for the poke.
 */
#define SLEEPS     (a_stage == GOING && l_busy && l_sends >= GOING_SENDS)
#define POKE_HELPS (!h_connected || h_rekey_wanted || t_key == 0 || h_lost || SLEEPS || h_asks > 0)
#define STUCK      (t_wait && !t_think && QUIET && !(t_pending && t_key != 0) && !HOST_TIMER && !POKE_HELPS)

/*
 * Time. It passes when nothing is under way: timers are longer than a round trip, except `earlies` times. Pokes come
 * every 3 s, and no timer of ours is longer: one that runs fires between two pokes, once or more often. With TURNS each
 * of the three has its turn: a timer that runs fires in the end; and the machine's script goes on.
 */
proctype clock()
{
    do
    :: atomic {
        QUIET -> assert(!STUCK);
        if
        :: HOST_TIMER && !(p_turns && w_host) -> w_host = 1; pass_time(); host_expire(); host_flush(); printf("host timer\n"); SAY_HOST
        :: t_pending && t_key != 0 && !w_target -> w_target = p_turns; pass_time(); target_pending() /* link_retransmit */
        :: !t_think && (w_host || !HOST_TIMER) && !(p_turns && !t_wait && !t_pending && t_break < p_breaks) && (!p_turns || w_target || !(t_pending && t_key != 0)) ->
            w_host = 0; w_target = 0; pass_time(); target_poke() /* machine_expire */
        :: silences > 0 && h_connected && !h_lost -> silences--; h_lost = 1; l_timer = 0 /* lose */
        fi
    }
    :: atomic { earlies > 0 && !QUIET && HOST_TIMER -> earlies--; pass_time(); host_expire(); host_flush(); printf("host timer\n"); SAY_HOST }
    od
}

init {
    atomic {
        c_code {
            now.losses = PARAMETER("LOSS");
            now.thinks = PARAMETER("THINK");
            now.p_late = PARAMETER("LATE");
            now.repeats = PARAMETER("REPEAT");
            now.reorders = PARAMETER("REORDER");
            now.earlies = PARAMETER("EARLY");
            now.restarts = PARAMETER("RESTART");
            now.refreshes = PARAMETER("REFRESH");
            now.silences = PARAMETER("SILENCE");
            now.p_breaks = PARAMETER("BREAKS");
            now.p_load = PARAMETER("LOADSYM");
            now.p_fault = PARAMETER("FAULT");
            now.p_same = PARAMETER("SAMEPLACE");
            now.p_reads = PARAMETER("READS");
            now.p_turns = PARAMETER("TURNS");
            now.p_calm = PARAMETER("CALM");
            now.mutant = PARAMETER("MUTANT");
        };
        run host(); run target(); run network(); run clock()
    }
}

/* Where the network, the target and their budgets permit, the machine is released, and the host knows it. */
ltl released { <> (p_breaks > 0 && ENDED && a_stage == RUNNING) }
