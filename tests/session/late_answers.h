/* SPDX-License-Identifier: Apache-2.0 */
/*
 * late_answers: how long a machine may think, and a puppet that answers everything that it is asked. Only for tests.
 */
#ifndef TESTS_SESSION_LATE_ANSWERS_H
#define TESTS_SESSION_LATE_ANSWERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kdnet/session/state_internal.h"
#include "tests/session/puppet.h"

#define SECOND_US     UINT64_C(1000000)
#define THINKS_MAX_US (10 * SECOND_US) /* so long a machine may take over what it has acknowledged */
#define ADDRESS       0xfffff80011112222U

static inline bool answers_all(struct puppet *p, struct kdnet_manipulate *reply, uint8_t *data)
{
    (void)p;
    (void)data;
    if (!puppet_version(reply))
        reply->return_status = KDNET_STATUS_UNSUCCESSFUL;
    return true;
}

#endif
