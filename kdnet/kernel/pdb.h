/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pdb: the identity of an image's PDB, from the RSDS record that its CodeView entry points to.
 *
 * The bytes come from a machine that has crashed: nothing is trusted.
 */
#ifndef KDNET_PDB_H
#define KDNET_PDB_H

#include "kdnet/kernel.h"

#include <stddef.h>
#include <stdint.h>

#define KDNET_CODEVIEW_NAME 24 /* offset of the name in an RSDS record */
#define KDNET_CODEVIEW_SIZE 88 /* RSDS record: 24 bytes and a name of up to 63 characters and NUL */

/* Reads an RSDS record. Returns KDNET_OK, KDNET_ERR_SHORT or KDNET_ERR_FORMAT. */
int kdnet_pdb_decode(const uint8_t *record, size_t length, struct kdnet_pdb *out);

#endif
