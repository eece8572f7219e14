/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/reads.h"
#include "kdnet/assessment.h"

#include <stdio.h>
#include <string.h>

/* Each read means what its name says and no more [inf where nothing is cited]. */
static const struct {
    const char *name, *symbol;
    uint8_t steps;
    enum kdnet_read_kind kind;
    bool once;
} defaults[] = {
    {"auto_reboot", "IopAutoReboot", 0, KDNET_READ_U32, false}, /* 1: reboots by itself after the dump */
    {"dump_initialized", "CrashdmpInitialized", 0, KDNET_READ_U8, false},
    {"dump_block", KDNET_DUMP_BLOCK_SYMBOL, 0, KDNET_READ_POINTER, false}, /* null: no dump is set up */
    {"dump_driver_base", KDNET_DUMP_DRIVER_SYMBOL, 0, KDNET_READ_POINTER,
     false},                                                                 /* null: the dump driver is not loaded */
    {"dump_progress", KDNET_DUMP_PROGRESS_SYMBOL, 0, KDNET_READ_U32, false}, /* percent last shown on the screen */
    {"force_dump_disabled", "ForceDumpDisabled", 0, KDNET_READ_U32, true},
    {"allow_crash_dump", "AllowCrashDump", 0, KDNET_READ_U32, true},
    {"bugcheck_active", "KiBugCheckActive", 0, KDNET_READ_U32, false},
    {"bugcheck_driver", "KiBugCheckDriver", 1, KDNET_READ_UNICODE, false}, /* the driver blamed; null: none */
    {"boot_time", "KeBootTime", 0, KDNET_READ_U64, false},                 /* FILETIME [doc] */
    {"processors", "KeNumberProcessors", 0, KDNET_READ_U8, true},          /* a CCHAR [doc: ntddk.h] */
    {"build_lab_ex", "NtBuildLabEx", 0, KDNET_READ_STRING, true},
    {"safe_boot", "InitSafeBootMode", 0, KDNET_READ_U32, true}, /* 0: no safe mode [doc: ntddk.h] */
    {"global_flag", "NtGlobalFlag", 0, KDNET_READ_U32, true},   /* gflags [doc] */
};

_Static_assert(sizeof defaults / sizeof defaults[0] + CONFIG_READS_MAX <= KDNET_READS_MAX, "all reads have room");

static bool is_reported(const struct kdnetd_config *config, const char *name)
{
    for (size_t i = 0; i < config->read_count; ++i)
        if (strcmp(config->reads[i].read.name, name) == 0)
            return true;
    return false;
}

static void add_default(struct kdnet_reads *reads, size_t i)
{
    struct kdnet_read *read = &reads->read[reads->count++];
    *read = (struct kdnet_read){.module = "nt", .steps = defaults[i].steps, .once = defaults[i].once};
    read->kind = (uint8_t)defaults[i].kind;
    (void)snprintf(read->name, sizeof read->name, "%s", defaults[i].name);
    (void)snprintf(read->symbol, sizeof read->symbol, "%s", defaults[i].symbol);
}

void reads_make(struct kdnet_reads *reads, const struct kdnetd_config *config)
{
    ++reads->version;
    reads->count = 0;
    for (size_t i = 0; i < config->read_count && reads->count < KDNET_READS_MAX; ++i)
        reads->read[reads->count++] = config->reads[i].read;
    for (size_t i = 0; config->default_reads && config->symbols.count > 0 && i < sizeof defaults / sizeof defaults[0] &&
                       reads->count < KDNET_READS_MAX;
         ++i)
        if (!is_reported(config, defaults[i].name))
            add_default(reads, i);
}
