/* SPDX-License-Identifier: Apache-2.0 */
#include "service/fleet/hints_kv.h"

struct hints_kv *hints_kv_open(struct hints *hints, const struct kdnetd_config *config,
                               const struct hints_kv_user *user)
{
    (void)hints;
    (void)config;
    (void)user;
    return NULL;
}

void hints_kv_look(struct hints_kv *kv)
{
    (void)kv;
}

void hints_kv_drain(struct hints_kv *kv, bool draining)
{
    (void)kv;
    (void)draining;
}

void hints_kv_stay(struct hints_kv *kv)
{
    (void)kv;
}

bool hints_kv_close(struct hints_kv *kv, unsigned wait_ms)
{
    (void)kv;
    (void)wait_ms;
    return true;
}
