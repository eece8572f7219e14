/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/crash/explain.h"

#define MINIDUMP_FLAG 0x10000000U

const struct kdnet_bugcheck_text *kdnet_bugcheck_explain(uint32_t code)
{
    size_t low = 0, high = kdnet_bugcheck_text_count;
    code &= code >> 28 == 1 ? ~MINIDUMP_FLAG : UINT32_MAX;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (kdnet_bugcheck_texts[middle].code == code)
            return &kdnet_bugcheck_texts[middle];
        if (kdnet_bugcheck_texts[middle].code < code)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
