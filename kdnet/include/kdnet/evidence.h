/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evidence: further values to read from a halted machine, and what became of each. What is read is told as it is,
 * without more being claimed than it says.
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
#define KDNET_TEXT_MAX         160U  /* bytes of a text that are read */
#define KDNET_TEXTS_MAX        1024U /* bytes of all texts of a break together */

/* What is at the address. X(NAME, text) */
#define KDNET_READ_MAP(X)                                                                                              \
    X(U8, "1")                                                                                                         \
    X(U16, "2")                                                                                                        \
    X(U32, "4")                                                                                                        \
    X(U64, "8")                                                                                                        \
    X(POINTER, "pointer") /* 4 or 8 bytes, as the machine has them */                                                  \
    X(STRING, "string")   /* bytes up to a NUL */                                                                      \
    X(UNICODE, "unicode") /* a UNICODE_STRING; its text is read in a further step */

/* What became of a value. X(NAME, text) */
#define KDNET_VALUE_MAP(X)                                                                                             \
    X(NOT_ASKED, "not_asked") /* not of this kind of break */                                                          \
    X(KNOWN, "known")                                                                                                  \
    X(NULL_POINTER, "null")           /* a pointer on the way is null */                                               \
    X(SYMBOL_ABSENT, "symbol_absent") /* the image's own symbols have no such name */                                  \
    X(NO_SYMBOLS, "no_symbols")                                                                                        \
    X(PENDING, "pending")     /* its symbol is still looked up: the next break will have it */                         \
    X(NO_MODULE, "no_module") /* not in the list of loaded images */                                                   \
    X(UNREADABLE, "unreadable")                                                                                        \
    X(TIMEOUT, "timeout") /* the machine had to go on first */                                                         \
    X(CUT, "cut")         /* a text: what is kept is its beginning */                                                  \
    X(NO_ROOM, "no_room") /* a text: others of this break took KDNET_TEXTS_MAX */

#define KDNET_READ_ENUM(name, text)  KDNET_READ_##name,
#define KDNET_VALUE_ENUM(name, text) KDNET_VALUE_##name,
enum kdnet_read_kind { KDNET_READ_MAP(KDNET_READ_ENUM) KDNET_READ_KINDS };
enum kdnet_value_state { KDNET_VALUE_MAP(KDNET_VALUE_ENUM) };
#undef KDNET_READ_ENUM
#undef KDNET_VALUE_ENUM

/* The texts of the lists above; never NULL. */
const char *kdnet_read_kind_name(enum kdnet_read_kind kind);
const char *kdnet_value_state_name(enum kdnet_value_state state);

/*
 * One value to read: from the symbol go offset[0] on; then, `steps` times, take the pointer that is there and go the
 * next offset on. At that address is a value of `kind`.
 */
struct kdnet_read {
    char name[KDNET_READ_NAME_SIZE];     /* in the result */
    char module[KDNET_READ_MODULE_SIZE]; /* "nt", or an image's name without its extension: "crashdmp" */
    char symbol[KDNET_READ_SYMBOL_SIZE];
    uint32_t offset[KDNET_READ_STEPS_MAX + 1];
    uint8_t steps;
    uint8_t kind; /* enum kdnet_read_kind */
    bool once;    /* does not change during one boot of a machine: asked once */
    bool always;  /* at every break that is read; else only at those of a crash */
};

/* All of them, shared by many sessions. */
struct kdnet_reads {
    uint32_t version; /* another one whenever anything in it is another */
    size_t count;
    struct kdnet_read read[KDNET_READS_MAX];
};

struct kdnet_value {
    uint8_t state;       /* enum kdnet_value_state */
    uint8_t text_length; /* of STRING, and of UNICODE in UTF-8 */
    uint16_t text_at;    /* in texts */
    uint64_t number;     /* of the other kinds */
};

/* What a break gave; value[i] is that of reads->read[i]. */
struct kdnet_evidence {
    const struct kdnet_reads *reads; /* borrowed */
    struct kdnet_value value[KDNET_READS_MAX];
    uint16_t texts_length;
    char texts[KDNET_TEXTS_MAX]; /* from the machine: not to be trusted; no NUL between them */
};

KDNET_HEADER_END

#endif
