/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state_change: what a target says when it halts (KD packet type 7; type 1 on old 32-bit kernels).
 *
 * Uses error, wire. Protocol: PROTOCOL.md section 5 [cap, ros]. Every state change stops the machine until it is
 * continued.
 */
#ifndef KDNET_STATE_CHANGE_H
#define KDNET_STATE_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_STATE_CHANGE_FIXED    192 /* all but the control report */
#define KDNET_STATE_CHANGE32_FIXED  104 /* the same of a 32-bit one */
#define KDNET_STATE_CHANGE_SIZE     240 /* with the largest report, x64's */
#define KDNET_EXCEPTION_PARAMETERS  15
#define KDNET_EXCEPTION_BREAKPOINT  0x80000003U /* STATUS_BREAKPOINT */
#define KDNET_EXCEPTION_SINGLE_STEP 0x80000004U
#define KDNET_EXCEPTION_WX86_BREAK  0x4000001fU /* STATUS_WX86_BREAKPOINT */
#define KDNET_EXCEPTION_WX86_STEP   0x4000001eU /* STATUS_WX86_SINGLE_STEP */

enum kdnet_new_state {
    KDNET_STATE_EXCEPTION = 0x3030,
    KDNET_STATE_LOAD_SYMBOLS = 0x3031,
    KDNET_STATE_COMMAND_STRING = 0x3032,
};
#define KDNET_STATE_ALTERNATE 0x10000U /* flag of an alternate form: bits 15…0 say which state it is [ros] */

struct kdnet_exception {
    uint32_t code;
    uint32_t flags;
    uint64_t record;
    uint64_t address;
    uint32_t parameter_count; /* as said; may be over 15 in a hostile packet */
    uint64_t parameters[KDNET_EXCEPTION_PARAMETERS];
    uint32_t first_chance; /* nonzero: first */
};

struct kdnet_load_symbols {
    uint32_t path_length; /* with its NUL */
    uint64_t base;        /* BaseOfDll */
    uint64_t process_id;
    uint32_t checksum;
    uint32_t image_size;
    bool unload;
    const char *path;        /* borrowed, not NUL-ended; target text, not to be trusted */
    size_t path_text_length; /* without the NUL */
};

/* What DbgCommandString hands to the debugger [ros]. */
struct kdnet_command_string {
    uint32_t flags;
    const char *name, *command; /* borrowed, not NUL-ended; target text, not to be trusted; NULL: not there */
    size_t name_length, command_length;
};

struct kdnet_state_change {
    uint32_t new_state; /* enum kdnet_new_state, or something else */
    uint16_t processor_level;
    uint16_t processor;
    uint32_t processor_count;
    uint64_t thread;
    uint64_t program_counter;
    struct kdnet_exception exception;       /* valid when new_state is exception */
    struct kdnet_load_symbols load_symbols; /* valid when new_state is load symbols */
    struct kdnet_command_string command;    /* valid when new_state is command string */
    const uint8_t *report;                  /* control report and what follows; borrowed */
    size_t report_length;
    uint8_t raw[KDNET_STATE_CHANGE_FIXED]; /* the fixed part as received: unused bytes are stack garbage */
};

/*
 * Reads the payload of a state change 64 packet.
 *
 * Returns KDNET_OK or KDNET_ERR_SHORT (under 192 bytes). A path that is longer than the payload is cut to what is
 * there. An unknown new_state is not an error: the machine is halted all the same.
 */
int kdnet_state_change_decode(const uint8_t *payload, size_t length, struct kdnet_state_change *out);

/*
 * The same for a state change 32 packet, of kernels older than KDNET [ros: DBGKD_WAIT_STATE_CHANGE32 of the public
 * windbgkd.h]. Addresses come sign-extended; `raw` is all zero behind its 104 bytes. KDNET_ERR_SHORT: under 104 bytes.
 */
int kdnet_state_change_decode32(const uint8_t *payload, size_t length, struct kdnet_state_change *out);

/*
 * Writes a payload: raw, with all known fields over it, then the report (which includes the path).
 * Returns KDNET_OK or KDNET_ERR_SPACE.
 */
int kdnet_state_change_encode(const struct kdnet_state_change *change, uint8_t *out, size_t size, size_t *length);

/* Whether this is the unload of all symbols that goes before a reboot or shutdown (BaseOfDll -1, ProcessId 0). */
bool kdnet_state_change_is_shutdown(const struct kdnet_state_change *change);

#endif
