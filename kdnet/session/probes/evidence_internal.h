/* SPDX-License-Identifier: Apache-2.0 */
/* evidence_internal: what is collected besides the status. Not for callers. */
#ifndef KDNET_EVIDENCE_INTERNAL_H
#define KDNET_EVIDENCE_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* What is collected so far at this break; NULL: nothing. Borrowed. */
const struct kdnet_evidence *kdnet_evidence_probe_look(const struct kdnet_session *session);

/* What was collected at this break, for its event, which owns it then; NULL: nothing. */
struct kdnet_evidence *kdnet_evidence_probe_end(struct kdnet_session *session);

/* The session has another `shared`: what is collected at its break is of its reads from now on. */
void kdnet_evidence_probe_moved(struct kdnet_session *session);

#endif
