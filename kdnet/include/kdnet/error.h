/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error: all error codes of libkdnet, with a text for each.
 *
 * Functions return KDNET_OK (0) or one of these negative codes. Values come out through pointers, written only on
 * KDNET_OK. A caller treats all codes of one family alike:
 *
 *   drop     not addressed to this session, or damaged: count the datagram and forget it; nothing has changed.
 *   resync   authentic but out of step: the session recovers by itself; nothing to do.
 *   give up  memory or OpenSSL failed: close this session, never the service.
 */
#ifndef KDNET_ERROR_H
#define KDNET_ERROR_H

#include "kdnet/header.h"

KDNET_HEADER_BEGIN

/* X(name, value, family, text) */
#define KDNET_ERROR_MAP(X)                                                                                             \
    X(SHORT, -1, KDNET_FAMILY_DROP, "too short for what it claims to be")                                              \
    X(MAGIC, -2, KDNET_FAMILY_DROP, "does not start with MDBG")                                                        \
    X(VERSION, -3, KDNET_FAMILY_DROP, "unknown protocol version or channel")                                           \
    X(LENGTH, -4, KDNET_FAMILY_DROP, "length is not possible for this kind of message")                                \
    X(AUTH, -5, KDNET_FAMILY_DROP, "wrong key or damaged")                                                             \
    X(FORMAT, -6, KDNET_FAMILY_DROP, "authentic, but its content is not understood")                                   \
    X(KEY, -7, KDNET_FAMILY_DROP, "not a key: four base-36 parts of at most 64 bits, w.x.y.z")                         \
    X(CHECKSUM, -8, KDNET_FAMILY_RESYNC, "the packet's checksum is wrong")                                             \
    X(REPEAT, -9, KDNET_FAMILY_RESYNC, "seen before")                                                                  \
    X(STATE, -10, KDNET_FAMILY_RESYNC, "does not fit the state of the session")                                        \
    X(SPACE, -11, KDNET_FAMILY_GIVE_UP, "the caller's buffer is too small")                                            \
    X(MEMORY, -12, KDNET_FAMILY_GIVE_UP, "out of memory")                                                              \
    X(CRYPTO, -13, KDNET_FAMILY_GIVE_UP, "OpenSSL failed")                                                             \
    X(RANDOM, -14, KDNET_FAMILY_GIVE_UP, "no random bytes to be had")

enum kdnet_error_family {
    KDNET_FAMILY_NONE, /* KDNET_OK */
    KDNET_FAMILY_DROP,
    KDNET_FAMILY_RESYNC,
    KDNET_FAMILY_GIVE_UP,
};

#define KDNET_ERROR_ENUM(name, value, family, text) KDNET_ERR_##name = (value),
enum kdnet_error { KDNET_OK = 0, KDNET_ERROR_MAP(KDNET_ERROR_ENUM) };
#undef KDNET_ERROR_ENUM

/* Returns the English text of a code, without a full stop. Never NULL; unknown codes have a text too. */
const char *kdnet_error_text(int code);

/* Returns the family of a code; unknown codes belong to "give up". */
enum kdnet_error_family kdnet_error_family(int code);

KDNET_HEADER_END

#endif
