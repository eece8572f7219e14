/* SPDX-License-Identifier: Apache-2.0 */
/*
 * platform: what differs between operating systems; one file of each row is built.
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

/* Writes a line to standard error if that takes it now. False: it does not; nothing was written. */
bool platform_write_log(const char *text, size_t length);

/* Whether lines of the log go to standard error. False: to a log of this system, and nobody reads standard error. */
bool platform_log_is_stderr(void);

enum platform_socket {
    PLATFORM_SHARED = 1,   /* others of ours may be bound to the same address (SO_REUSEPORT) */
    PLATFORM_BESIDE = 2,   /* others that allow it may have its port at an address that overlaps (SO_REUSEADDR) */
    PLATFORM_FREEBIND = 4, /* this computer need not have the address yet */
};

/* A UDP socket, bound; `how`: of enum platform_socket. Returns 0 or a UV_ code. */
int platform_udp_socket(const struct sockaddr *local, unsigned how, uv_os_sock_t *out);

void platform_close_socket(uv_os_sock_t socket);

/* Whether others may be bound to the socket's address (SO_REUSEADDR). */
void platform_set_reuse(uv_os_fd_t descriptor, bool allowed);

/* Datagrams of a socket come with the address that they were sent to. False: this system does not tell. */
bool platform_report_local(uv_os_fd_t descriptor, bool ipv4);

/* The address that datagrams to `to` would come from now; false: there is none. Nothing is sent. A few system calls. */
bool platform_source_of(const struct sockaddr_storage *to, struct sockaddr_storage *source);

/* Whether sockets can share an address, so that each worker has one. False: worker 0 has the only one; the others send
 * with it (platform_udp_lend), and are passed what is for them. */
bool platform_can_share(void);

/* Gives a handle the duplicate of a socket that another loop receives from, to send with. Returns 0 or a UV_ code. */
int platform_udp_lend(uv_udp_t *udp, uv_os_sock_t socket);

/* Lets this process open as many files as it may. */
void platform_raise_limits(void);

/* How many more descriptors can be opened, up to `most`. */
size_t platform_spare_descriptors(size_t most);

/*
 * Lets the kernel give each datagram to the socket of its worker (steer.h), among all that share the address of this
 * one: the first that was bound is worker 0's, and so on. False: it cannot; datagrams arrive anywhere.
 */
bool platform_steer(uv_os_sock_t socket, const struct steer *steer, bool ipv4);

/*
 * Asks for a receive buffer of `bytes` for a socket, beyond the system's limit where we are allowed to.
 * Returns the bytes that the kernel takes into account; 0: not known.
 */
size_t platform_receive_buffer(uv_os_fd_t descriptor, size_t bytes);

/* How many datagrams the kernel has dropped since the socket was opened, for want of room in its buffer; 0 also when
 * it does not say. */
uint32_t platform_receive_drops(uv_os_fd_t descriptor);

/* Flags for uv_fs_open of the result file: append, create, not inherited, never waiting. */
int platform_append_flags(void);

/* Flags for uv_fs_open of a file that is only read: not inherited, never waiting. */
int platform_read_flags(void);

/* A path that opens standard output anew. */
const char *platform_stdout_path(void);

/*
 * Waits until a pipe or socket can be written to, or its reader is gone; timeout_ms at most.
 * Returns whether a write of 4,096 bytes would not wait.
 */
bool platform_wait_writable(uv_file file, int timeout_ms);

/*
 * Calls `call` as the user that the service runs as, in a process of its own, and waits for it. It does nothing when
 * we may not become that user, or there is no such user here.
 */
void platform_as_service_user(const char *name, void (*call)(void *user), void *user);

/* Resident memory of this process in bytes; 0: not known. */
size_t platform_memory(void);

/* Gives memory that was freed back to the system, where the C library keeps it. Cost: milliseconds; for the start. */
void platform_trim_memory(void);

/* READY=1, and so on; no service manager: nothing happens. */
void platform_notify_ready(void);
void platform_notify_reloading(void); /* to be followed by platform_notify_ready */
void platform_notify_stopping(void);
void platform_notify_status(const char *text);
void platform_notify_alive(void);

/* Lets the service manager keep a socket under a name, and hand it over at the next start (inherited.h); ends that. */
void platform_notify_keep(const char *name, uv_os_sock_t socket);
void platform_notify_forget(const char *name);

/* The watchdog's interval in microseconds; 0: nobody watches. */
uint64_t platform_watchdog_us(void);

#endif
