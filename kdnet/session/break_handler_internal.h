/* SPDX-License-Identifier: Apache-2.0 */
/*
 * break_handler_internal: the parts of the handling of a break, one file each: request.c (what is known,
 * requests), report.c (events), probes.c, evidence_probe.c and module_list.c (evidence), resume.c, and break_handler.c,
 * which drives them. Not for callers.
 */
#ifndef KDNET_BREAK_HANDLER_INTERNAL_H
#define KDNET_BREAK_HANDLER_INTERNAL_H

#include "kdnet/session/session_internal.h"

#define ASK_PERIOD_US 100000U /* between two RESENDs to a machine that may be halted */
#define ASKS_MAX      12U

/* --- halt.c --- */

/* The next stage of a halt. Asserts that it may follow. */
void kdnet_halt_set_stage(struct kdnet_halt *halt, enum kdnet_stage stage);

/* Whether the request under way is this probe's. */
bool kdnet_halt_asks(const struct kdnet_halt *halt, const struct kdnet_probe *probe);

/* The state change's new state, without the flag of the alternate form. */
uint32_t kdnet_halt_state(const struct kdnet_halt *halt);

/* NULL while it is not known what machine it is. */
const struct kdnet_machine_layout *kdnet_halt_layout(const struct kdnet_session *session);

/* Whether Windows itself answers, not its loader and not a hypervisor. Needs a known version. */
bool kdnet_kernel_info_is_nt(const struct kdnet_kernel_info *info);

/* An address as this machine says it. Needs a known version, as the next one does. */
uint64_t kdnet_halt_address(const struct kdnet_session *session, uint64_t address);

uint64_t kdnet_halt_kernel_base(const struct kdnet_session *session);

/* What is known of the break so far; its phase and kind follow from it (crash.h). */
struct kdnet_break_facts kdnet_halt_facts(const struct kdnet_session *session);

/* Whether it is an exception of a program, which Windows hands to that program (crash.h). */
bool kdnet_halt_is_user_mode(const struct kdnet_session *session);

/* What a former debugger left, and what the machine has halted for (crash.h). */
enum kdnet_leftover kdnet_halt_leftover(const struct kdnet_session *session);

/* Whether the machine stands on a breakpoint instruction of the kernel, so that it would trap again (PROTOCOL section
 * 5).
 */
bool kdnet_halt_must_step(const struct kdnet_session *session);

/* --- request.c --- */

/* Sends a request; false when it cannot be. Needs a link that is not busy. */
bool kdnet_request(struct kdnet_session *session, enum kdnet_purpose purpose, struct kdnet_manipulate *manipulate,
                   bool wants_reply);

/* The same for a request that is all in its number. */
bool kdnet_request_plain(struct kdnet_session *session, enum kdnet_purpose purpose, uint32_t api);

/* The same for memory, up to KDNET_READ_SPACE bytes. */
bool kdnet_request_read(struct kdnet_session *session, enum kdnet_purpose purpose, uint64_t address, uint32_t length);

/* What is missing of the read that was sent last, or all of it again. */
bool kdnet_request_rest(struct kdnet_session *session);

/* Bytes that kdnet_request_rest asks for: as many as the network carries. */
uint32_t kdnet_request_next_length(const struct kdnet_session *session);

/* The next read on the way to an image's identity, for a probe. */
bool kdnet_request_image_way(struct kdnet_session *session, const struct kdnet_image_way *way, uint64_t base);

/* What it shares with others, who have been told which machine the next question is for. */
const struct kdnet_session_shared *kdnet_ask_caller(const struct kdnet_session *session);

/* --- reach.c --- */

/* Whether the machine is so far away that not all can be asked before the deadline. */
bool kdnet_reach_is_far(const struct kdnet_session *session);

/* Whether a crash of the machine is known, by whatever sign. */
bool kdnet_reach_in_crash(const struct kdnet_session *session);

/* The deadline of a break in a crash has come. Whether what is under way, or was just asked, is waited for all the
 * same, a few times at most; then the deadline is another one. */
bool kdnet_reach_await(struct kdnet_session *session, uint64_t now_us);

/* Whether what is long and under way, after so many timeouts with such, is given up. */
bool kdnet_reach_is_too_long(const struct kdnet_session *session, unsigned timeouts, uint64_t now_us);

/* The network does not carry a whole CONTEXT: from now on in pieces. */
void kdnet_reach_context_too_long(struct kdnet_session *session);

/* A reply with so many bytes of memory has come. */
void kdnet_reach_came(struct kdnet_session *session, size_t length);

/* Time passed while memory is read: perhaps the network does not carry so long a reply. */
void kdnet_reach_expire(struct kdnet_session *session, uint64_t now_us);

/* --- report.c --- */

/* Who answers, once for each kernel. */
void kdnet_report_kernel(struct kdnet_session *session);

/* A bug check, unless it was told already. */
void kdnet_report_bugcheck(struct kdnet_session *session, const struct kdnet_bugcheck *data, bool from_memory);

/* That the machine has broken in, once for each break. */
void kdnet_report_break(struct kdnet_session *session);

/* The one result of a break. */
void kdnet_report_status(struct kdnet_session *session, enum kdnet_reason interrupted, uint64_t now_us);

/* That breaks go unread. */
void kdnet_report_storm(struct kdnet_session *session, uint64_t now_us);

/* What was done with the machine: released, rebooted, held. */
void kdnet_report_released(struct kdnet_session *session, uint64_t now_us);

/* That the policy holds a machine without a break, and why. Needs a hold that has begun. */
void kdnet_report_held(struct kdnet_session *session, enum kdnet_break_kind why, uint64_t now_us);

/* --- probes/cause.c --- */

/* Ends the search for the crash's cause, if there was one at this break, and keeps the crash's bucket. What was found
 * is the caller's; NULL: nothing, or memory is out. */
struct kdnet_trace *kdnet_cause_end(struct kdnet_session *session);

/* --- dump_facts.c --- */

/* What this break says of the dump, and a verdict where that proves one. evidence: NULL when there is none. */
void kdnet_dump_judge(struct kdnet_session *session, const struct kdnet_evidence *evidence,
                      struct kdnet_event_crash_status *status);

/* A crash goes on from its first break; and its last one has come. */
void kdnet_last_break_expect(struct kdnet_session *session, uint64_t now_us);
void kdnet_last_break_came(struct kdnet_session *session);

/* The machine does something else instead: tells that there is no last break, if one is expected. */
void kdnet_last_break_missing(struct kdnet_session *session, bool rebooted);

/* An authentic poke of the session came. */
void kdnet_last_break_poked(struct kdnet_session *session, uint64_t now_us);

/* --- resume.c --- */

/* The machine has taken our Continue or Reboot, or surely has. */
void kdnet_resume_done(struct kdnet_session *session, uint64_t now_us);

/* Sends the Continue, or the Reboot; before it, what proves that the target counts our packets as we do. */
void kdnet_resume_go_on(struct kdnet_session *session);

/* Steps over the breakpoint when there is one, then lets go. Needs a link that is not busy. */
void kdnet_resume_next(struct kdnet_session *session);

/* All is read, or time is up: one result, then the policy's action. */
void kdnet_resume_conclude(struct kdnet_session *session, enum kdnet_reason interrupted, uint64_t now_us);

/* An unload of all symbols without a bug check is an ordinary reboot or shutdown: it must not wait, and nobody needs a
 * result. */
void kdnet_resume_shut_down(struct kdnet_session *session, uint64_t now_us);

/* Holds the machine, as long as the policy says. */
void kdnet_resume_hold(struct kdnet_session *session, uint64_t now_us);

/* An image was loaded: the machine goes on. */
void kdnet_resume_loaded(struct kdnet_session *session);

/* Time passed while a Continue is under way, or a step before it. */
void kdnet_resume_expire_going(struct kdnet_session *session, uint64_t now_us);

void kdnet_resume_expire_step(struct kdnet_session *session, uint64_t now_us);

/* --- repeats.c --- */

/* Whether this break is the last one of its crash, said again: a machine at the end of its crash that was continued
 * can only break in again. Needs a phase that is known. */
bool kdnet_repeats_is_one(const struct kdnet_session *session);

/* The result of this break; whether it is the one that was told at the same break before. */
bool kdnet_repeats_is_reported(const struct kdnet_session *session, const struct kdnet_event_crash_status *status);
void kdnet_repeats_keep(struct kdnet_session *session, const struct kdnet_event_crash_status *status);

/* How long a machine that repeats its last break is kept before it is continued once more; 0: not at all. */
uint64_t kdnet_repeats_wait_us(const struct kdnet_session *session);

/* The machine does something else: it goes on. */
void kdnet_repeats_end(struct kdnet_session *session);

/* --- probes/evidence.c --- */

/* What is collected so far at this break; NULL: nothing. Borrowed. */
const struct kdnet_evidence *kdnet_evidence_probe_look(const struct kdnet_session *session);

/* What was collected at this break, for its event, which owns it then; NULL: nothing. */
struct kdnet_evidence *kdnet_evidence_probe_end(struct kdnet_session *session);

/* The kernel's identity is known: says which of its symbols will be asked for. */
void kdnet_want_symbols(struct kdnet_session *session);

/* --- break_handler.c --- */

/* Nothing is under way: does what comes next, by the stage of the halt. */
void kdnet_break_handler_advance(struct kdnet_session *session, uint64_t now_us);

/* The same place, but another break: all but the state change is to be asked again. */
void kdnet_break_handler_begin_again(struct kdnet_session *session, uint64_t now_us);

#endif
