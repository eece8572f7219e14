/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The identity that a session's events carry: its run, and its crash, from the first break with a known bug check until
 * the machine has shown a new boot.
 */
#include "kdnet/base/wire.h"
#include "kdnet/error.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/identity.h"
#include "kdnet/session/identity_internal.h"

#include <stdlib.h>
#include <string.h>

#define BUGCHECK_LENGTH (4 + 4 * 8)

void kdnet_identity_boot(const struct kdnet_key *key, const uint8_t random[static KDNET_RANDOM_LENGTH],
                         uint8_t out[static KDNET_IDENTITY_LENGTH])
{
    uint8_t digest[KDNET_SHA256_LENGTH];
    kdnet_sha256_pair(key->bytes, sizeof key->bytes, random + KDNET_COUNTER_LENGTH,
                      KDNET_RANDOM_LENGTH - KDNET_COUNTER_LENGTH, digest);
    memcpy(out, digest, KDNET_IDENTITY_LENGTH);
}

void kdnet_identity_crash(const uint8_t boot[static KDNET_IDENTITY_LENGTH], const struct kdnet_bugcheck *bugcheck,
                          uint8_t out[static KDNET_IDENTITY_LENGTH])
{
    uint8_t data[BUGCHECK_LENGTH], digest[KDNET_SHA256_LENGTH];
    kdnet_put_le32(data, bugcheck->code);
    for (size_t i = 0; i < 4; ++i)
        kdnet_put_le64(data + 4 + i * 8, bugcheck->parameters[i]);
    kdnet_sha256_pair(boot, KDNET_IDENTITY_LENGTH, data, sizeof data, digest);
    memcpy(out, digest, KDNET_IDENTITY_LENGTH);
}

static bool is_same(const struct kdnet_bugcheck *a, const struct kdnet_bugcheck *b)
{
    return a->code == b->code && memcmp(a->parameters, b->parameters, sizeof a->parameters) == 0;
}

/* False: no poke of the machine was seen. With a history the id is computed once. */
static bool find_boot(const struct kdnet_session *session, uint8_t out[static KDNET_IDENTITY_LENGTH])
{
    static const uint8_t none[KDNET_RANDOM_LENGTH];
    struct kdnet_identity *own = session->history ? &session->history->identity : NULL;
    if (memcmp(session->target_random, none, sizeof none) == 0)
        return false;
    if (own && own->boot_known) {
        memcpy(out, own->boot, KDNET_IDENTITY_LENGTH);
        return true;
    }
    kdnet_identity_boot(&session->keys.control, session->target_random, out);
    if (own) {
        memcpy(own->boot, out, sizeof own->boot);
        own->boot_known = true;
    }
    return true;
}

void kdnet_identity_fill(const struct kdnet_session *session, struct kdnet_event *event)
{
    const struct kdnet_identity *own = session->history ? &session->history->identity : NULL;
    struct kdnet_event_identity *of = &event->of;
    of->boot_known = find_boot(session, of->boot);
    of->crash_known = own && own->crash_known;
    of->nested_known = of->crash_known && own->nested_known;
    if (of->crash_known)
        memcpy(of->crash, own->crash, sizeof of->crash);
    if (of->nested_known)
        of->nested = own->nested;
}

void kdnet_identity_over(struct kdnet_session *session)
{
    struct kdnet_identity *own = &session->history->identity;
    own->crash_known = own->nested_known = own->doubted = own->recalled.known = false;
}

static uint64_t kernel_base_of(const struct kdnet_kernel_info *boot)
{
    return boot && kdnet_is_known(&boot->facts, KDNET_FACT_VERSION) && kdnet_kernel_info_is_nt(boot)
               ? boot->version.kernel_base
               : 0;
}

bool kdnet_identity_is_new_boot(const struct kdnet_session *session)
{
    uint64_t then = session->history->identity.kernel_base, now = kernel_base_of(session->kernel_info);
    bool loader = session->kernel_info->version.major >> 8 == KDNET_WHO_BOOT;
    return loader || (then != 0 && now != 0 && then != now);
}

/* Whether this crash is the recalled one: its run and bug check give the recalled id. */
static bool is_recalled(struct kdnet_session *session, const struct kdnet_bugcheck *bugcheck)
{
    struct kdnet_identity *own = &session->history->identity;
    struct kdnet_crash *crash = &session->history->crash;
    const struct kdnet_crash_memory *recalled = &own->recalled;
    uint8_t name[KDNET_IDENTITY_LENGTH];
    if (!recalled->known)
        return false;
    own->recalled.known = false;
    kdnet_identity_crash(recalled->boot, bugcheck, name);
    if (memcmp(name, recalled->crash, sizeof name) != 0)
        return false;
    memcpy(own->crash, name, sizeof own->crash);
    memcpy(own->crash_boot, recalled->boot, sizeof own->crash_boot);
    if (recalled->released && !crash->first_released) {
        crash->first_released = true;
        crash->first_released_us = recalled->released_us;
    }
    return true;
}

static bool make_name(struct kdnet_session *session, const struct kdnet_bugcheck *bugcheck)
{
    struct kdnet_identity *own = &session->history->identity;
    if (!find_boot(session, own->crash_boot))
        return false;
    kdnet_identity_crash(own->crash_boot, bugcheck, own->crash);
    return true;
}

void kdnet_identity_broke(struct kdnet_session *session, const struct kdnet_bugcheck *bugcheck)
{
    struct kdnet_identity *own = &session->history->identity;
    if (own->crash_known && is_same(&own->first, bugcheck)) {
        own->doubted = own->nested_known = false;
    } else if (own->crash_known) {
        own->nested = *bugcheck;
        own->nested_known = true;
    } else if (is_recalled(session, bugcheck) || make_name(session, bugcheck)) {
        own->first = *bugcheck;
        own->crash_known = true;
        own->kernel_base = kernel_base_of(session->kernel_info);
    }
}

void kdnet_identity_rebooted(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_identity *own = &session->history->identity;
    own->boot_known = false;
    if (!own->crash_known || own->doubted)
        return;
    own->doubted = true;
    own->doubted_us = now_us;
}

void kdnet_session_crash(const struct kdnet_session *session, struct kdnet_crash_memory *out)
{
    const struct kdnet_history *history = session->history;
    *out = (struct kdnet_crash_memory){.known = history && history->identity.crash_known};
    if (history && !out->known)
        *out = history->identity.recalled;
    if (!history || !history->identity.crash_known)
        return;
    memcpy(out->crash, history->identity.crash, sizeof out->crash);
    memcpy(out->boot, history->identity.crash_boot, sizeof out->boot);
    out->released = history->crash.first_released;
    out->released_us = history->crash.first_released_us;
}

/* Takes the release time of a crash whose id is known, but which was released elsewhere. */
static void recall_release(struct kdnet_session *session, const struct kdnet_crash_memory *memory)
{
    struct kdnet_crash *crash = &session->history->crash;
    bool may_be_first = kdnet_state_is_halted(session) && !session->active->halt.stop.shutdown;
    if (!memory->released || may_be_first || crash->first_released || !crash->bugcheck.known ||
        memcmp(memory->crash, session->history->identity.crash, sizeof memory->crash) != 0)
        return;
    crash->first_released = true;
    crash->first_released_us = memory->released_us;
}

int kdnet_session_recall_crash(struct kdnet_session *session, const struct kdnet_crash_memory *memory)
{
    if (!memory->known)
        return KDNET_OK;
    if (session->history && session->history->identity.crash_known) {
        recall_release(session, memory);
        return KDNET_OK;
    }
    if (!session->history)
        session->history = calloc(1, sizeof *session->history);
    if (!session->history)
        return KDNET_ERR_MEMORY;
    session->history->identity.recalled = *memory;
    return KDNET_OK;
}

void kdnet_identity_expire(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_identity *own = &session->history->identity;
    if (own->doubted && now_us > own->doubted_us && now_us - own->doubted_us >= session->shared->dump_for_us)
        kdnet_identity_over(session);
}
