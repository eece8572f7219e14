/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyring: which of its keys a machine has shown last, when its target has several: a new one, and old ones that the
 * machine may still have. Each key has a row of its own, and the rows of one target share a keyring.
 *
 * Thread: any.
 */
#ifndef SERVICE_KEYRING_H
#define SERVICE_KEYRING_H

#include <stdint.h>

#define KEYRING_CURRENT  0U           /* the slot of `key` */
#define KEYRING_UNLISTED UINT16_MAX   /* of a key that the configuration does not name any more */
#define KEYRING_NONE     (UINT32_MAX) /* the machine has shown no key yet */

struct keyring;

/* With one owner. NULL: out of memory. */
struct keyring *keyring_new(void);
struct keyring *keyring_take(struct keyring *ring); /* one owner more */
void keyring_drop(struct keyring *ring);            /* one less; NULL is fine */

/* The machine has shown the key of this slot. Returns what it had shown before. */
uint32_t keyring_show(struct keyring *ring, uint32_t slot);
uint32_t keyring_shown(const struct keyring *ring);

#endif
