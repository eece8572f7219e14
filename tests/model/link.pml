/* SPDX-License-Identifier: Apache-2.0 */
/* The link (kdnet/session/link.c). Included by resume.pml. */

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
    if :: c_solicit -> to_target(SOLICIT, 0, 0, 0, 0) :: else fi;
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
    c_response = 0; c_solicit = 0; c_resend = 0; c_ack = 0; c_reset = 0; c_acked = 0; c_new = 0
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
