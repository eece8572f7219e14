/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evidence: further values to read from a halted machine, and the result of each read.
 *
 * Values are reported as read, without interpretation. Nothing here asks the machine: probes/evidence.c does, once the
 * status is known or cannot be known.
 */
#ifndef KDNET_EVIDENCE_H
#define KDNET_EVIDENCE_H

#include "kdnet/evidence.h"
#include "kdnet/wire/machine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a value that must come in one read; of UNICODE, the structure's. */
uint32_t kdnet_read_length(const struct kdnet_machine_layout *layout, enum kdnet_read_kind kind);

/* Finds the value of a symbol of the kernel itself; false: it was not read. evidence: may be NULL. */
bool kdnet_evidence_find(const struct kdnet_evidence *evidence, const char *symbol, enum kdnet_read_kind kind,
                         uint64_t *number);

/* Keeps a number. */
void kdnet_evidence_number(struct kdnet_evidence *evidence, size_t i, const uint8_t *data, size_t length);

/*
 * Keeps a text up to its NUL; UTF-16 when `wide`. `more`: the machine has more text behind `data`, unless a NUL ends
 * it. The value becomes KNOWN when the whole text is kept, CUT when a part of it is, NO_ROOM when nothing is.
 */
void kdnet_evidence_text(struct kdnet_evidence *evidence, size_t i, const uint8_t *data, size_t length, bool wide,
                         bool more);

#endif
