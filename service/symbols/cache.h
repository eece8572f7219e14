/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache: what symbol files proved, in a small text file that survives restarts.
 *
 * Uses remembered, identity. A line each, fields apart by one space:
 *
 *   GUIDAGE SYMBOL 0xRVA|absent pdb|isf
 *
 * An RVA belongs to GUID and age for ever, and so does an absence, until private symbols of the same image are put into
 * a store: then delete the file. It may be deleted and edited while the service is down.
 */
#ifndef SERVICE_SYMBOLS_CACHE_H
#define SERVICE_SYMBOLS_CACHE_H

#include "service/symbols/remembered.h"

#define CACHE_SIZE_MAX (128U << 20) /* bytes of the file that are read */
#define CACHE_LINE_MAX 512U

/*
 * Reads the file into memory, up to the capacity of it.
 *
 * ignored   lines that are not as above.
 * Returns 0, also when there is no file, or a libuv error.
 */
int cache_read(const char *path, struct remembered *remembered, size_t *ignored);

/* What is to be written: a copy, for a thread of the pool. Names are borrowed from `remembered`. */
struct cache_image {
    struct remembered_entry *entries;
    char **names; /* copy of the pointers */
    size_t count;
};

/* False: no memory. */
bool cache_image_take(struct cache_image *image, const struct remembered *remembered);
void cache_image_clear(struct cache_image *image);

/* Writes a new file and puts it in the old one's place at once. Blocks. Returns 0 or a libuv error. */
int cache_write(const char *path, const struct cache_image *image);

#endif
