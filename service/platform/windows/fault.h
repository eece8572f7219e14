/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault: where an exception ends this program itself, a line of the log says which and where. Windows' own reports are
 * off here (libuv sets SEM_NOGPFAULTERRORBOX), and a service has nobody who would see them.
 */
#ifndef SERVICE_PLATFORM_WINDOWS_FAULT_H
#define SERVICE_PLATFORM_WINDOWS_FAULT_H

#include <stdbool.h>
#include <stddef.h>

/* Writes a whole line of log.h, without the heap and without locks of this program. Thread: one of its own. */
typedef bool fault_write(const char *text, size_t length);

/* From now on. The program ends as before, two seconds later at most when the line cannot be written. */
void fault_watch(fault_write *write);

#endif
