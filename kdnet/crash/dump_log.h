/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump_log: looks for the dump log in the memory of a machine at the last break of its crash.
 *
 * Uses dump_log_text, machine. Sans-I/O: asks for reads. From the dump block and from the writable sections of the dump
 * driver's image it follows pointers, at most two one after the other, to addresses of the kernel only, breadth first;
 * at most KDNET_DUMP_LOG_READS reads of at most KDNET_DUMP_LOG_READ bytes. Where one machine had its log, others with
 * the same kernel are asked first; what is there has to be the log of this very crash in any case.
 */
#ifndef KDNET_DUMP_LOG_H
#define KDNET_DUMP_LOG_H

#include "kdnet/crash/dump_log_text.h"
#include "kdnet/wire/machine.h"

#define KDNET_DUMP_LOG_READS  64U
#define KDNET_DUMP_LOG_READ   1024U
#define KDNET_DUMP_LOG_LEVELS 2U /* pointers that are followed one after the other */
#define KDNET_DUMP_LOG_PATHS  8U

/* The way to a log: from the root (the dump block or the driver's image) offset[0] bytes on lies a pointer, from where
 * that points offset[1] bytes on the next; offset[levels] bytes on lies the log. */
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

/* A read that is to be done. */
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
    struct kdnet_dump_log_path path; /* to that text */
    struct kdnet_dump_log_text text;
    bool found; /* the log of this crash: `text` and `path` are its */
};

void kdnet_dump_log_begin(struct kdnet_dump_log_search *search, const struct kdnet_dump_log_start *start);

/* Returns whether a read is wanted; false: it is over. */
bool kdnet_dump_log_next(struct kdnet_dump_log_search *search, uint64_t *address, uint32_t *length);

/* What came of the read; length 0: nothing. */
void kdnet_dump_log_take(struct kdnet_dump_log_search *search, const uint8_t *data, size_t length);

#endif
