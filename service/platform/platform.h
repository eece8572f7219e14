/* SPDX-License-Identifier: Apache-2.0 */
/*
 * platform: differences between operating systems; one file of each row is built.
 *
 *   posix/posix.c | windows/windows.c                                                  standard error, files, sockets
 *   systemd/notify_systemd.c | posix/notify_none.c | windows/notify_windows.c          the service manager
 */
#ifndef SERVICE_PLATFORM_H
#define SERVICE_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct steer;

/* Once, at the start, after program_start: a limit to the size of files must not end us; files are not for everybody.
 */
void platform_prepare(void);

/* No core files, and no debugger of another process of this user: keys are in memory. */
void platform_hide_memory(void);

/* Ends the process now: neither threads that hang nor what is to be done at its end are waited for. The service manager
 * is told that it has stopped, and its log has what was logged. */
_Noreturn void platform_end(int status);

/* Writes a line to standard error, if it can be written without waiting. False: nothing was written. */
bool platform_write_log(const char *text, size_t length);

/* Whether lines of the log go to standard error. False: to a log of this system, and nobody reads standard error. */
bool platform_log_is_stderr(void);

enum platform_socket {
    PLATFORM_SHARED = 1,   /* others of our sockets may be bound to the same address (SO_REUSEPORT) */
    PLATFORM_BESIDE = 2,   /* other sockets that allow it may have the port at an overlapping address (SO_REUSEADDR) */
    PLATFORM_FREEBIND = 4, /* this computer need not have the address yet */
};

/* A UDP socket, bound; `how`: of enum platform_socket. Returns 0 or a UV_ code. */
int platform_udp_socket(const struct sockaddr *local, unsigned how, uv_os_sock_t *out);

void platform_close_socket(uv_os_sock_t socket);

/* Whether others may be bound to the socket's address (SO_REUSEADDR). */
void platform_set_reuse(uv_os_fd_t descriptor, bool allowed);

/* Makes a socket report the destination address of each datagram. False: this system cannot. */
bool platform_report_local(uv_os_fd_t descriptor, bool ipv4);

/* Finds the source address that datagrams to `to` would have now; false: none. Sends nothing. A few system calls. */
bool platform_source_of(const struct sockaddr_storage *to, struct sockaddr_storage *source);

/* Whether sockets can share an address, so that each worker has its own. False: only worker 0 has one; the others
 * send through it (platform_udp_lend), and get their datagrams forwarded. */
bool platform_can_share(void);

/* Gives a handle a duplicate of a socket that another loop receives from, for sending. Returns 0 or a UV_ code. */
int platform_udp_lend(uv_udp_t *udp, uv_os_sock_t socket);

/* Raises this process's limit of open files as far as permitted. */
void platform_raise_limits(void);

/* How many more descriptors can be opened, up to `most`. */
size_t platform_spare_descriptors(size_t most);

/*
 * Makes the kernel give each datagram to its worker's socket (steer.h), among all sockets that share this one's
 * address: the first bound socket is worker 0's, and so on. False: impossible; datagrams arrive anywhere.
 */
bool platform_steer(uv_os_sock_t socket, const struct steer *steer, bool ipv4);

/*
 * Asks for a receive buffer of `bytes` for a socket, beyond the system's limit where permitted. Returns the bytes that
 * the kernel grants; 0: unknown.
 */
size_t platform_receive_buffer(uv_os_fd_t descriptor, size_t bytes);

/* Returns how many datagrams the kernel dropped since the socket was opened, for lack of buffer; 0 also when
 * unknown. */
uint32_t platform_receive_drops(uv_os_fd_t descriptor);

/* Flags for uv_fs_open of the result file: append, create, not inherited, never waiting. */
int platform_append_flags(void);

/* Flags for uv_fs_open of a file that is only read: not inherited, never blocking. */
int platform_read_flags(void);

/* Returns a path that opens standard output again. */
const char *platform_stdout_path(void);

/*
 * Waits until a pipe or socket is writable, or its reader is gone; timeout_ms at most. Returns whether a write of 4,096
 * bytes would not block.
 */
bool platform_wait_writable(uv_file file, int timeout_ms);

/*
 * Calls `call` as the service's user, in a child process, and waits for it. Does nothing when we may not become that
 * user, or there is no such user.
 */
void platform_as_service_user(const char *name, void (*call)(void *user), void *user);

/* Resident memory of this process in bytes; 0: not known. */
size_t platform_memory(void);

/* Returns freed memory from the C library to the system. Cost: milliseconds; for the start. */
void platform_trim_memory(void);

/* READY=1, and so on; no service manager: nothing happens. */
void platform_notify_ready(void);
void platform_notify_reloading(void);           /* to be followed by platform_notify_ready */
void platform_notify_stopping(unsigned for_ms); /* the end takes so long at most */
void platform_notify_status(const char *text);
void platform_notify_alive(void);

/* Asks the service manager to keep a socket under a name, and hand it over at the next start (inherited.h); ends
 * that. */
void platform_notify_keep(const char *name, uv_os_sock_t socket);
void platform_notify_forget(const char *name);

/* Says that another process of the service is its main one from now on. False: no service manager listens. */
bool platform_notify_main(int64_t process);

/* Whether a service manager accepts another main process: not in a container whose first process is this one. */
bool platform_is_managed(void);

/* The watchdog's interval in microseconds; 0: nobody watches. */
uint64_t platform_watchdog_us(void);

#endif
