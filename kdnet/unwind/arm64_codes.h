/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64_codes: unwind codes of ARM64 [doc: "ARM64 exception handling"]. Not for callers.
 */
#ifndef KDNET_ARM64_CODES_H
#define KDNET_ARM64_CODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_ARM64_EXPANDED_MAX 64U /* bytes */

enum {
    CODE_SET_FP = 0xe1,
    CODE_ADD_FP = 0xe2,
    CODE_NOP = 0xe3,
    CODE_END = 0xe4,
    CODE_END_C = 0xe5,
    CODE_SAVE_NEXT = 0xe6,
    CODE_MACHINE_FRAME = 0xe9,
    CODE_CONTEXT = 0xea,
    CODE_CLEAR_UNWOUND = 0xec,
    CODE_PAC = 0xfc,
};

/*
 * Expands packed unwind data into the codes of their prolog, the last instruction first, and CODE_END.
 *
 * Returns false when the data make no sense.
 */
bool kdnet_arm64_expand(uint32_t data, uint8_t code[static KDNET_ARM64_EXPANDED_MAX], size_t *count);

#endif
