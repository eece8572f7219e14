/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache: facts that symbol files proved, in a small text file that survives restarts.
 *
 * One fact a line, fields separated by one space:
 *
 *   GUIDAGE SYMBOL 0xRVA|absent pdb|isf|pdb_http CHECK
 *
 * CHECK is the start of the SHA-256 of the text before it: a line that a disk, a memory or an editor has changed is
 * ignored, and so are lines without CHECK from an old kdnetd. An RVA belongs to GUID and age for ever, and so does an
 * absence, until private symbols of the same image are added to a store: then delete the file while the service is
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

/* Reads lines into `remembered`, up to its capacity; the byte at `length` must be writable. A last line without line
 * end was truncated and counts as damaged. Entries are marked as `unchecked`. */
void cache_parse(char *text, size_t length, struct remembered *remembered, struct cache_counts *counts);

/* Reads the file as cache_parse does. Blocks. Returns 0, also when there is no file, or a libuv error. */
int cache_read(const char *path, struct remembered *remembered, struct cache_counts *counts);

/* Content to be written: a copy, for another thread. */
struct cache_image {
    struct remembered_entry *entries;
    char **names; /* by number */
    size_t count, name_count;
};

/* False: no memory. */
bool cache_image_take(struct cache_image *image, const struct remembered *remembered);
void cache_image_clear(struct cache_image *image);

/* The right to write the file. */
struct cache_lock {
    int descriptor; /* -1: not we */
};

/* Takes the lock unless it is held. Blocks on the disk, never on another process. Returns 0, UV_EBUSY: another
 * process has the lock, or a libuv error. */
int cache_lock(const char *path, struct cache_lock *lock);
void cache_unlock(struct cache_lock *lock);

/* Writes a new file, under a name that no other writer has, and renames it over the old one. Needs the lock. Blocks.
 * Returns 0 or a libuv error. */
int cache_write(const char *path, const struct cache_image *image);

#endif
