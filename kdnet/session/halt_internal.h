/* SPDX-License-Identifier: Apache-2.0 */
/* halt_internal: facts about a halted machine. Not for callers. */
#ifndef KDNET_HALT_INTERNAL_H
#define KDNET_HALT_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Changes the stage of a halt. Asserts that the new stage may follow the old one. */
void kdnet_halt_set_stage(struct kdnet_halt *halt, enum kdnet_stage stage);

/* Keeps what a state change says; resets the rest of the halt. */
void kdnet_halt_keep_change(struct kdnet_halt *halt, const struct kdnet_packet *packet);

/* Whether the request under way is this probe's. */
bool kdnet_halt_asks(const struct kdnet_halt *halt, const struct kdnet_probe *probe);

/* The state change's new state, without the flag of the alternate form. */
uint32_t kdnet_halt_state(const struct kdnet_halt *halt);

/* NULL while the machine's processor is unknown. */
const struct kdnet_machine_layout *kdnet_halt_layout(const struct kdnet_session *session);

/* Whether Windows itself answers, not its loader and not a hypervisor. Needs a known version. */
bool kdnet_kernel_info_is_nt(const struct kdnet_kernel_info *info);

/* Converts an address from a reply of this machine. Needs a known version, as the next function does. */
uint64_t kdnet_halt_address(const struct kdnet_session *session, uint64_t address);

uint64_t kdnet_halt_kernel_base(const struct kdnet_session *session);

/* Collects what is known of the break so far; its phase and kind follow from that (crash.h). */
struct kdnet_break_facts kdnet_halt_facts(const struct kdnet_session *session);

/* Whether the break is an exception in a program, which Windows hands to that program (crash.h). */
bool kdnet_halt_is_user_mode(const struct kdnet_session *session);

/* Returns what a former debugger left and the machine now halts for (crash.h). */
enum kdnet_leftover kdnet_halt_leftover(const struct kdnet_session *session);

/* Whether the machine stands on a breakpoint instruction of the kernel, on which it would trap again (PROTOCOL
 * section 5). */
bool kdnet_halt_must_step(const struct kdnet_session *session);

#endif
