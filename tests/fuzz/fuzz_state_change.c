/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/error.h"
#include "kdnet/wire/machine.h"
#include "kdnet/wire/state_change.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum kdnet_machine machines[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64,
                                                  KDNET_MACHINE_UNKNOWN};
    struct kdnet_state_change change, back;
    if (kdnet_state_change_decode32(data, size, &change) == KDNET_OK) {
        FUZZ_CHECK(change.report_length <= size);
        FUZZ_CHECK(!change.load_symbols.path ||
                   memchr(change.load_symbols.path, 0, change.load_symbols.path_text_length) == NULL);
    }
    if (kdnet_state_change_decode(data, size, &change) != KDNET_OK) {
        FUZZ_CHECK(size < KDNET_STATE_CHANGE_FIXED);
        return 0;
    }
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; ++i) {
        struct kdnet_control_report report;
        kdnet_machine_report(machines[i], change.report, change.report_length, &report);
        FUZZ_CHECK(report.instruction_count <= 16);
        (void)kdnet_machine_is_breakpoint(machines[i], report.instructions, report.instruction_count);
    }
    const struct kdnet_command_string *command = &change.command;
    FUZZ_CHECK(!command->name || (memchr(command->name, 0, command->name_length) == NULL &&
                                  memchr(command->command, 0, command->command_length) == NULL));
    const struct kdnet_load_symbols *load = &change.load_symbols;
    FUZZ_CHECK(!load->path || memchr(load->path, 0, load->path_text_length) == NULL);
    size_t length;
    uint8_t *out = malloc(size);
    FUZZ_CHECK(out && kdnet_state_change_encode(&change, out, size, &length) == KDNET_OK && length == size);
    FUZZ_CHECK(kdnet_state_change_decode(out, length, &back) == KDNET_OK);
    FUZZ_CHECK(kdnet_state_change_is_shutdown(&change) == kdnet_state_change_is_shutdown(&back));
    free(out);
    return 0;
}
