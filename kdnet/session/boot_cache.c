/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/session/boot_cache_internal.h"

#include <stdlib.h>
#include <string.h>

void kdnet_boot_cache_free(struct kdnet_boot_cache *cache)
{
    if (!cache)
        return;
    free(cache->modules);
    free(cache);
}

bool kdnet_boot_cache_recall(const struct kdnet_boot_cache *cache, struct kdnet_evidence *evidence, size_t i)
{
    for (size_t n = 0; n < cache->once_count; ++n) {
        const struct kdnet_value *value = &cache->once[n];
        if (cache->once_read[n] != i)
            continue;
        evidence->value[i] = *value;
        if (value->text_length > 0)
            kdnet_evidence_text(evidence, i, (const uint8_t *)cache->texts + value->text_at, value->text_length, false,
                                false);
        return true;
    }
    return false;
}

void kdnet_boot_cache_keep(struct kdnet_boot_cache *cache, const struct kdnet_evidence *evidence, size_t i)
{
    const struct kdnet_value *value = &evidence->value[i];
    if (cache->once_count == KDNET_ONCE_MAX || value->text_length > sizeof cache->texts - cache->texts_length)
        return; /* asked again: slower, not wrong */
    for (size_t n = 0; n < cache->once_count; ++n)
        if (cache->once_read[n] == i)
            return;
    cache->once_read[cache->once_count] = (uint8_t)i;
    cache->once[cache->once_count] = *value;
    cache->once[cache->once_count++].text_at = cache->texts_length;
    memcpy(cache->texts + cache->texts_length, evidence->texts + value->text_at, value->text_length);
    cache->texts_length = (uint16_t)(cache->texts_length + value->text_length);
}
