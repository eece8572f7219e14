/* SPDX-License-Identifier: Apache-2.0 */
/* boot_cache_internal: evidence that is constant during one boot of a machine. Not for callers. */
#ifndef KDNET_BOOT_CACHE_INTERNAL_H
#define KDNET_BOOT_CACHE_INTERNAL_H

#include "kdnet/kernel.h"
#include "kdnet/session/evidence.h"

#define KDNET_MODULES_MAX 8U
#define KDNET_ONCE_MAX    8U
#define KDNET_ONCE_TEXTS  192U

/* An image other than the kernel that reads refer to. */
struct kdnet_module {
    char name[KDNET_READ_MODULE_SIZE];
    uint64_t base; /* 0: not found */
    bool pdb_tried, pdb_known;
    struct kdnet_pdb pdb;
};

/* Evidence learnt in one boot: values that are read once, and images. */
struct kdnet_boot_cache {
    uint32_t version; /* of the reads */
    size_t once_count;
    struct kdnet_value once[KDNET_ONCE_MAX];
    uint8_t once_read[KDNET_ONCE_MAX]; /* index of the read */
    uint16_t texts_length;
    char texts[KDNET_ONCE_TEXTS];
    size_t module_count;
    struct kdnet_module *modules; /* KDNET_MODULES_MAX; NULL: none were wanted yet */
};

/* NULL is fine. */
void kdnet_boot_cache_free(struct kdnet_boot_cache *cache);

/* Writes what an earlier break of this boot showed of read i's value. False: nothing. */
bool kdnet_boot_cache_recall(const struct kdnet_boot_cache *cache, struct kdnet_evidence *evidence, size_t i);

/* Keeps the value of read i. Without room the value is read again at the next break: slower, not wrong. */
void kdnet_boot_cache_keep(struct kdnet_boot_cache *cache, const struct kdnet_evidence *evidence, size_t i);

#endif
