/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cause: the origin of a crash: the address that the parameters of its bug check name, and the name of the crash's
 * group. Pure functions.
 *
 * Source of the table: Microsoft's public bug check code reference, the page of each code.
 */
#ifndef KDNET_CAUSE_H
#define KDNET_CAUSE_H

#include "kdnet/event.h"
#include "kdnet/trace.h"
#include "kdnet/kernel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_EXCEPTION_ADDRESS 16U /* of ExceptionAddress in a 64-bit EXCEPTION_RECORD [doc: winnt.h] */

/* Meaning of a bug check parameter. */
enum kdnet_cause_kind {
    KDNET_CAUSE_ADDRESS, /* the instruction that failed, or an address in the image that the reference blames */
    KDNET_CAUSE_EXCEPTION_RECORD, /* points to an EXCEPTION_RECORD whose ExceptionAddress is the instruction */
};

/* The parameter of a bug check that names the origin. */
struct kdnet_cause_rule {
    uint32_t code;
    uint8_t parameter; /* 1 to 4 */
    uint8_t kind;      /* enum kdnet_cause_kind */
    const char *text;  /* the reference's name of the parameter, in our words */
};

/* A bug check code without the flag 10000000. */
uint32_t kdnet_cause_code(uint32_t code);

/* The rule of a bug check code; NULL: no parameter of the code says. */
const struct kdnet_cause_rule *kdnet_cause_rule(uint32_t code);

/* The table, for tests and listings; ascending by code. */
extern const struct kdnet_cause_rule kdnet_cause_rules[];
extern const size_t kdnet_cause_rule_count;

/*
 * Returns the address that the bug check's parameters name, or the address in the exception record.
 *
 * kind  of the address; written when there is an address.
 * Returns 0: no address, or no address in the kernel's half.
 */
uint64_t kdnet_cause_address(enum kdnet_machine machine, const struct kdnet_bugcheck *bugcheck,
                             enum kdnet_cause_kind *kind);

/* Whether an image is part of the kernel's crash path: nt, hal, or an image that runs on the way into a crash. A
 * bucket prefers other images. */
bool kdnet_image_is_of_crash_path(const char *name);

/*
 * Makes the name of a crash's group: equal for the same fault on all machines that run the same images.
 *
 * place   the blamed image; NULL: unknown.
 * build   of the kernel, used when `place` is NULL.
 * out     "D1 examplenic.sys+0x1234@5F3A1B2C", or "D1 build 20348". NUL-terminated.
 */
void kdnet_bucket_text(uint32_t code, const struct kdnet_image_place *place, uint64_t address, uint16_t build,
                       char out[static KDNET_BUCKET_SIZE]);

#endif
