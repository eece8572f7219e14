/* SPDX-License-Identifier: Apache-2.0 */
/* A targets file is read or refused, and a target that was read has a name and a place. */
#include "config/config.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kdnetd_config config;
    struct config_report report;
    config_init(&config);
    config_report_init(&report);
    bool good = config_load_targets_text((const char *)data, size, "targets", &config, &report);
    FUZZ_CHECK(good == (config_report_count(&report) == 0));
    FUZZ_CHECK(!good || config.target_count > 0);
    (void)config_check(&config, &report);
    for (size_t i = 0; i < config.target_count; ++i) {
        FUZZ_CHECK(config.targets[i].name[0] != '\0' && memchr(config.targets[i].name, '\0', CONFIG_NAME_SIZE));
        FUZZ_CHECK(config.targets[i].place.line > 0);
    }
    config_clear(&config);
    config_report_clear(&report);
    return 0;
}
