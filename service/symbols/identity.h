/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity: GUID and age of a PDB as texts, and names that may become paths.
 *
 * The identity comes from the memory of a crashed machine, or from an attacker: a name that could mean another folder
 * is refused.
 */
#ifndef SERVICE_SYMBOLS_IDENTITY_H
#define SERVICE_SYMBOLS_IDENTITY_H

#include "service/symbols/file.h"

#include "kdnet/kernel.h"

/* Parses 32 hex digits, in symbol stores' order, into the byte order of an image. */
bool identity_parse_guid(const char *text, uint8_t guid[static 16]);

/* Parses GUIDAGE, the whole text: 32 hex digits and one to eight of age. */
bool identity_parse(const char *text, struct kdnet_pdb *pdb);

/* Same GUID and same age; names may differ. */
bool identity_same(const struct kdnet_pdb *a, const struct kdnet_pdb *b);

/* Writes the reason for a file of another kernel. Returns SYMBOL_NONE. */
enum symbol_answer identity_other(const struct kdnet_pdb *found, char reason[static SYMBOL_REASON_SIZE]);

/* Whether a PDB's name may be part of a path: 1 to 63 of A-Z a-z 0-9 . _ -, no dot in front or at the end, no "..". */
bool identity_name_is_safe(const char *name);

/* Returns the file's name within an image's PDB name, which may be a path of the build machine. */
const char *identity_base_name(const char *name);

#endif
