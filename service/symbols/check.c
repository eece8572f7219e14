/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/check.h"
#include "service/symbols/path.h"
#include "service/symbols/url.h"

#include <stdlib.h>

#define PLACE_SIZE 1024

const char *symbols_state_path(const char *name, char *out, size_t size)
{
    const char *folder = getenv("STATE_DIRECTORY"); // NOLINT(concurrency-mt-unsafe)
    bool is_drive = folder && folder[0] != '\0' && folder[1] == ':';
    if (!folder || (folder[0] != '/' && !is_drive))
        return NULL;
    int length = snprintf(out, size, "%s/%s", folder, name);
    return length > 0 && (size_t)length < size ? out : NULL;
}

/* Adds a place to a path with kdnetd's options; opens nothing. */
static bool add(struct symbol_path *path, const char *place, char reason[static SYMBOL_REASON_SIZE])
{
    char folder[SYMBOL_PATH_SIZE];
    const struct symbol_path_options options = {
        .cache_directory = symbols_state_path("symbols", folder, sizeof folder)};
    symbol_path_init(path);
    return symbol_path_add(path, place, &options, reason);
}

void symbols_check(const struct kdnetd_config *config, struct config_report *report)
{
    for (size_t i = 0; i < config->symbols.count; ++i) {
        char reason[SYMBOL_REASON_SIZE] = "cannot be understood", place[PLACE_SIZE];
        struct symbol_path path;
        struct config_spot spot = {.file = "symbols", .field = place};
        symbol_url_redact(config->symbols.text[i], place, sizeof place);
        if (!add(&path, config->symbols.text[i], reason))
            config_report_add(report, &spot, "%s", reason);
        symbol_path_clear(&path);
    }
}

bool symbols_check_folders(const struct kdnetd_config *config, struct config_report *report)
{
    size_t before = config_report_count(report);
    for (size_t i = 0; i < config->symbols.count; ++i) {
        char reason[SYMBOL_REASON_SIZE];
        struct symbol_path path;
        (void)add(&path, config->symbols.text[i], reason);
        for (size_t j = 0; j < path.count; ++j) {
            const char *folder = path.sources[j].label;
            struct config_spot spot = {.file = "symbols", .field = folder};
            if (!path.sources[j].fetch && !symbol_path_makes(&path, j) && !store_is_usable(folder, reason))
                config_report_add(report, &spot, "%s; make it, or correct its name", reason);
        }
        symbol_path_clear(&path);
    }
    return config_report_count(report) == before;
}

void symbols_check_warn(const struct kdnetd_config *config, FILE *out)
{
    for (size_t i = 0; i < config->symbols.count; ++i) {
        char reason[SYMBOL_REASON_SIZE];
        struct symbol_path path;
        (void)add(&path, config->symbols.text[i], reason);
        for (size_t j = 0; j < path.count; ++j)
            if (path.sources[j].insecure)
                (void)fprintf(out, "%s: warning: %s\n", path.sources[j].label, SYMBOLS_HTTP_WARNING);
        symbol_path_clear(&path);
    }
}
