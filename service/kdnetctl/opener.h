/* SPDX-License-Identifier: Apache-2.0 */
/*
 * opener: authenticates and decrypts the datagrams of a capture, with all given keys.
 *
 * A control datagram is tried with its conversation's key first, then with all others (a block of AES refutes one).
 * Each authentic response gives a data key of its conversation; data datagrams are tried with the last few data keys.
 */
#ifndef SERVICE_CTL_OPENER_H
#define SERVICE_CTL_OPENER_H

#include "kdnet/wire/datagram.h"
#include "service/capture/capture.h"
#include "service/kdnetctl/conversation.h"

#include <stdbool.h>
#include <stddef.h>

/* Result for a datagram. */
enum opener_result {
    OPENER_VERIFIED,
    OPENER_NO_KEY,      /* no key was given */
    OPENER_NO_RESPONSE, /* a data datagram whose key is unknown, because no response was seen */
    OPENER_CUT,         /* truncated by the capture's snapshot length */
    OPENER_ERROR,       /* `error` says which */
};

struct opener_opened {
    enum opener_result result;
    int error;                         /* kdnet_error; KDNET_OK but for OPENER_ERROR */
    bool has_header;                   /* version and channel are there */
    uint8_t version, channel;          /* verified or not */
    struct kdnet_datagram datagram;    /* valid when verified; its body until the next opener_open */
    size_t key;                        /* when verified: which of the keys, from 0 */
    struct conversation *conversation; /* when verified; good until the next opener_open */
};

struct opener;

/* NULL: out of memory, or OpenSSL failed. */
struct opener *opener_new(void);
void opener_free(struct opener *opener);

/* Adds a key to try. Returns KDNET_OK or KDNET_ERR_MEMORY. */
int opener_add_key(struct opener *opener, const struct kdnet_key *key);

/* Opens one datagram. Returns false when it is no KDNET datagram; `out` is written only on true. */
bool opener_open(struct opener *opener, const struct capture_datagram *captured, struct opener_opened *out);

/* Returns why it was not verified, a text without a full stop. */
const char *opener_reason(const struct opener_opened *opened);

#endif
