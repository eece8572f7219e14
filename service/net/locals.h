/* SPDX-License-Identifier: Apache-2.0 */
/*
 * locals: addresses of this computer that machines send to, numbered from 1.
 *
 * Uses nothing. A listener at a wildcard address answers from the address that was asked: struct address carries its
 * number beside the machine's address (`via`), through the table, forwards and migrations, so that what is sent later
 * goes out from there, too. Addresses only come; beyond LOCALS_MAX they have no number, and the system chooses.
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
    atomic_uint count; /* those below are whole, and stay as they are */
    uint8_t ips[LOCALS_MAX][16];
};

/* Returns 0 or a UV_ code. */
int locals_init(struct locals *locals);
void locals_clear(struct locals *locals);

/* The number of an address, a new one if need be; 0: there is no room. Cost: compares with those that came before it.
 */
uint16_t locals_number(struct locals *locals, const uint8_t ip[static 16]);

/* NULL for 0, and for what is no number. Borrowed, for as long as `locals` is there. */
const uint8_t *locals_ip(struct locals *locals, uint16_t number);

#endif
