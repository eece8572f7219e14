/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/http_internal.h"
#include "service/net/address.h"
#include "service/runtime/log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ACCEPT_MAX    64 /* connections in one round of the loop */
#define BACKLOG       512
#define PAUSE_MS      200
#define GONE_MS       60000
#define SOCKET_NAME   "kdnetd.sock"
#define DEFAULT_GROUP "kdnetd-operators"
#define SOCKET_MODE   0660

/* Connections. */

static void pause_accepting(struct endpoint *endpoint)
{
    const struct timeval time = {0, PAUSE_MS * 1000L};
    (void)event_del(endpoint->event);
    (void)evtimer_add(endpoint->pause, &time);
}

static void on_pause_over(evutil_socket_t socket, short what, void *user)
{
    struct endpoint *endpoint = user;
    (void)socket, (void)what;
    if (endpoint->socket >= 0)
        (void)event_add(endpoint->event, NULL);
}

static unsigned places(const struct endpoint *endpoint)
{
    const struct http_limits *limits = &endpoint->http->limits;
    return endpoint->local ? limits->local : limits->connections;
}

static void admit(struct endpoint *endpoint, evutil_socket_t socket)
{
    int on = 1, gone_ms = GONE_MS;
    if (!endpoint->local) {
        (void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone_ms, sizeof gone_ms);
    }
    if (endpoint->count >= places(endpoint))
        connection_evict(endpoint);
    if (endpoint->count >= places(endpoint))
        (void)evutil_closesocket(socket); /* all are streams */
    else
        connection_open(endpoint, socket);
}

/* Descriptors are out: the longest idle gives its own. */
static void make_room(struct endpoint *endpoint)
{
    if (!TAILQ_EMPTY(&endpoint->connections))
        connection_evict(endpoint);
    pause_accepting(endpoint);
}

static void on_accept(evutil_socket_t socket, short what, void *user)
{
    struct endpoint *endpoint = user;
    (void)what;
    for (int i = 0; i < ACCEPT_MAX; ++i) {
        int peer = accept4(socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (peer >= 0) {
            admit(endpoint, peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            make_room(endpoint);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

/* Opening. */

static bool fail(char *error, const char *what, const char *remedy)
{
    (void)snprintf(error, HTTP_DETAIL_SIZE, "%s: %s; %s", what, strerror(errno), // NOLINT(concurrency-mt-unsafe)
                   remedy);
    return false;
}

static int open_tcp(const struct endpoint *endpoint, char *error)
{
    struct address address = address_from_config(&endpoint->http->settings.address);
    struct sockaddr_storage name;
    int on = 1;
    address_to_socket(&address, &name);
    socklen_t size = name.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    int fd = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        (void)fail(error, "no socket", "look at the limits of this service (LimitNOFILE=)");
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (name.ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&name, size) != 0 || listen(fd, BACKLOG) != 0) {
        (void)fail(error, "cannot be listened on",
                   "is another kdnetd running, or the address of another computer? Set "
                   "`http: none` where it is not needed");
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* A file that an earlier process left; one that somebody listens on, or that is no socket, stays. */
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

/* The folder of a path gives its group to what is made in it. */
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

/* Without the group it is the socket of kdnetd's own group, or of its folder's. */
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

static int open_local(struct endpoint *endpoint, char *error)
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
    (void)fchmod(fd, SOCKET_MODE); /* Linux gives the file this mode: it is never open to others */
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

static void name_of(const struct endpoint *endpoint, char out[static HTTP_ADDRESS_SIZE])
{
    struct address address = address_from_config(&endpoint->http->settings.address);
    if (endpoint->local)
        (void)snprintf(out, HTTP_ADDRESS_SIZE, "%.79s", endpoint->path);
    else
        address_format(&address, out);
}

static void tell(struct endpoint *endpoint, enum config_log_level level, const char *message, const char *error)
{
    struct log_line line;
    char name[HTTP_ADDRESS_SIZE];
    name_of(endpoint, name);
    log_begin(&line, level, message);
    log_text(&line, endpoint->local ? "socket" : "address", name);
    log_text(&line, "why", error);
    log_end(&line);
}

/* Told once; one that is configured is tried again, and degraded until then. */
static void note_failure(struct endpoint *endpoint, const char *error)
{
    struct http *http = endpoint->http;
    const struct timeval later = {(time_t)(http->limits.retry_ms / 1000),
                                  (suseconds_t)(http->limits.retry_ms % 1000 * 1000)};
    char name[HTTP_ADDRESS_SIZE];
    name_of(endpoint, name);
    if (!endpoint->warned)
        tell(endpoint, CONFIG_LOG_WARNING,
             endpoint->local ? "http_socket: cannot be opened; kdnetd serves its machines without it"
                             : "http: cannot be opened; kdnetd serves its machines without it",
             error);
    endpoint->warned = true;
    if (!endpoint->told)
        return;
    (void)http_set_trouble(http, endpoint->local ? HTTP_TROUBLE_LOCAL : HTTP_TROUBLE_TCP, name, error);
    (void)evtimer_add(endpoint->retry, &later);
}

static void note_success(struct endpoint *endpoint)
{
    (void)http_set_trouble(endpoint->http, endpoint->local ? HTTP_TROUBLE_LOCAL : HTTP_TROUBLE_TCP, "", NULL);
    if (endpoint->warned)
        tell(endpoint, CONFIG_LOG_NOTICE, endpoint->local ? "http_socket: is open now" : "http: is open now", NULL);
    endpoint->warned = false;
}

/* An address that others can reach is not served in the clear. */
static bool may_open(const struct endpoint *endpoint, char *error)
{
    const struct http *http = endpoint->http;
    bool wants_tls = http->settings.tls_cert || http->settings.tls_key;
    if (endpoint->local || http->tls.context || (!wants_tls && endpoint->loopback))
        return true;
    if (wants_tls)
        (void)snprintf(error, HTTP_DETAIL_SIZE, "its certificate cannot be used: %.400s",
                       http->trouble[HTTP_TROUBLE_TLS].why);
    else
        (void)snprintf(error, HTTP_DETAIL_SIZE,
                       "the address is not a loopback address and there is no certificate; set http_tls_cert and "
                       "http_tls_key, or listen on 127.0.0.1");
    return false;
}

static void open_endpoint(struct endpoint *endpoint)
{
    char error[HTTP_DETAIL_SIZE] = "";
    if (!endpoint->wanted || endpoint->socket >= 0)
        return;
    int fd = -1;
    if (may_open(endpoint, error))
        fd = endpoint->local ? open_local(endpoint, error) : open_tcp(endpoint, error);
    if (fd >= 0)
        endpoint->event = event_new(endpoint->http->base, fd, EV_READ | EV_PERSIST, on_accept, endpoint);
    if (fd < 0 || !endpoint->event) {
        if (fd >= 0)
            (void)close(fd);
        note_failure(endpoint, error[0] != '\0' ? error : "out of memory");
        return;
    }
    endpoint->socket = fd;
    (void)event_add(endpoint->event, NULL);
    note_success(endpoint);
}

static void on_retry(evutil_socket_t socket, short what, void *user)
{
    (void)socket, (void)what;
    open_endpoint(user);
}

/* Configuring. */

static void unlink_own(const struct endpoint *endpoint)
{
    struct stat status;
    if (endpoint->local && lstat(endpoint->path, &status) == 0 && (uint64_t)status.st_dev == endpoint->device &&
        (uint64_t)status.st_ino == endpoint->inode)
        (void)unlink(endpoint->path);
}

static void close_socket(struct endpoint *endpoint)
{
    (void)evtimer_del(endpoint->retry);
    (void)evtimer_del(endpoint->pause);
    if (endpoint->socket < 0)
        return;
    event_free(endpoint->event);
    endpoint->event = NULL;
    (void)close(endpoint->socket);
    endpoint->socket = -1;
    unlink_own(endpoint);
}

static void close_connections(struct connection_list *list)
{
    struct connection *c = TAILQ_FIRST(list), *next = NULL;
    for (; c; c = next) {
        next = TAILQ_NEXT(c, idle);
        connection_close(c);
    }
}

static bool has_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* The first of the folders that is there. False: none is. */
static bool find_path(char out[static HTTP_PATH_SIZE])
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

static void configure_local(struct http *http)
{
    struct endpoint *endpoint = &http->local;
    const char *told = http->settings.socket;
    char path[HTTP_PATH_SIZE] = "";
    bool wanted = told ? strcmp(told, "none") != 0 : find_path(path);
    if (told && wanted && strlen(told) >= sizeof path) {
        (void)snprintf(endpoint->path, sizeof endpoint->path, "%.100s", told);
        endpoint->wanted = false;
        note_failure(endpoint, "the path is longer than 107 bytes; take a shorter one");
        return;
    }
    if (told && wanted)
        (void)snprintf(path, sizeof path, "%s", told);
    if (!wanted || strcmp(path, endpoint->path) != 0)
        close_socket(endpoint);
    endpoint->wanted = wanted;
    endpoint->told = told != NULL;
    (void)snprintf(endpoint->path, sizeof endpoint->path, "%s", path);
    if (!wanted)
        (void)http_set_trouble(http, HTTP_TROUBLE_LOCAL, "", NULL);
}

static bool same_address(const struct config_address *a, const struct config_address *b)
{
    return memcmp(a->ip, b->ip, sizeof a->ip) == 0 && a->port == b->port;
}

static void configure_tcp(struct http *http)
{
    static const uint8_t v4[13] = {[10] = 0xff, [11] = 0xff, [12] = 127}, v6[16] = {[15] = 1};
    struct endpoint *endpoint = &http->tcp;
    const struct config_address *address = &http->settings.address;
    if (endpoint->socket >= 0 && !same_address(&endpoint->address, address)) {
        close_socket(endpoint);
        close_connections(&endpoint->connections);
        close_connections(&endpoint->streaming);
    }
    endpoint->address = *address;
    endpoint->loopback = memcmp(address->ip, v4, sizeof v4) == 0 || memcmp(address->ip, v6, sizeof v6) == 0;
    endpoint->wanted = address->port != 0;
    endpoint->told = http->settings.address_told;
    if (!endpoint->wanted)
        (void)http_set_trouble(http, HTTP_TROUBLE_TCP, "", NULL);
}

void endpoints_configure(struct http *http)
{
    configure_local(http);
    configure_tcp(http);
    http->local.warned = http->tcp.warned = false;
    open_endpoint(&http->local);
    open_endpoint(&http->tcp);
}

void endpoint_init(struct endpoint *endpoint, struct http *http, bool local)
{
    endpoint->http = http;
    endpoint->local = local;
    endpoint->socket = -1;
    endpoint->loopback = true;
    TAILQ_INIT(&endpoint->connections);
    TAILQ_INIT(&endpoint->streaming);
    endpoint->retry = evtimer_new(http->base, on_retry, endpoint);
    endpoint->pause = evtimer_new(http->base, on_pause_over, endpoint);
}

void endpoint_close(struct endpoint *endpoint)
{
    close_connections(&endpoint->connections);
    close_connections(&endpoint->streaming);
    if (endpoint->retry && endpoint->pause)
        close_socket(endpoint);
    if (endpoint->retry)
        event_free(endpoint->retry);
    if (endpoint->pause)
        event_free(endpoint->pause);
}
