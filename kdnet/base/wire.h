/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire: integers as bytes, in both byte orders, at any alignment.
 *
 * These functions do not check lengths: each decoder checks its structure's length once, then reads at the offsets of
 * PROTOCOL.md. Everything in a KDNET envelope is big-endian, everything of KD little-endian.
 */
#ifndef KDNET_WIRE_H
#define KDNET_WIRE_H

#include <stdint.h>

static inline uint16_t kdnet_get_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t kdnet_get_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t kdnet_get_le64(const uint8_t *p)
{
    return (uint64_t)kdnet_get_le32(p) | (uint64_t)kdnet_get_le32(p + 4) << 32;
}

static inline uint16_t kdnet_get_be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t kdnet_get_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static inline uint64_t kdnet_get_be64(const uint8_t *p)
{
    return (uint64_t)kdnet_get_be32(p) << 32 | kdnet_get_be32(p + 4);
}

static inline void kdnet_put_le16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

static inline void kdnet_put_le32(uint8_t *p, uint32_t value)
{
    for (int i = 0; i < 4; ++i)
        p[i] = (uint8_t)(value >> (8 * i));
}

static inline void kdnet_put_le64(uint8_t *p, uint64_t value)
{
    for (int i = 0; i < 8; ++i)
        p[i] = (uint8_t)(value >> (8 * i));
}

static inline void kdnet_put_be16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

/* Written out byte by byte: compilers make one instruction of this form, but not of a loop. */
static inline void kdnet_put_be32(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 24);
    p[1] = (uint8_t)(value >> 16);
    p[2] = (uint8_t)(value >> 8);
    p[3] = (uint8_t)value;
}

static inline void kdnet_put_be64(uint8_t *p, uint64_t value)
{
    kdnet_put_be32(p, (uint32_t)(value >> 32));
    kdnet_put_be32(p + 4, (uint32_t)value);
}

#endif
