/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rva: the operator's table of symbol addresses (`rva:` and --rva), in the form that sessions ask.
 *
 * config keeps the table sorted by kernel and symbol.
 */
#ifndef SERVICE_RVA_H
#define SERVICE_RVA_H

#include "config/config.h"
#include "kdnet/session.h"

/*
 * Looks up `symbol`, with or without "nt!", in the kernel whose symbol file is `pdb`.
 *
 * Returns KDNET_RVA_FOUND with rva and source (KDNET_SOURCE_RVA), or KDNET_RVA_NO_SYMBOLS: a symbol that the table
 * lacks proves nothing about the kernel. Cost: a binary search.
 */
enum kdnet_rva_answer rva_find(const struct kdnetd_config *config, const struct kdnet_pdb *pdb, const char *symbol,
                               uint32_t *rva, enum kdnet_source *source);

#endif
