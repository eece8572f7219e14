/* SPDX-License-Identifier: Apache-2.0 */
#include "service/server/surroundings.h"
#include "config/store.h"
#include "service/net/address.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#define SERVICE_USER "kdnetd"
#define PATH_SIZE    4096

/* Where the service manager makes a folder for the service at its start (config/kdnetd.service). */
static const char *const made_folders[] = {"/var/log/kdnetd", "/var/lib/kdnetd"};

static struct config_spot spot_of(const struct kdnetd_config *config, const struct config_place *place,
                                  const char *field)
{
    bool is_option = place->source == CONFIG_SOURCE_OPTIONS || place->source >= config->source_count;
    return (struct config_spot){is_option ? "command line" : config->sources[place->source], place->source, place->line,
                                place->column, field};
}

static bool is_any(const uint8_t ip[static 16])
{
    static const uint8_t any[16] = {0}, any_v4[16] = {[10] = 0xff, [11] = 0xff};
    return memcmp(ip, any, sizeof any) == 0 || memcmp(ip, any_v4, sizeof any_v4) == 0;
}

static bool is_loopback_v4(const uint8_t ip[static 16])
{
    static const uint8_t prefix[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    return memcmp(ip, prefix, sizeof prefix) == 0;
}

static bool is_here(const uv_interface_address_t *interfaces, int count, const struct config_address *wanted)
{
    for (int i = 0; i < count; ++i) {
        struct address address = {.port = 0};
        if (address_from_socket((const struct sockaddr *)&interfaces[i].address, &address) &&
            address_same_ip(&address, wanted->ip))
            return true;
    }
    return is_any(wanted->ip) || is_loopback_v4(wanted->ip);
}

/* The wildcard of a listener's port and kind, when it is listened on, too; or NULL. */
static const struct config_listen *find_wildcard(const struct kdnetd_config *config, const struct config_listen *listen)
{
    struct address address = address_from_config(&listen->address);
    for (size_t i = 0; i < config->listen_count; ++i) {
        struct address other = address_from_config(&config->listens[i].address);
        if (&config->listens[i] != listen && other.port == address.port && address_is_any(&other) &&
            address_is_ipv4(&other) == address_is_ipv4(&address))
            return &config->listens[i];
    }
    return NULL;
}

static void check_wildcards(const struct kdnetd_config *config, struct config_report *report)
{
    for (size_t i = 0; i < config->listen_count; ++i) {
        const struct config_listen *listen = &config->listens[i], *wildcard = find_wildcard(config, listen);
        struct address address = address_from_config(&listen->address);
        struct config_spot spot = spot_of(config, &listen->place, "listen");
        char text[ADDRESS_TEXT_SIZE], place[CONFIG_PLACE_SIZE];
        if (!wildcard)
            continue;
        address_format(&address, text);
        config_report_add(report, &spot, "%s is part of the wildcard of its port (%s) already; take one of them out",
                          text, config_store_place(config, &wildcard->place, place));
    }
}

static void check_listens(const struct kdnetd_config *config, struct config_report *report)
{
    uv_interface_address_t *interfaces = NULL;
    int count = 0;
    if (config->freebind || uv_interface_addresses(&interfaces, &count) != 0)
        return;
    for (size_t i = 0; i < config->listen_count; ++i) {
        const struct config_listen *listen = &config->listens[i];
        struct address address = address_from_config(&listen->address);
        struct config_spot spot = spot_of(config, &listen->place, "listen");
        char text[ADDRESS_TEXT_SIZE];
        address_format(&address, text);
        if (!config->freebind && !is_here(interfaces, count, &listen->address))
            config_report_add(report, &spot,
                              "%s is no address of this computer; write one that `ip address` shows, or 0.0.0.0 for "
                              "all; with `freebind: true` it need not be here yet",
                              text);
    }
    uv_free_interface_addresses(interfaces, count);
}

static bool folder_of(const char *path, char folder[static PATH_SIZE])
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (length >= PATH_SIZE)
        return false;
    memcpy(folder, path, length);
    folder[length] = '\0';
    if (length == 0)
        memcpy(folder, slash ? "/" : ".", 2);
    return true;
}

static bool is_made_at_the_start(const char *folder)
{
    for (size_t i = 0; i < sizeof made_folders / sizeof made_folders[0]; ++i)
        if (strcmp(folder, made_folders[i]) == 0)
            return true;
    return false;
}

/* What keeps a result file from being opened, and the remedy; false: nothing. */
static bool find_obstacle(const char *path, char text[static CONFIG_ERROR_SIZE])
{
    struct stat status;
    char folder[PATH_SIZE];
    if (stat(path, &status) == 0) {
        if (S_ISDIR(status.st_mode))
            (void)snprintf(text, CONFIG_ERROR_SIZE, "%.150s is a directory; name a file in it", path);
        else if (access(path, W_OK) != 0)
            (void)snprintf(text, CONFIG_ERROR_SIZE, "%.120s cannot be written: %.40s; let kdnetd's user write it", path,
                           strerror(errno)); // NOLINT(concurrency-mt-unsafe)
        else
            return false;
        return true;
    }
    if (!folder_of(path, folder) || is_made_at_the_start(folder))
        return false;
    if (stat(folder, &status) != 0 || !S_ISDIR(status.st_mode))
        (void)snprintf(text, CONFIG_ERROR_SIZE, "its folder %.150s is not there; make it", folder);
    else if (access(folder, W_OK | X_OK) != 0)
        (void)snprintf(text, CONFIG_ERROR_SIZE, "no file can be made in %.120s: %.40s; let kdnetd's user write there",
                       folder, strerror(errno)); // NOLINT(concurrency-mt-unsafe)
    else
        return false;
    return true;
}

static void check_events(const struct kdnetd_config *config, struct config_report *report)
{
    char text[CONFIG_ERROR_SIZE];
    struct config_spot spot = spot_of(config, &config->set_at[CONFIG_SET_EVENTS], "events");
    if (config->events && strcmp(config->events, "-") != 0 && find_obstacle(config->events, text))
        config_report_add(report, &spot, "%s", text);
}

bool surroundings_check(const struct kdnetd_config *config, struct config_report *report)
{
    size_t before = report->count;
    check_listens(config, report);
    check_wildcards(config, report);
    check_events(config, report);
    config_report_sort(report);
    return report->count == before;
}

/* As the service's user, in a process of its own. */
static void warn_as_user(const struct kdnetd_config *config, FILE *out)
{
    char text[CONFIG_ERROR_SIZE];
    for (size_t i = 1; i < config->source_count; ++i)
        if (access(config->sources[i], R_OK) != 0)
            (void)fprintf(out,
                          "warning: %.300s cannot be read by the service's user " SERVICE_USER
                          "; chown root:" SERVICE_USER " and chmod 640 it\n",
                          config->sources[i]);
    for (size_t i = 0; i < config->symbol_count; ++i)
        if (config->symbols[i][0] == '/' && access(config->symbols[i], F_OK) == 0 &&
            access(config->symbols[i], R_OK | X_OK) != 0)
            (void)fprintf(out, "warning: %.300s cannot be read by the service's user " SERVICE_USER "\n",
                          config->symbols[i]);
    if (config->events && strcmp(config->events, "-") != 0 && find_obstacle(config->events, text))
        (void)fprintf(out, "warning: events: as the service's user " SERVICE_USER ": %s\n", text);
    (void)fflush(out);
}

static bool become(const struct passwd *user)
{
    return initgroups(user->pw_name, user->pw_gid) == 0 && setgid(user->pw_gid) == 0 && setuid(user->pw_uid) == 0;
}

void surroundings_warn(const struct kdnetd_config *config, FILE *out)
{
    const struct passwd *user = geteuid() == 0 ? getpwnam(SERVICE_USER) : NULL; // NOLINT(concurrency-mt-unsafe)
    if (!user)
        return;
    (void)fflush(out);
    pid_t child = fork();
    if (child == 0) {
        if (become(user))
            warn_as_user(config, out);
        _exit(EXIT_SUCCESS);
    }
    if (child > 0)
        (void)waitpid(child, NULL, 0);
}
