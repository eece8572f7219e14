/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evidence: further values to read from a halted machine, and the result of each read. Values are reported as read,
 * without interpretation.
 */
#ifndef KDNET_PUBLIC_EVIDENCE_H
#define KDNET_PUBLIC_EVIDENCE_H

#include "kdnet/header.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

KDNET_HEADER_BEGIN

#define KDNET_READS_MAX        40U
#define KDNET_READ_STEPS_MAX   3U
#define KDNET_READ_NAME_SIZE   40
#define KDNET_READ_MODULE_SIZE 32
#define KDNET_READ_SYMBOL_SIZE 128
#define KDNET_TEXT_MAX         160U  /* bytes read of one text */
#define KDNET_TEXTS_MAX        1024U /* bytes of all texts of a break */

/* What kind of value is at the address. X(NAME, text) */
#define KDNET_READ_MAP(X)                                                                                              \
    X(U8, "1")                                                                                                         \
    X(U16, "2")                                                                                                        \
    X(U32, "4")                                                                                                        \
    X(U64, "8")                                                                                                        \
    X(POINTER, "pointer") /* 4 or 8 bytes, by the machine's pointer size */                                            \
    X(STRING, "string")   /* bytes up to a NUL */                                                                      \
    X(UNICODE, "unicode") /* a UNICODE_STRING; one more read gets its text */

/* Result of reading a value. X(NAME, text) */
#define KDNET_VALUE_MAP(X)                                                                                             \
    X(NOT_ASKED, "not_asked") /* not configured for this kind of break */                                              \
    X(KNOWN, "known")                                                                                                  \
    X(NULL_POINTER, "null")           /* a pointer on the way is null */                                               \
    X(SYMBOL_ABSENT, "symbol_absent") /* the image's symbols do not contain the name */                                \
    X(NO_SYMBOLS, "no_symbols")                                                                                        \
    X(PENDING, "pending")     /* the look-up has not ended: the next break will have the value */                      \
    X(NO_MODULE, "no_module") /* the list of loaded images lacks the module */                                         \
    X(UNREADABLE, "unreadable")                                                                                        \
    X(TIMEOUT, "timeout") /* the machine had to be released first */                                                   \
    X(CUT, "cut")         /* a text, truncated at its end */                                                           \
    X(NO_ROOM, "no_room") /* a text, dropped because other texts of this break filled KDNET_TEXTS_MAX */

#define KDNET_READ_ENUM(name, text)  KDNET_READ_##name,
#define KDNET_VALUE_ENUM(name, text) KDNET_VALUE_##name,
enum kdnet_read_kind { KDNET_READ_MAP(KDNET_READ_ENUM) KDNET_READ_KINDS };
enum kdnet_value_state { KDNET_VALUE_MAP(KDNET_VALUE_ENUM) };
#undef KDNET_READ_ENUM
#undef KDNET_VALUE_ENUM

/* Return the texts of the lists above; never NULL. */
const char *kdnet_read_kind_name(enum kdnet_read_kind kind);
const char *kdnet_value_state_name(enum kdnet_value_state state);

/*
 * One value to read. Start at the symbol plus offset[0]; then `steps` times load the pointer at that address and add
 * the next offset. The final address holds a value of `kind`.
 */
struct kdnet_read {
    char name[KDNET_READ_NAME_SIZE];     /* name of the value in the result */
    char module[KDNET_READ_MODULE_SIZE]; /* "nt", or an image's name without extension, e.g. "crashdmp" */
    char symbol[KDNET_READ_SYMBOL_SIZE];
    uint32_t offset[KDNET_READ_STEPS_MAX + 1];
    uint8_t steps;
    uint8_t kind; /* enum kdnet_read_kind */
    bool once;    /* constant during one boot of a machine: read once a boot */
    bool always;  /* read at every break that is read; false: only at breaks of a crash */
};

/* The configured reads, shared by many sessions. */
struct kdnet_reads {
    uint32_t version; /* changes whenever any member changes */
    size_t count;
    struct kdnet_read read[KDNET_READS_MAX];
};

struct kdnet_value {
    uint8_t state;       /* enum kdnet_value_state */
    uint8_t text_length; /* for STRING and UNICODE; UNICODE is stored as UTF-8 */
    uint16_t text_at;    /* offset in kdnet_evidence.texts */
    uint64_t number;     /* for all other kinds */
};

/* Values read at one break; value[i] belongs to reads->read[i]. */
struct kdnet_evidence {
    const struct kdnet_reads *reads; /* borrowed */
    struct kdnet_value value[KDNET_READS_MAX];
    uint16_t texts_length;
    char texts[KDNET_TEXTS_MAX]; /* untrusted bytes from the machine, without NULs between the texts */
};

KDNET_HEADER_END

#endif
