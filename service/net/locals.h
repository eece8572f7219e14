/* SPDX-License-Identifier: Apache-2.0 */
/*
 * locals: this computer's addresses that machines send to, numbered from 1.
 *
 * A listener at a wildcard address answers from the address that the machine asked. struct address carries that
 * address's number beside the machine's address (`via`) through the table, forwards and migrations, so that later
 * datagrams use the address, too. Addresses are only added; beyond LOCALS_MAX they have no number, and the system
 * chooses.
 *
 * Thread: any.
 */
#ifndef SERVICE_LOCALS_H
#define SERVICE_LOCALS_H

#include <stdatomic.h>
#include <stdint.h>
#include <uv.h>

#define LOCALS_MAX 512U

struct locals {
    uv_mutex_t lock;   /* of adding */
    atomic_uint count; /* entries below it are complete and constant */
    uint8_t ips[LOCALS_MAX][16];
};

/* Returns 0 or a UV_ code. */
int locals_init(struct locals *locals);
void locals_clear(struct locals *locals);

/* Returns the number of an address, a new one if needed; 0: no room. Cost: compares with the earlier addresses. */
uint16_t locals_number(struct locals *locals, const uint8_t ip[static 16]);

/* Returns the address of a number; NULL for 0 and for unknown numbers. Borrowed, as long as `locals` lives. */
const uint8_t *locals_ip(struct locals *locals, uint16_t number);

#endif
