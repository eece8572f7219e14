/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes (kdnet/session/session.c). Included by resume.pml. */

/* kdnet_state_suspect_key */
inline suspect_key()
{
    h_rekey_wanted = 1;
    c_solicit = 1
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
            :: h_connected -> heard(); resume_heard()
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
    if :: x -> resume_rekeyed() :: else fi
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
    if :: y && !h_solicited -> h_solicited = 1; c_solicit = 1 :: else fi
}

/* receive_data, kdnet_handshakes_open_data, kdnet_sequence_take, receive_packet */
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
            if :: c_acked -> resume_acked() :: else fi
        fi
    :: else
    fi
}
