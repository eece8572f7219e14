/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program: start-up of each of our programs. posix/program.c or windows/program.c is built.
 */
#ifndef SERVICE_PLATFORM_PROGRAM_H
#define SERVICE_PLATFORM_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Call it first in main. Makes a closed reader of our output an error of the write instead of the program's end.
 * Keeps OpenSSL whole until the process has ended: libraries have threads that nobody waits for.
 * Arguments and output are UTF-8, and output is binary: on Windows the arguments are replaced.
 */
void program_start(int *argc, char ***argv);

/* Returns the signal that asks a program for its summary; 0: the system has no such signal. */
int program_signal_summary(void);

/* Raises the limit of open files to at least `wanted`, as far as permitted. Returns the limit. */
uint64_t program_raise_files(uint64_t wanted);

/*
 * Whether a connected UDP socket receives nothing more after "connection refused": libuv stops receiving then on
 * Windows, and Wine's server no longer watches such a socket.
 */
bool program_refused_is_deaf(void);

#endif
