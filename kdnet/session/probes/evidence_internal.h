/* SPDX-License-Identifier: Apache-2.0 */
/* evidence_internal: values collected besides the status. Not for callers. */
#ifndef KDNET_EVIDENCE_INTERNAL_H
#define KDNET_EVIDENCE_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Returns the values collected so far at this break; NULL: none. Borrowed. */
const struct kdnet_evidence *kdnet_evidence_probe_look(const struct kdnet_session *session);

/* Returns the values collected at this break for the event, which then owns them; NULL: none. */
struct kdnet_evidence *kdnet_evidence_probe_end(struct kdnet_session *session);

/* The session has another `shared`: the values collected at its break belong to the new shared's reads from now on. */
void kdnet_evidence_probe_moved(struct kdnet_session *session);

#endif
