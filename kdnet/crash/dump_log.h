/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump_log: searches a machine's memory for the dump log, at the last break of a crash.
 *
 * Sans-I/O: asks the caller for reads. The search starts at the dump block and at the writable sections of the dump
 * driver's image, and follows pointers to kernel addresses, breadth first, at most two in a row; at most
 * KDNET_DUMP_LOG_READS reads of at most KDNET_DUMP_LOG_READ bytes. The path to a log that one machine had is tried
 * first on other machines with the same kernel. Only the log of this very crash is accepted. A dump's header that is
 * met on the way is noticed.
 */
#ifndef KDNET_DUMP_LOG_H
#define KDNET_DUMP_LOG_H

#include "kdnet/crash/dump_log_text.h"
#include "kdnet/wire/machine.h"

#define KDNET_DUMP_LOG_READS  64U
#define KDNET_DUMP_LOG_READ   1024U
#define KDNET_DUMP_LOG_LEVELS 2U /* pointers followed in a row */
#define KDNET_DUMP_LOG_PATHS  8U

/* The path to a log. Offset offset[0] from the root (dump block or driver image) holds a pointer, offset[1] from its
 * target the next pointer, and so on; the log lies at offset[levels] from the last target. */
struct kdnet_dump_log_path {
    bool known, in_driver;
    uint8_t levels;
    uint32_t offset[KDNET_DUMP_LOG_LEVELS + 1];
};

/* Where logs lay, by the identity of the kernel's image. Zeros: nowhere yet. */
struct kdnet_dump_log_paths {
    size_t next;
    struct kdnet_dump_log_place {
        struct kdnet_pdb pdb;
        struct kdnet_dump_log_path path;
    } place[KDNET_DUMP_LOG_PATHS];
};

/* NULL: not known. */
const struct kdnet_dump_log_path *kdnet_dump_log_recall(const struct kdnet_dump_log_paths *paths,
                                                        const struct kdnet_pdb *pdb);
void kdnet_dump_log_remember(struct kdnet_dump_log_paths *paths, const struct kdnet_pdb *pdb,
                             const struct kdnet_dump_log_path *path);

struct kdnet_dump_log_start {
    enum kdnet_machine machine;
    struct kdnet_bugcheck bugcheck; /* KiBugCheckData */
    uint64_t block, driver;         /* dump block, base of the dump driver; 0: none */
    struct kdnet_dump_log_path path;
};

/* A read to be done. */
struct kdnet_dump_log_step {
    enum { KDNET_DUMP_LOG_AREA, KDNET_DUMP_LOG_HEADER, KDNET_DUMP_LOG_POINTER } kind;
    uint64_t address;
    uint8_t level;                   /* pointers followed so far */
    struct kdnet_dump_log_path path; /* to `address` */
};

struct kdnet_dump_log_search {
    struct kdnet_dump_log_start start;
    unsigned asked;
    unsigned first, end; /* of `step` */
    struct kdnet_dump_log_step step[KDNET_DUMP_LOG_READS];
    bool reading; /* a text, whose next bytes are at `text_at` */
    uint64_t text_at;
    uint32_t wanted;                 /* bytes of the read under way */
    struct kdnet_dump_log_path path; /* path to the text */
    struct kdnet_dump_log_text text;
    bool found;  /* `text` and `path` are of this crash's log */
    bool header; /* a read block was the header of this crash's dump */
};

void kdnet_dump_log_begin(struct kdnet_dump_log_search *search, const struct kdnet_dump_log_start *start);

/* Gets the next read. Returns false when the search is over. */
bool kdnet_dump_log_next(struct kdnet_dump_log_search *search, uint64_t *address, uint32_t *length);

/* Takes the bytes of the read; length 0: unreadable. */
void kdnet_dump_log_take(struct kdnet_dump_log_search *search, const uint8_t *data, size_t length);

#endif
