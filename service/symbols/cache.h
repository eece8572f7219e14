/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache: what symbol files proved, in a small text file that survives restarts.
 *
 * Uses remembered, identity. A line each, fields apart by one space:
 *
 *   GUIDAGE SYMBOL 0xRVA|absent pdb|isf|pdb_http CHECK
 *
 * CHECK is the start of the SHA-256 of what stands before it: a line that a disk, a memory or an editor has changed is
 * not believed, nor is one of a kdnetd that wrote none. An RVA belongs to GUID and age for ever, and so does an
 * absence, until private symbols of the same image are put into a store: then delete the file while the service is
 * down.
 *
 * Only one process writes the file: the one that holds a lock on the file PATH.lock.
 */
#ifndef SERVICE_SYMBOLS_CACHE_H
#define SERVICE_SYMBOLS_CACHE_H

#include "service/symbols/remembered.h"

#define CACHE_SIZE_MAX   (128U << 20) /* bytes of the file that are read */
#define CACHE_LINE_MAX   512U
#define CACHE_CHECK_SIZE 17

struct cache_counts {
    size_t unknown; /* lines without a checksum, as an older kdnetd wrote them, or of no sense at all */
    size_t damaged; /* lines whose checksum is of another text */
};

/* The checksum of a line's text, as hex. */
void cache_check(const char *text, size_t length, char out[static CACHE_CHECK_SIZE]);

/* Reads lines into memory, up to the capacity of it; the byte at `length` may be written. A last line without an end
 * was cut short: it counts as damaged. Entries are marked as `unchecked`. */
void cache_parse(char *text, size_t length, struct remembered *remembered, struct cache_counts *counts);

/* Reads the file as cache_parse does. Blocks. Returns 0, also when there is no file, or a libuv error. */
int cache_read(const char *path, struct remembered *remembered, struct cache_counts *counts);

/* What is to be written: a copy, for another thread. */
struct cache_image {
    struct remembered_entry *entries;
    char **names; /* by number */
    size_t count, name_count;
};

/* False: no memory. */
bool cache_image_take(struct cache_image *image, const struct remembered *remembered);
void cache_image_clear(struct cache_image *image);

/* Who may write the file. */
struct cache_lock {
    int descriptor; /* -1: not we */
};

/* Takes the lock unless it is held. Blocks on the disk, never for another process. Returns 0, UV_EBUSY: another process
 * has it, or a libuv error. */
int cache_lock(const char *path, struct cache_lock *lock);
void cache_unlock(struct cache_lock *lock);

/* Writes a new file, under a name that no other writer has, and puts it in the old one's place at once. Needs the lock.
 * Blocks. Returns 0 or a libuv error. */
int cache_write(const char *path, const struct cache_image *image);

#endif
