/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyring: the key that a machine has shown last, when its target has several: a new one, and old ones that the machine
 * may still have. Each key has a row of its own, and the rows of one target share a keyring.
 *
 * Thread: any.
 */
#ifndef SERVICE_KEYRING_H
#define SERVICE_KEYRING_H

#include <stdint.h>

#define KEYRING_CURRENT  0U           /* the slot of `key` */
#define KEYRING_UNLISTED UINT16_MAX   /* slot of a key that the configuration no longer names */
#define KEYRING_NONE     (UINT32_MAX) /* the machine has shown no key yet */

struct keyring;

/* Makes a keyring with one owner. NULL: out of memory. */
struct keyring *keyring_new(void);
struct keyring *keyring_take(struct keyring *ring); /* adds an owner */
void keyring_drop(struct keyring *ring);            /* removes an owner; NULL does nothing */

/* Records that the machine has shown the key of this slot. Returns the slot shown before. */
uint32_t keyring_show(struct keyring *ring, uint32_t slot);
uint32_t keyring_shown(const struct keyring *ring);

#endif
