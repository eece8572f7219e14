/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file: the bytes of a symbol file, on disk or in memory, at any offset.
 *
 * Uses libuv's synchronous file functions, so it builds wherever the service does. Reads, and no mapping: a file that
 * shrinks or a disk that fails under a mapping ends the process (SIGBUS), here it is an error of one look-up. A look-up
 * reads a few dozen pieces of a file of any size. Functions block: call them on a pool thread.
 */
#ifndef SERVICE_SYMBOLS_FILE_H
#define SERVICE_SYMBOLS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SYMBOL_REASON_SIZE 256 /* of the text that says why a file or a source does not answer */
#define SYMBOL_PATH_SIZE   1024
#define SYMBOL_NAME_SIZE   128      /* of a symbol that an address lies in */
#define SYMBOL_REACH       0x100000 /* bytes behind a symbol that are told by its name */

struct symbol_file {
    const uint8_t *memory; /* borrowed; NULL: the file is on disk */
    uint64_t size;         /* bytes, when it was opened */
    int descriptor;        /* uv_file; -1: none */
};

/* What a symbol file or a source answers. */
enum symbol_answer {
    SYMBOL_FOUND,
    SYMBOL_ABSENT, /* the file is this kernel's, was read, and has no such name */
    SYMBOL_NONE,   /* no answer: no file, another kernel's, damaged, cannot be read; `reason` says which */
};

/* One of several names that are asked of a file at once. */
struct symbol_name {
    const char *name; /* borrowed */
    enum symbol_answer answer;
    uint32_t rva; /* of SYMBOL_FOUND */
};

#define SYMBOL_NAMES_MAX 40U /* that may be asked at once */

/* An address in an image, and the last public symbol that is not behind it. */
struct symbol_address {
    uint32_t rva;
    enum symbol_answer answer;
    uint32_t offset;             /* of SYMBOL_FOUND: bytes from the symbol to the address */
    char name[SYMBOL_NAME_SIZE]; /* of SYMBOL_FOUND: printable ASCII, cut when it is longer */
};

#define SYMBOL_ADDRESSES_MAX 32U /* that may be asked at once */

/* Keeps `name` when it suits the address better than what is known: it is nearer, or as near and comes first among
 * names (those of C++ that begin with `?` last), so that files in any order tell the same. */
void symbol_address_offer(struct symbol_address *address, uint32_t rva, const char *name);

/* Writes a reason, cut when it is too long; what cannot be printed becomes '?'. Returns SYMBOL_NONE. */
enum symbol_answer symbol_reason(char reason[static SYMBOL_REASON_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The bytes of a block of memory, which outlives the file. */
void symbol_file_memory(struct symbol_file *file, const void *bytes, size_t length);

/*
 * Opens a file for reading. Anything but a regular file is refused, without waiting on it (a FIFO, a device).
 *
 * Returns 0; a negative libuv error: UV_ENOENT when there is none, UV_EINVAL when it is not regular.
 */
int symbol_file_open(struct symbol_file *file, const char *path);

/* Opens a file, made when it is not there, and locks it against other processes until it is closed. Returns its
 * descriptor, UV_EBUSY: another process has it locked, or a libuv error. */
int symbol_file_lock(const char *path);

/* A new file without a name, for writing and then reading; it is gone when closed. Returns 0 or a libuv error. */
int symbol_file_temporary(struct symbol_file *file);

/* Appends to a temporary file. Returns false when the disk does not take it. */
bool symbol_file_append(struct symbol_file *file, const void *bytes, size_t length);

/* Reads exactly `length` bytes at `offset`. False: they lie beyond the end, or the disk failed. */
bool symbol_file_read(const struct symbol_file *file, uint64_t offset, void *out, size_t length);

/* Closes it; a file that failed to open may be closed too. */
void symbol_file_close(struct symbol_file *file);

#endif
