/* SPDX-License-Identifier: Apache-2.0 */
/* console_internal: answers a target's prints, prompts and file questions. Not for callers. */
#ifndef KDNET_CONSOLE_INTERNAL_H
#define KDNET_CONSOLE_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Whether a question repeats the one whose answer is in flight. */
bool kdnet_console_is_same_question(struct kdnet_session *session, const struct kdnet_packet *packet);

/* A print or a prompt, and a question for a file. */
void kdnet_console_debug_io(struct kdnet_session *session, const struct kdnet_packet *packet, uint64_t now_us);
void kdnet_console_file_io(struct kdnet_session *session, const struct kdnet_packet *packet);

#endif
