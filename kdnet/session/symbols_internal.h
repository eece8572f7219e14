/* SPDX-License-Identifier: Apache-2.0 */
/* symbols_internal: symbols and images, which the caller looks up. Not for callers. */
#ifndef KDNET_SYMBOLS_INTERNAL_H
#define KDNET_SYMBOLS_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Returns the session's `shared`, after announcing the machine that the next look-up is for. */
const struct kdnet_session_shared *kdnet_ask_caller(const struct kdnet_session *session);

/* Looks a symbol up, as kdnet_session_shared.find_rva does. */
enum kdnet_rva_answer kdnet_find_rva(const struct kdnet_session *session, const struct kdnet_pdb *pdb,
                                     const char *symbol, uint32_t *rva, enum kdnet_source *source);

/* The kernel's identity is known: announces the symbols that will be looked up. */
void kdnet_want_symbols(struct kdnet_session *session);

#endif
