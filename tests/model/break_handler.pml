/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked of a halted machine, and how it is let go: break_handler.c, probes.c and resume.c of kdnet/session/.
 * Included by resume.pml.
 */

/* kdnet_request, kdnet_request_plain, kdnet_request_read */
inline request(step, api)
{
    a_step = step;
    link_send(1, api)
}

/* kdnet_resume_done */
inline resume_done()
{
    a_stage = RUNNING;
    /* what kdnet_halt_keep_change clears at the next break has no meaning until then */
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
    a_stage = RESUMING; a_giving_up = 0;
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
inline resume_next()
{
    a_stage = RESUMING;
    if
    :: MUST_STEP && !a_context_known && !a_context_tried ->
        a_giving_up = 0; request(STEP_PROBE, GET_CONTEXT)
    :: MUST_STEP && a_context_known && !a_context_moved && MUST_PROVE -> prove()
    :: MUST_STEP && a_context_known && !a_context_moved && !MUST_PROVE ->
        a_stepped = 1; a_context_moved = 1; a_giving_up = 0; request(STEP_PROBE, SET_CONTEXT)
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
    :: AWAITED -> a_stage = RESUMING; a_giving_up = 0 /* await_reply */
    :: !AWAITED && l_busy -> /* the deadline came: a context that is to be set may be another break's, see resume_next */
        link_abandon();
        if :: MUST_STEP && a_context_known && !a_context_moved -> l_unsure = 1 :: else fi;
        resume_next()
    :: else -> resume_next()
    fi
}

/* advance and kdnet_probes_next: GetVersion (once a boot), GetContext, reads */
inline advance()
{
    if
    :: l_busy -> skip
    :: !l_busy && a_stage == READING ->
        if
        :: !h_version && a_reads == 0 -> a_reads = 1; request(STEP_PROBE, GET_VERSION)
        :: h_version && a_reads == 0 -> a_reads = 1; request(STEP_PROBE, GET_CONTEXT)
        :: a_reads > 0 && h_version && !a_context_tried -> request(STEP_PROBE, GET_CONTEXT)
        :: a_reads > 0 && (a_context_tried || !h_version) && a_reads <= p_reads -> a_reads++; request(STEP_PROBE, READ + a_reads)
        :: else -> conclude()
        fi
    :: !l_busy && a_stage == RESUMING ->
        if :: a_load -> go_on() :: else -> resume_next() fi
    :: else
    fi
}

/* kdnet_halt_keep_change and begin_halt, on_load_symbols */
inline begin_halt(bytes, brk)
{
    old = bytes; x = brk;
    resume_done(); /* only what is cleared */
    a_bytes = old; a_break = x;
    a_load = IS_LOAD(a_break); a_fault = IS_FAULT(a_break);
    a_stage = READING;
    if :: a_load -> go_on() :: else -> advance() fi
}

/* on_state_change; implied_resume */
inline on_state_change()
{
    if
    :: a_bytes == a && (a_stage == READING || a_stage == RESUMING) ->
        /* kdnet_link_ignored: said again */
        if :: l_busy && l_acked && !l_resetting && l_unsure && !l_agreed -> begin_reset() :: else fi
    :: a_bytes == a && a_stage == GOING && l_asked && l_busy && !l_sends && mutant != NOT_SAID_AGAIN ->
        skip /* the RESET before the Continue brought it */
    :: a_bytes == a && a_stage == GOING && l_asked && !(l_busy && !l_sends) && mutant != NOT_SAID_AGAIN ->
        a_proofs = 0;
        link_abandon();
        a_stage = RESUMING;
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
inline resume_acked()
{
    if :: a_stage == GOING -> resume_done() :: else fi
}

/* kdnet_break_handler_heard */
inline resume_heard()
{
    if :: h_asks > 0 && !h_ask_timer -> h_ask_timer = 1 :: else fi;
    if
    :: a_stage == GOING ->
        a_heard++;
        if
        :: a_heard >= GOING_HEARD_MAX -> link_abandon(); resume_done()
        :: a_heard < GOING_HEARD_MAX && l_sends >= GOING_SENDS -> link_wake(); c_resend = 1
        :: else
        fi
    :: else
    fi
}

/* kdnet_resume_rekeyed */
inline resume_rekeyed()
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
        :: a_asked >= ASKS_MAX -> resume_done()
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
        :: a_stage == RESUMING && l_acked -> /* kdnet_resume_expire_step */
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
    h_solicited = 0; h_offered = 0;
    if :: h_foreign == 1 -> h_foreign = 2 :: else fi;
    if :: a_stage == GOING && l_asked -> if :: l_asked = 0 :: skip fi :: else fi
}

/* The process dies; another starts, which knows the keys of its configuration and nothing else. */
inline host_restart()
{
    h_connected = 0; h_known = 0; h_rekey_wanted = 0; h_lost = 0; h_solicited = 0; h_offered = 0; h_foreign = 0;
    h_key = 0; h_asks = 0; h_ask_timer = 0; h_version = 0;
    h_offer_key[0] = 0; h_offer_key[1] = 0; h_offer_poke[0] = 0; h_offer_poke[1] = 0;
    h_offer_took[0] = 0; h_offer_took[1] = 0;
    link_restart(0);
    resume_done()
}
