/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program: what each of our programs wants of its system. posix/program.c or windows/program.c is built.
 */
#ifndef SERVICE_PLATFORM_PROGRAM_H
#define SERVICE_PLATFORM_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Call it first in main. A reader of our output that goes away is an error of the write, and does not end the program.
 * Arguments and output are UTF-8, and output has the bytes that were printed: on Windows the arguments are replaced.
 */
void program_start(int *argc, char ***argv);

/* The signal that asks a program for its summary; 0 where the system has no such signal. */
int program_signal_summary(void);

/* Lets this process have at least `wanted` open files, as far as it may. Returns how many it may have. */
uint64_t program_raise_files(uint64_t wanted);

/*
 * Whether a connected UDP socket that was told "connection refused" hears nothing more: libuv stops receiving after it
 * on Windows, and Wine's server looks at such a socket no more.
 */
bool program_refused_is_deaf(void);

#endif
