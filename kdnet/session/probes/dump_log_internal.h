/* SPDX-License-Identifier: Apache-2.0 */
/* dump_log_internal: what the dump log said at this break. Not for callers. */
#ifndef KDNET_DUMP_LOG_INTERNAL_H
#define KDNET_DUMP_LOG_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Writes what is known; returns whether the log's last line says that the dump was completed. */
bool kdnet_dump_log_end(struct kdnet_session *session, struct kdnet_dump_log_facts *out);

#endif
