/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/system.h"
#include "service/http/state_internal.h"
#include "service/net/address.h"
#include "service/runtime/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG       512
#define GONE_MS       60000
#define SOCKET_NAME   "kdnetd.sock"
#define DEFAULT_GROUP "kdnetd-operators"
#define SOCKET_MODE   0660
#define NICE          10  /* a flood of requests takes no processor from the wire */
#define FILES_LEAST   64U /* free descriptors needed; otherwise HTTP is left out */

/* Limits. */

bool system_has_files(void)
{
    int files[FILES_LEAST];
    size_t count = 0;
    while (count < FILES_LEAST && (files[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        ++count;
    bool enough = count == FILES_LEAST;
    while (count > 0)
        (void)close(files[--count]);
    return enough;
}

void system_leave_files(struct http_limits *limits)
{
    const rlim_t wanted = 2 * ((rlim_t)limits->connections + limits->local);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    struct rlimit more = {.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted, .rlim_max = files.rlim_max};
    if (files.rlim_cur < more.rlim_cur && setrlimit(RLIMIT_NOFILE, &more) == 0)
        files = more;
    const rlim_t most = files.rlim_cur / 2;
    if (limits->connections > most)
        limits->connections = (unsigned)most;
    if (limits->streams > most)
        limits->streams = (unsigned)most;
}

void system_yield(void)
{
#ifdef __linux__
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
#endif
}

/* Waking. */

bool system_open_wakeup(evutil_socket_t ends[2])
{
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0)
        return true;
    ends[0] = ends[1] = -1;
    return false;
}

void system_wake(const evutil_socket_t ends[2])
{
    while (write(ends[1], "", 1) < 0 && errno == EINTR)
        ;
}

void system_take_wakeup(const evutil_socket_t ends[2])
{
    char bytes[256];
    while (read(ends[0], bytes, sizeof bytes) > 0)
        ;
}

void system_close_wakeup(evutil_socket_t ends[2])
{
    for (int i = 0; i < 2; ++i)
        if (ends[i] >= 0)
            (void)close(ends[i]);
}

/* Listening. */

static bool fail(char *error, const char *what, const char *remedy)
{
    (void)snprintf(error, HTTP_DETAIL_SIZE, "%s: %s; %s", what, strerror(errno), // NOLINT(concurrency-mt-unsafe)
                   remedy);
    return false;
}

evutil_socket_t system_listen(const struct sockaddr *name, char *error)
{
    int on = 1;
    int fd = socket(name->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        (void)fail(error, "no socket", "look at the limits of this service (LimitNOFILE=)");
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (name->sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, name, address_socket_length(name)) != 0 || listen(fd, BACKLOG) != 0) {
        (void)fail(error, "cannot be listened on",
                   "is another kdnetd running, or the address of another computer? Set "
                   "`http: none` where it is not needed");
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* Removes the socket file of an earlier process; a file that somebody listens on, or that is no socket, stays. */
static void remove_leftover(const struct sockaddr_un *name)
{
    struct stat status;
    if (lstat(name->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)name, sizeof *name) != 0 && errno == ECONNREFUSED)
        (void)unlink(name->sun_path);
    (void)close(fd);
}

/* Returns whether there is such a group. */
static bool find_group(const char *name, gid_t *out)
{
    struct group entry, *found = NULL;
    char buffer[16384];
    if (getgrnam_r(name, &entry, buffer, sizeof buffer, &found) != 0 || !found)
        return false;
    *out = found->gr_gid;
    return true;
}

/* Whether a folder gives its group to files made in it. */
static bool gives_group(const char *path)
{
    struct stat status;
    char folder[HTTP_PATH_SIZE];
    (void)snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    return slash && stat(folder[0] != '\0' ? folder : "/", &status) == 0 && (status.st_mode & S_ISGID) != 0;
}

/* Gives the socket to the group; without it, the socket has kdnetd's own group, or its folder's. */
static void give_to_group(const struct endpoint *endpoint)
{
    const char *told = endpoint->http->settings.group, *name = told ? told : DEFAULT_GROUP;
    gid_t group = 0;
    struct log_line line;
    bool known = find_group(name, &group);
    if (known && chown(endpoint->path, (uid_t)-1, group) == 0)
        return;
    if (!told && (!known || gives_group(endpoint->path)))
        return;
    log_begin(&line, CONFIG_LOG_WARNING,
              known ? "http_socket_group: the socket cannot be given to this group; make kdnetd's user a member of it"
                    : "http_socket_group: there is no such group; make it, or name another");
    log_text(&line, "group", name);
    log_text(&line, "socket", endpoint->path);
    log_end(&line);
}

evutil_socket_t system_listen_local(struct endpoint *endpoint, char *error)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct stat status;
    (void)snprintf(name.sun_path, sizeof name.sun_path, "%s", endpoint->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        (void)fail(error, "no socket", "look at the limits of this service (LimitNOFILE=)");
        return -1;
    }
    remove_leftover(&name);
    (void)fchmod(fd, SOCKET_MODE); /* Linux creates the file with this mode: it is never open to others */
    if (bind(fd, (struct sockaddr *)&name, sizeof name) != 0) {
        (void)fail(error, "cannot be listened on",
                   "is another kdnetd running, is its folder there, and may kdnetd's "
                   "user write it? Set http_socket");
        (void)close(fd);
        return -1;
    }
    (void)chmod(endpoint->path, SOCKET_MODE); /* the process may hide more */
    give_to_group(endpoint);
    if (listen(fd, BACKLOG) != 0) {
        (void)fail(error, "cannot be listened on", "set http_socket");
        (void)unlink(endpoint->path);
        (void)close(fd);
        return -1;
    }
    if (lstat(endpoint->path, &status) == 0) {
        endpoint->device = status.st_dev;
        endpoint->inode = status.st_ino;
    }
    return fd;
}

void system_unlink_local(const struct endpoint *endpoint)
{
    struct stat status;
    if (endpoint->local && lstat(endpoint->path, &status) == 0 && (uint64_t)status.st_dev == endpoint->device &&
        (uint64_t)status.st_ino == endpoint->inode)
        (void)unlink(endpoint->path);
}

static bool has_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Finds the first folder that exists. */
bool system_local_path(char out[static HTTP_PATH_SIZE])
{
    const char *folders[] = {getenv("RUNTIME_DIRECTORY"), "/run/kdnetd", // NOLINT(concurrency-mt-unsafe)
                             getenv("XDG_RUNTIME_DIR")};                 // NOLINT(concurrency-mt-unsafe)
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; ++i) {
        int length = folders[i] && has_folder(folders[i]) ? snprintf(out, HTTP_PATH_SIZE, "%s/" SOCKET_NAME, folders[i])
                                                          : 0;
        if (length > 0 && length < HTTP_PATH_SIZE)
            return true;
    }
    return false;
}

void system_close(evutil_socket_t socket)
{
    (void)close(socket);
}

enum system_accepted system_accept(const struct endpoint *endpoint, evutil_socket_t *out)
{
    int on = 1, gone_ms = GONE_MS;
    *out = accept4(endpoint->socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (*out < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
        return SYSTEM_NO_DESCRIPTORS;
    if (*out < 0)
        return errno == EINTR || errno == ECONNABORTED ? SYSTEM_TRY_AGAIN : SYSTEM_NONE_WAITS;
    if (!endpoint->local) {
        (void)setsockopt(*out, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)setsockopt(*out, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone_ms, sizeof gone_ms);
    }
    return SYSTEM_ACCEPTED;
}

void system_name_user(evutil_socket_t socket, char out[static CALL_BY_SIZE])
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t size = sizeof peer;
    struct passwd entry, *found = NULL;
    char buffer[4096];
    (void)snprintf(out, CALL_BY_SIZE, "local");
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return;
    if (getpwuid_r(peer.uid, &entry, buffer, sizeof buffer, &found) == 0 && found)
        (void)snprintf(out, CALL_BY_SIZE, "local:%s", entry.pw_name);
    else
        (void)snprintf(out, CALL_BY_SIZE, "local:%lu", (unsigned long)peer.uid);
}

/* Files. */

static bool is_private(int file, char *error)
{
    struct stat status;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
        (void)snprintf(error, SYSTEM_ERROR_SIZE, "is no ordinary file; name one");
        return false;
    }
    if ((status.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
        (void)snprintf(error, SYSTEM_ERROR_SIZE,
                       "can be read or changed by others (mode %03o); chmod 640 it, and chown it to root:kdnetd",
                       (unsigned)(status.st_mode & 0777));
        return false;
    }
    return true;
}

static bool read_file(int file, char *text, size_t size, size_t *length, char *error)
{
    *length = 0;
    for (;;) {
        ssize_t n = read(file, text + *length, size - *length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            (void)snprintf(error, SYSTEM_ERROR_SIZE, "cannot be read: %s",
                           strerror(errno)); // NOLINT(concurrency-mt-unsafe)
        if (n <= 0)
            return n == 0;
        *length += (size_t)n;
        if (*length == size) {
            (void)snprintf(error, SYSTEM_ERROR_SIZE, "is larger than 1 MiB; take tokens out");
            return false;
        }
    }
}

bool system_read_secret(const char *path, char *text, size_t size, size_t *length, char error[static SYSTEM_ERROR_SIZE])
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    *length = 0;
    if (file < 0) {
        (void)snprintf(error, SYSTEM_ERROR_SIZE, "cannot be opened: %s; check its path, and let kdnetd's user read it",
                       strerror(errno)); // NOLINT(concurrency-mt-unsafe)
        return false;
    }
    bool good = is_private(file, error) && read_file(file, text, size, length, error);
    (void)close(file);
    return good;
}

/* Resources of this process, as in Prometheus' own clients. */

static double boot_seconds(void)
{
    char line[128];
    double seconds = 0;
    FILE *file = fopen("/proc/stat", "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "btime ", 6) == 0)
            seconds = strtod(line + 6, NULL);
    if (file)
        (void)fclose(file);
    return seconds;
}

/* proc(5): after the name in parentheses the fields 3 and on. */
static void read_process(struct system_process *out)
{
    char text[1024] = "";
    FILE *file = fopen("/proc/self/stat", "re");
    size_t length = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        (void)fclose(file);
    text[length] = '\0';
    char *at = strrchr(text, ')'), *rest = NULL;
    for (int field = 3; at && (at = strtok_r(field == 3 ? at + 1 : NULL, " ", &rest)); ++field) {
        double value = strtod(at, NULL);
        if (field == 22)
            out->start_seconds = boot_seconds() + value / (double)sysconf(_SC_CLK_TCK);
        else if (field == 23)
            out->virtual_bytes = value;
        else if (field == 24)
            out->resident_bytes = value * (double)sysconf(_SC_PAGESIZE);
    }
}

static size_t count_descriptors(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder)) // NOLINT(concurrency-mt-unsafe)
        ++count;
    if (folder)
        (void)closedir(folder);
    return count > 3 ? count - 3 : 0; /* . and .. and the folder itself */
}

void system_measure(struct system_process *out)
{
    struct rusage usage = {.ru_maxrss = 0};
    struct rlimit files = {.rlim_cur = 0};
    *out = (struct system_process){.start_seconds = 0};
    (void)getrusage(RUSAGE_SELF, &usage);
    (void)getrlimit(RLIMIT_NOFILE, &files);
    read_process(out);
    out->cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    out->open_files = (double)count_descriptors();
    out->max_files = (double)files.rlim_cur;
}
