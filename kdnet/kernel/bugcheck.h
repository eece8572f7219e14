/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bugcheck: the code and the parameters of a bug check, in the kernel's memory and in its debug text.
 *
 * Protocol: PROTOCOL.md sections 7 and 9. The bytes come from a machine that has crashed: nothing is trusted.
 */
#ifndef KDNET_BUGCHECK_H
#define KDNET_BUGCHECK_H

#include "kdnet/kernel.h"
#include "kdnet/wire/machine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_BUGCHECK_VALUES 5

/* KiBugCheckData is five values of pointer size: 40 or 20 bytes. Returns KDNET_OK or KDNET_ERR_SHORT. */
int kdnet_bugcheck_decode(const struct kdnet_machine_layout *layout, const uint8_t *data, size_t length,
                          struct kdnet_bugcheck *out);

/*
 * Finds "*** Fatal System Error: 0xCODE (0xP1,0xP2,0xP3,0xP4)" in debug text (PROTOCOL section 9, step 1). Returns true
 * and writes `out` when the line is complete.
 */
bool kdnet_bugcheck_from_text(const char *text, size_t length, struct kdnet_bugcheck *out);

#endif
