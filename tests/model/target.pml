/* SPDX-License-Identifier: Apache-2.0 */
/* The target (service/kdnet-target/), a strict one. Included by resume.pml. */

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
    :: k == SOLICIT -> target_poke()
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
