/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cause: where a crash came from: the address that a bug check's own parameters name, and the name of its group. Pure.
 *
 * Uses crash and kernel (bug check data). Source of the table: Microsoft's public bug check code reference, the page of
 * each code.
 */
#ifndef KDNET_CAUSE_H
#define KDNET_CAUSE_H

#include "kdnet/event.h"
#include "kdnet/trace.h"
#include "kdnet/kernel/kernel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_EXCEPTION_ADDRESS 16U /* of ExceptionAddress in a 64-bit EXCEPTION_RECORD [doc: winnt.h] */

/* What a parameter of a bug check is. */
enum kdnet_cause_kind {
    KDNET_CAUSE_ADDRESS,          /* the instruction that failed, or a place in the image that the reference blames */
    KDNET_CAUSE_EXCEPTION_RECORD, /* points to an EXCEPTION_RECORD whose ExceptionAddress is the instruction */
};

/* The parameter of a bug check that says where it came from. */
struct kdnet_cause_rule {
    uint32_t code;
    uint8_t parameter; /* 1 to 4 */
    uint8_t kind;      /* enum kdnet_cause_kind */
    const char *text;  /* what the reference calls this parameter, in our words */
};

/* The rule of a bug check code; NULL: no parameter of the code says. */
const struct kdnet_cause_rule *kdnet_cause_rule(uint32_t code);

/* The table, for tests and listings; ascending by code. */
extern const struct kdnet_cause_rule kdnet_cause_rules[];
extern const size_t kdnet_cause_rule_count;

/*
 * The address that the bug check's parameters give, or that of the exception record.
 *
 * kind  of the address; written when there is one.
 * Returns 0: none, or not an address of the kernel.
 */
uint64_t kdnet_cause_address(enum kdnet_machine machine, const struct kdnet_bugcheck *bugcheck,
                             enum kdnet_cause_kind *kind);

/* Whether an image is the kernel's own machinery of a crash: nt, hal, or what runs on the way into one. A bucket blames
 * others first. */
bool kdnet_image_is_of_crash_path(const char *name);

/*
 * The name of a group: the same for the same fault on any machine that runs the same images.
 *
 * place   the image that is blamed; NULL: none is known.
 * build   of the kernel, used when there is no place.
 * out     "D1 examplenic.sys+0x1234@5F3A1B2C", or "D1 build 20348". NUL-ended.
 */
void kdnet_bucket_text(uint32_t code, const struct kdnet_image_place *place, uint64_t address, uint16_t build,
                       char out[static KDNET_BUCKET_SIZE]);

#endif
