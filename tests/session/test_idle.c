/* SPDX-License-Identifier: Apache-2.0 */
/* A poke of an idle machine touches three cache lines of its session (state_internal.h), also in a fleet; and it is
 * answered when the machine is doubted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kdnet/session/state_internal.h"
#include "service/runtime/poison.h"
#include "tests/session/puppet.h"

#include <cmocka.h>

#define SECOND UINT64_C(1000000)
#define REST   offsetof(struct kdnet_session, policy) /* from here on nothing is touched */

/* What a caller does with a poke. AddressSanitizer finds each read of the rest; every build finds a write, and a read
 * that changes what is done. */
static void take_poke(struct puppet *p)
{
    static struct kdnet_outgoing out;
    uint8_t kept[sizeof(struct kdnet_session)], filled[sizeof kept];
    struct puppet_bytes bytes;
    struct kdnet_received received;
    struct kdnet_event event;
    uint8_t *session = (uint8_t *)p->session;
    uint64_t before_us = kdnet_session_deadline(p->session);
    p->now_us += 3 * SECOND;
    puppet_next_poke(p, &bytes);
    memcpy(kept, session, sizeof kept);
    memset(session + REST, 0x5a, sizeof kept - REST);
    poison(session + REST, sizeof kept - REST);
    int error = kdnet_session_receive(p->session, bytes.payload, bytes.length, p->now_us, &received);
    bool event_came = kdnet_session_next_event(p->session, &event);
    bool sent = kdnet_session_next_datagram(p->session, p->now_us, &out);
    uint64_t after_us = kdnet_session_deadline(p->session);
    unpoison(session + REST, sizeof kept - REST);
    memcpy(filled, session, sizeof filled);
    memcpy(session + REST, kept + REST, sizeof kept - REST);
    for (size_t i = REST; i < sizeof filled; ++i)
        assert_int_equal(filled[i], 0x5a);
    assert_int_equal(error, KDNET_OK);
    assert_true(received.fresh);
    assert_false(event_came || sent);
    assert_int_equal(after_us, before_us + 3 * SECOND); /* that of its loss */
}

static void a_poke_touches_only_the_first_members(void **state)
{
    (void)state;
    for (unsigned fleet = 0; fleet < 2; ++fleet) {
        struct puppet *p = puppet_new();
        p->shared.rivals = p->shared.relays = fleet == 1;
        puppet_connect(p);
        puppet_wait(p, 90 * SECOND, true);
        assert_true(kdnet_session_is_connected(p->session));
        assert_null(p->session->active);
        for (unsigned i = 0; i < 5; ++i)
            take_poke(p);
        puppet_free(p);
    }
}

/* As when another collector has it, perhaps: the next poke of a machine that counts as connected is answered. */
static void a_machine_that_is_doubted_is_keyed_anew(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    kdnet_session_doubt(p->session); /* of nothing: it changes nothing */
    puppet_connect(p);
    unsigned before = p->responses;
    (void)puppet_poke(p);
    assert_int_equal(p->responses, before);
    kdnet_session_doubt(p->session);
    (void)puppet_poke(p);
    assert_int_equal(p->responses, before + 1);
    assert_true(kdnet_session_is_connected(p->session));
    puppet_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_poke_touches_only_the_first_members),
        cmocka_unit_test(a_machine_that_is_doubted_is_keyed_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
