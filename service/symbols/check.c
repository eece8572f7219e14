/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/check.h"
#include "service/symbols/path.h"

void symbols_check(const struct kdnetd_config *config, struct config_report *report)
{
    const struct symbol_path_options options = {.cache_directory = "."};
    for (size_t i = 0; i < config->symbol_count; ++i) {
        char reason[SYMBOL_REASON_SIZE] = "cannot be understood";
        struct symbol_path path;
        struct config_spot spot = {.file = "symbols", .field = config->symbols[i]};
        symbol_path_init(&path);
        if (!symbol_path_add(&path, config->symbols[i], &options, reason))
            config_report_add(report, &spot, "%s", reason);
        symbol_path_clear(&path);
    }
}
