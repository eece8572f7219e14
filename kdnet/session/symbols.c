/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's look-ups, each announced with the machine's key. */
#include "kdnet/session/symbols_internal.h"

#include <string.h>

const struct kdnet_session_shared *kdnet_ask_caller(const struct kdnet_session *session)
{
    const struct kdnet_session_shared *shared = session->shared;
    if (shared->asking)
        shared->asking(shared->user, &session->keys.control);
    return shared;
}

enum kdnet_rva_answer kdnet_find_rva(const struct kdnet_session *session, const struct kdnet_pdb *pdb,
                                     const char *symbol, uint32_t *rva, enum kdnet_source *source)
{
    const struct kdnet_session_shared *shared = kdnet_ask_caller(session);
    return shared->find_rva ? shared->find_rva(shared->user, pdb, symbol, rva, source) : KDNET_RVA_NO_SYMBOLS;
}

static bool is_kernel(const struct kdnet_read *read)
{
    return strcmp(read->module, "nt") == 0;
}

void kdnet_want_symbols(struct kdnet_session *session)
{
    const struct kdnet_session_shared *shared = kdnet_ask_caller(session);
    const char *names[KDNET_READS_MAX + KDNET_FINGERPRINT_SYMBOLS + 1] = {KDNET_STATUS_SYMBOL};
    size_t count = 1;
    if (!shared->want_rvas)
        return;
    for (size_t i = 0; i < KDNET_FINGERPRINT_SYMBOLS; ++i)
        names[count++] = kdnet_fingerprint_symbol(i);
    for (size_t i = 0; shared->reads && i < shared->reads->count && i < KDNET_READS_MAX; ++i)
        if (is_kernel(&shared->reads->read[i]))
            names[count++] = shared->reads->read[i].symbol;
    shared->want_rvas(shared->user, &session->kernel_info->pdb, names, count);
}
