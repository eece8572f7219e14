/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug_io: prints and prompts of a target (KD packet type 3).
 *
 * Uses error, wire. Protocol: PROTOCOL.md section 5 [cap, ros].
 */
#ifndef KDNET_DEBUG_IO_H
#define KDNET_DEBUG_IO_H

#include <stddef.h>
#include <stdint.h>

#define KDNET_DEBUG_IO_HEADER 16

enum kdnet_debug_io_api {
    KDNET_DEBUG_IO_PRINT = 0x3230,      /* wants only the ACK */
    KDNET_DEBUG_IO_GET_STRING = 0x3231, /* DbgPrompt: waits for an answer */
};

struct kdnet_debug_io {
    uint32_t api;
    uint16_t processor_level;
    uint16_t processor;
    uint32_t length;      /* LengthOfString, or LengthOfPromptString, as said */
    uint32_t read_length; /* LengthOfStringRead: most bytes of an answer, or its length; stack garbage in a print */
    const char *text;     /* borrowed, not NUL-ended; target text, not to be trusted */
    size_t text_length;   /* bytes that are present */
};

/* Returns KDNET_OK or KDNET_ERR_SHORT (under 16 bytes). A text that claims to exceed the payload is truncated. */
int kdnet_debug_io_decode(const uint8_t *payload, size_t length, struct kdnet_debug_io *out);

/* Returns KDNET_OK or KDNET_ERR_SPACE. */
int kdnet_debug_io_encode(const struct kdnet_debug_io *io, uint8_t *out, size_t size, size_t *length);

#endif
