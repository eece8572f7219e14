/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "service/server/surroundings.h"
#include "config/remedies.h"
#include "config/store.h"
#include "service/net/address.h"
#include "service/platform/platform.h"

#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#define SERVICE_USER "kdnetd"
#define PATH_SIZE    4096

/* Of uv_fs_access: the bits of access(2). */
enum { SEARCHABLE = 1, WRITABLE = 2, READABLE = 4 };

/* Folders that the service manager makes at the service's start (config/kdnetd.service). */
static const char *const made_folders[] = {PLACE_LOG, PLACE_STATE};

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

/* Returns the wildcard listener of a listener's port and family, if there is one, or NULL. */
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
                              "%s is no address of this computer; write one that `" REMEDY_ADDRESSES
                              "` shows, or 0.0.0.0 for "
                              "all; with `freebind: true` it need not be here yet",
                              text);
    }
    uv_free_interface_addresses(interfaces, count);
}

static bool folder_of(const char *path, char folder[static PATH_SIZE])
{
    const char *slash = NULL;
    for (const char *at = path; (at = strpbrk(at, PLACE_SEPARATORS)); ++at)
        slash = at;
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

/* 0 or a UV_ code. */
static int may(const char *path, int mode)
{
    uv_fs_t request;
    int error = uv_fs_access(NULL, &request, path, mode, NULL);
    uv_fs_req_cleanup(&request);
    return error;
}

enum kind { KIND_NONE, KIND_FOLDER, KIND_OTHER };

static enum kind kind_of(const char *path)
{
    uv_fs_t request;
    int error = uv_fs_stat(NULL, &request, path, NULL);
    bool is_folder = error == 0 && (request.statbuf.st_mode & S_IFMT) == S_IFDIR;
    uv_fs_req_cleanup(&request);
    return error != 0 ? KIND_NONE : is_folder ? KIND_FOLDER : KIND_OTHER;
}

/* Finds the obstacle to opening a result file, and the remedy; false: none. */
static bool find_obstacle(const char *path, char text[static CONFIG_ERROR_SIZE])
{
    char folder[PATH_SIZE];
    enum kind kind = kind_of(path);
    int error = kind == KIND_OTHER ? may(path, WRITABLE) : 0;
    if (kind == KIND_FOLDER)
        (void)snprintf(text, CONFIG_ERROR_SIZE, "%.*s is a directory; name a file in it", CHARACTERS(path, 150));
    else if (error != 0)
        (void)snprintf(text, CONFIG_ERROR_SIZE, "%.*s cannot be written: %.*s; let kdnetd's user write it",
                       CHARACTERS(path, 120), CHARACTERS(uv_strerror(error), 40));
    if (kind != KIND_NONE)
        return kind == KIND_FOLDER || error != 0;
    if (!folder_of(path, folder) || is_made_at_the_start(folder))
        return false;
    if (kind_of(folder) != KIND_FOLDER)
        (void)snprintf(text, CONFIG_ERROR_SIZE, "its folder %.*s is not there; make it", CHARACTERS(folder, 150));
    else if ((error = may(folder, WRITABLE | SEARCHABLE)) != 0)
        (void)snprintf(text, CONFIG_ERROR_SIZE, "no file can be made in %.*s: %.*s; let kdnetd's user write there",
                       CHARACTERS(folder, 120), CHARACTERS(uv_strerror(error), 40));
    else
        return false;
    return true;
}

static void check_events(const struct kdnetd_config *config, struct config_report *report)
{
    char text[CONFIG_ERROR_SIZE];
    struct config_spot spot = spot_of(config, &config->set_at[CONFIG_SET_events], "events");
    if (config->events && strcmp(config->events, "-") != 0 && find_obstacle(config->events, text))
        config_report_add(report, &spot, "%s", text);
}

bool surroundings_check(const struct kdnetd_config *config, struct config_report *report)
{
    size_t before = report->count;
    check_listens(config, report);
    check_wildcards(config, report);
    check_events(config, report);
    (void)config_check_nats_files(config, report);
    config_report_sort(report);
    return report->count == before;
}

struct warning {
    const struct kdnetd_config *config;
    FILE *out;
};

/* Runs as the service's user, in a child process. */
static void warn_as_user(void *user)
{
    const struct warning *warning = user;
    const struct kdnetd_config *config = warning->config;
    FILE *out = warning->out;
    char text[CONFIG_ERROR_SIZE];
    for (size_t i = 1; i < config->source_count; ++i)
        if (may(config->sources[i], READABLE) != 0)
            (void)fprintf(
                out, "warning: %.*s cannot be read by the service's user " SERVICE_USER "; " REMEDY_CLOSE_FILE "\n",
                CHARACTERS(config->sources[i], 300));
    for (size_t i = 0; i < config->symbols.count; ++i)
        if (config->symbols.text[i][0] == '/' && kind_of(config->symbols.text[i]) != KIND_NONE &&
            may(config->symbols.text[i], READABLE | SEARCHABLE) != 0)
            (void)fprintf(out, "warning: %.*s cannot be read by the service's user " SERVICE_USER "\n",
                          CHARACTERS(config->symbols.text[i], 300));
    if (config->events && strcmp(config->events, "-") != 0 && find_obstacle(config->events, text))
        (void)fprintf(out, "warning: events: as the service's user " SERVICE_USER ": %s\n", text);
    (void)fflush(out);
}

void surroundings_warn(const struct kdnetd_config *config, FILE *out)
{
    (void)fflush(out);
    platform_as_service_user(SERVICE_USER, warn_as_user, &(struct warning){config, out});
}
