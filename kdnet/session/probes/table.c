/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of the questions to a halted machine, most important first. On a machine that is far away the path to the
 * dump status comes first. PROTOCOL.md section 7.
 */
#include "kdnet/session/probes/probe_internal.h"

#define BREAK  KDNET_WHEN_BREAK
#define STORM  KDNET_WHEN_STORM
#define LOAD   KDNET_WHEN_KERNEL_LOAD
#define FAR    KDNET_WHEN_FAR
#define PRINTS KDNET_WHEN_PRINTS

const struct kdnet_probe_row kdnet_probe_table[] = {
    {&kdnet_probe_version, BREAK | STORM | LOAD},
    {&kdnet_probe_build_lab, BREAK | FAR | PRINTS | KDNET_WHEN_UNNAMED},
    {&kdnet_probe_image_identity, BREAK | FAR},
    {&kdnet_probe_dump_status, BREAK | FAR},
    {&kdnet_probe_debugger_data, BREAK | STORM | LOAD},
    {&kdnet_probe_context, BREAK | STORM},
    {&kdnet_probe_bugcheck, BREAK | KDNET_WHEN_GOES_DOWN},
    {&kdnet_probe_build_lab, BREAK | LOAD | PRINTS}, /* the build string may identify a known kernel */
    {&kdnet_probe_image_identity, BREAK | LOAD},
    {&kdnet_probe_dump_status, BREAK},
    {&kdnet_probe_build_lab, BREAK},
    {&kdnet_probe_evidence, BREAK},
    {&kdnet_probe_dump_log, BREAK},
    {&kdnet_probe_cause, BREAK},
};

const size_t kdnet_probe_table_rows = sizeof kdnet_probe_table / sizeof kdnet_probe_table[0];
