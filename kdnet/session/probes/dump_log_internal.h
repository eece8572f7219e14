/* SPDX-License-Identifier: Apache-2.0 */
/* dump_log_internal: facts from the dump log at this break. Not for callers. */
#ifndef KDNET_DUMP_LOG_INTERNAL_H
#define KDNET_DUMP_LOG_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Writes the known facts. Returns whether the log's last line reports a completed dump. */
bool kdnet_dump_log_end(struct kdnet_session *session, struct kdnet_dump_log_facts *out);

#endif
