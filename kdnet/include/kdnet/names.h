/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names: the symbolic names of NTSTATUS values and bug check codes.
 *
 * kdnet/base/generate_names.py makes the tables (names_table.c) from the headers of Debian's mingw-w64-common: every
 * NTSTATUS and every bug check code that the headers define, each value once, strictly ascending. The headers' bug
 * checks end at FC and have gaps (3B, 9F), so the script adds newer codes that servers meet, from Microsoft's "Bug
 * check code reference".
 *
 * Where several names share a value, the first STATUS_* name of ntstatus.h wins. A value without a STATUS_* name there
 * has the first other name (DBG_*, RPC_NT_*, EPT_NT_*), and a value that ntstatus.h lacks has the first name of the
 * other headers (IO_*, MCA_*, HIDP_STATUS_*). 0 is STATUS_SUCCESS. So 80 is STATUS_ABANDONED, not
 * STATUS_ABANDONED_WAIT_0.
 *
 * All functions: any thread, no allocation; the texts are constant and live for ever.
 */
#ifndef KDNET_NAMES_H
#define KDNET_NAMES_H

#include "kdnet/header.h"

#include <stdint.h>

KDNET_HEADER_BEGIN

/*
 * Returns the name of an NTSTATUS, e.g. "STATUS_DISK_FULL" for C000007F.
 *
 * NULL: the value has no name. FFFFFFFF, which a kernel uses for "the dump has not started", is no NTSTATUS: NULL.
 */
const char *kdnet_status_name(uint32_t status);

/*
 * Returns the name of a bug check code, e.g. "MANUALLY_INITIATED_CRASH" for E2.
 *
 * A fatal hard error stops the kernel with its NTSTATUS as the bug check code (C000021A when a critical system process
 * ends). So a code of error severity (C0000000 and above) that is no bug check has the name of that status.
 *
 * NULL: the code has no name.
 */
const char *kdnet_bugcheck_name(uint32_t code);

KDNET_HEADER_END

#endif
