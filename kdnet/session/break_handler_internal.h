/* SPDX-License-Identifier: Apache-2.0 */
/* break_handler_internal: handles what a target sends. Not for callers. */
#ifndef KDNET_BREAK_HANDLER_INTERNAL_H
#define KDNET_BREAK_HANDLER_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* A data packet of the target, new and whole. */
void kdnet_break_handler_packet(struct kdnet_session *session, const struct kdnet_packet *packet, uint64_t now_us);

/*
 * Whether a data packet is a break that has to wait for admission. If so, remembers the first arrival: the machine has
 * been halted since then.
 */
bool kdnet_break_handler_waits(struct kdnet_session *session, const struct kdnet_packet *packet, uint64_t now_us);

/* Our answer or Continue has arrived. */
void kdnet_break_handler_acked(struct kdnet_session *session, uint64_t now_us);

/* An authentic poke of the session came: the machine lives. */
void kdnet_break_handler_heard(struct kdnet_session *session, uint64_t now_us);

/* A poke that names another host came: that host serves the machine. */
void kdnet_break_handler_other_host(struct kdnet_session *session, uint64_t now_us);

/* The machine has another random than the session before: nothing of the old boot holds. */
void kdnet_break_handler_rebooted(struct kdnet_session *session, uint64_t now_us);

/* Time passed: deadlines of reading, releasing, holding. */
void kdnet_break_handler_expire(struct kdnet_session *session, uint64_t now_us);
uint64_t kdnet_break_handler_deadline(const struct kdnet_session *session);

/* A pending look-up has ended. */
void kdnet_break_handler_symbols_came(struct kdnet_session *session, uint64_t now_us);

/* Releases a held machine now. Returns KDNET_OK or KDNET_ERR_STATE (not held). */
int kdnet_break_handler_resume(struct kdnet_session *session, enum kdnet_action action, uint64_t now_us);

/* Reads a machine again that is held at a break. Returns KDNET_OK, KDNET_ERR_STATE or KDNET_ERR_MEMORY. */
int kdnet_break_handler_read(struct kdnet_session *session, uint64_t now_us);

#endif
