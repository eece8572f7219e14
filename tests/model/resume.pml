/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a halted machine is resumed: link and session (kdnet/) against a strict target (service/kdnet-target/), over a network
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
 *   READS     memory reads of a halted machine, beside GetVersion and GetContext
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
#define TAKE_OVER_ASKS   3 /* [8]  resend.c */
#define FIRST_ASKS       1 /* [3]  resend.c */
#define ASKS_QUICK       2 /* [3]  resend.c */
#define ASKS_MAX         7 /* resend.c has no end, and asks about once an hour at last */
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
#define SOLICIT    2  /* the empty control datagram */
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

/* steps that differ only in what is done with the reply (state_internal.h, enum kdnet_purpose) */
#define STEP_PROBE 0
#define STEP_SAME    1
#define STEP_PROVE   2

/* stages (state_internal.h, enum kdnet_stage); HELD is not modelled: then nothing is owed to the machine */
#define RUNNING   0
#define READING   1
#define RESUMING 2
#define GOING     3

/* --- the host: struct kdnet_session ---------------------------------------------------------------------------- */
bit h_connected, h_known, h_rekey_wanted, h_lost;
bit h_solicited;    /* solicited_us: less than SOLICIT_PERIOD_US ago */
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
hidden byte c_resend, c_ack, c_reset, c_solicit, c_response, c_new, c_acked, y;
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

#include "link.pml"
#include "session.pml"
#include "break_handler.pml"
#include "target.pml"

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

/* Where the network, the target and their budgets permit, the machine is resumed, and the host knows it. */
ltl resumed { <> (p_breaks > 0 && ENDED && a_stage == RUNNING) }
