/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script: what happens to a simulated machine, step by step (PROTOCOL.md section 9).
 */
#ifndef SERVICE_TARGET_SCRIPT_H
#define SERVICE_TARGET_SCRIPT_H

#include "kdnet/wire/manipulate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCRIPT_MIXED 8U /* the first of the list are drawn from by `mixed` */

enum step_kind {
    STEP_START, /* waits for delay_ms and a connection */
    STEP_PRINT,
    STEP_PRINT_FATAL,
    STEP_LOAD, /* load symbols of an image */
    STEP_INT3,
    STEP_FAULT,
    STEP_BREAK, /* DbgBreakPointWithStatus(value) */
    STEP_UNLOAD_ALL,
    STEP_FILE,
    STEP_PROMPT,
    STEP_REFRESH, /* KDNET sets itself up again */
    STEP_CRASH,   /* KiBugCheckData is filled */
    STEP_DUMP,    /* silent */
    STEP_WRITTEN, /* IopFinalCrashDumpStatus gets its final value */
    STEP_SLEEP,   /* value ms */
    STEP_REBOOT,  /* silent */
    STEP_COMMAND, /* a command string for the debugger */
    STEP_TRAP,    /* breaks in again while being asked, at request `value` */
    STEP_RESET,   /* restarts while being asked, at request `value` */
    STEP_DEAF,    /* value 1: no datagram of the host arrives; 0: they arrive again */
    STEP_ALONE,   /* waits for delay_ms, and for nobody */
    STEP_TAKEN,   /* another host takes the machine */
    STEP_BOOT,    /* a kernel starts: new random, new base, ids from the beginning */
    STEP_TRACED,  /* a former debugger's: 0 single step, 1 hardware breakpoint */
    STEP_PROGRAM, /* an exception of a program, with code `value` */
    STEP_AGAIN,   /* a repeating break, at another place than BreakpointWithStatus */
    STEP_STORM,   /* prints fatal errors, each with another code */
    STEP_BEG,     /* from now on sends repeated RESENDs while halted */
    STEP_BACK,    /* goes `value` steps back, at the storm's rate, until the count is reached */
    STEP_LIE,     /* from now on its memory lies in these ways (enum lie) */
    STEP_REPLAY,  /* the first poke of each boot so far is sent again and again, by somebody else, from now on */
    STEP_END,
};

/* Lies of a machine's memory, bits. */
enum lie {
    LIE_IDENTITY = 1, /* the kernel's directory names another PDB than its version's */
    LIE_DATA = 2,     /* its debugger data is elsewhere */
    LIE_LISTS = 4,    /* the list of modules and the blamed driver's name have no end */
};

struct step {
    enum step_kind kind;
    const char *text;
    uint32_t value;
};

struct script {
    const char *name;
    const struct step *steps, *without_reboot; /* without_reboot: used with automatic reboot off, where that matters */
    enum kdnet_who who;                        /* whose debugger speaks first */
    bool manual;                               /* a crash by hand */
};

/* Returns the n-th script; NULL from the end on. One without steps is drawn at random. */
const struct script *script_at(size_t index);

/* After the host asked for a reboot. */
const struct step *script_reboot(void);

#endif
