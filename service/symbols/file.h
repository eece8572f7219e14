/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file: reads a symbol file, on disk or in memory, at any offset.
 *
 * Uses libuv's synchronous file functions, so it builds wherever the service does. Reads instead of mappings: under a
 * mapping, a shrinking file or a failing disk ends the process (SIGBUS); here it is an error of one look-up. A look-up
 * reads a few dozen pieces of a file of any size. Functions block: call them on a pool thread.
 */
#ifndef SERVICE_SYMBOLS_FILE_H
#define SERVICE_SYMBOLS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SYMBOL_REASON_SIZE 256 /* bytes of the text that says why a file or a source has no answer */
#define SYMBOL_PATH_SIZE   1024
#define SYMBOL_NAME_SIZE   128      /* bytes of the name of the symbol that contains an address */
#define SYMBOL_REACH       0x100000 /* farthest distance from a symbol at which its name is given */

struct symbol_file {
    const uint8_t *memory; /* borrowed; NULL: the file is on disk */
    uint64_t size;         /* bytes, when opened */
    int descriptor;        /* uv_file; -1: none */
};

/* Answer of a symbol file or a source. */
enum symbol_answer {
    SYMBOL_FOUND,
    SYMBOL_ABSENT, /* the file is this kernel's, was read, and has no such name */
    SYMBOL_NONE,   /* no answer: no file, another kernel's, damaged, cannot be read; `reason` says which */
};

/* One of several names that a file is asked for together. */
struct symbol_name {
    const char *name; /* borrowed */
    enum symbol_answer answer;
    uint32_t rva; /* of SYMBOL_FOUND */
};

#define SYMBOL_NAMES_MAX 40U /* names in one question */

/* An address in an image, and the last public symbol at or before it. */
struct symbol_address {
    uint32_t rva;
    enum symbol_answer answer;
    uint32_t offset;             /* of SYMBOL_FOUND: bytes from the symbol to the address */
    char name[SYMBOL_NAME_SIZE]; /* of SYMBOL_FOUND: printable ASCII, truncated to the array */
};

#define SYMBOL_ADDRESSES_MAX 32U /* addresses in one question */

/* Keeps `name` when it suits the address better than the present one: nearer, or equally near and first in the order
 * of names (C++ names that begin with `?` last), so that the order of the files does not matter. */
void symbol_address_offer(struct symbol_address *address, uint32_t rva, const char *name);

/* Writes a reason, truncated to the array; unprintable characters become '?'. Returns SYMBOL_NONE. */
enum symbol_answer symbol_reason(char reason[static SYMBOL_REASON_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The bytes of a block of memory, which outlives the file. */
void symbol_file_memory(struct symbol_file *file, const void *bytes, size_t length);

/*
 * Opens a file for reading. Refuses all but regular files, without blocking on a FIFO or a device.
 *
 * Returns 0; a negative libuv error: UV_ENOENT when absent, UV_EINVAL when not regular.
 */
int symbol_file_open(struct symbol_file *file, const char *path);

/* Opens or makes a file, and locks it against other processes until it is closed. Returns its descriptor, UV_EBUSY:
 * another process has the lock, or a libuv error. */
int symbol_file_lock(const char *path);

/* Makes a file without a name, for writing and then reading; closing deletes it. Returns 0 or a libuv error. */
int symbol_file_temporary(struct symbol_file *file);

/* Appends to a temporary file. Returns false when the disk refuses. */
bool symbol_file_append(struct symbol_file *file, const void *bytes, size_t length);

/* Reads exactly `length` bytes at `offset`. False: they lie beyond the end, or the disk failed. */
bool symbol_file_read(const struct symbol_file *file, uint64_t offset, void *out, size_t length);

/* Closes a file, also after a failed open. */
void symbol_file_close(struct symbol_file *file);

#endif
