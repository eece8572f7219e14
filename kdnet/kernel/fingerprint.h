/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fingerprint: what tells one kernel from another before any byte of its image is read (struct kdnet_fingerprint).
 *
 * Protocol: PROTOCOL.md section 7.
 */
#ifndef KDNET_FINGERPRINT_H
#define KDNET_FINGERPRINT_H

#include "kdnet/kernel.h"
#include "kdnet/kernel/debugger_data.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Makes the fingerprint of a kernel.
 *
 * block   address of the debugger data block; base: of the image; both in the form of `data`'s addresses.
 * Returns false when one of the five variables lies outside of 4 GB behind the base: no kernel.
 */
bool kdnet_fingerprint_make(enum kdnet_machine machine, uint64_t base, uint64_t block,
                            const struct kdnet_debugger_data *data, const char *build_lab,
                            struct kdnet_fingerprint *out);

#endif
