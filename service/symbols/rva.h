/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rva: the table of symbol addresses that the operator told (`rva:` and --rva), as sessions ask for it.
 *
 * Uses config, which keeps the table sorted by kernel and symbol, and kdnet.
 */
#ifndef SERVICE_RVA_H
#define SERVICE_RVA_H

#include "config/config.h"
#include "kdnet/session.h"

/*
 * Looks up `symbol`, with or without "nt!", in the kernel whose symbol file is `pdb`.
 *
 * Returns KDNET_RVA_FOUND with rva and source (KDNET_SOURCE_RVA), or KDNET_RVA_NO_SYMBOLS: a table that does not name
 * the symbol proves nothing about the kernel. Cost: a binary search.
 */
enum kdnet_rva_answer rva_find(const struct kdnetd_config *config, const struct kdnet_pdb *pdb, const char *symbol,
                               uint32_t *rva, enum kdnet_source *source);

#endif
