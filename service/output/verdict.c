/* SPDX-License-Identifier: Apache-2.0 */
#include "service/output/verdict.h"

#include <stdio.h>
#include <string.h>

static bool is_of_a_crash(const struct kdnet_event_crash_status *status)
{
    return status->phase != KDNET_PHASE_BREAK && status->phase != KDNET_PHASE_BOOT;
}

static const char *not_started_message(const struct kdnet_event_crash_status *status)
{
    if (!is_of_a_crash(status))
        return "machine stopped for its debugger; it has written no crash dump";
    if (status->phase == KDNET_PHASE_BUGCHECK_FIRST)
        return "machine has crashed; its dump is not started yet, it begins when the machine is released";
    if (status->conclusion.source == KDNET_SOURCE_DUMP_BLOCK)
        return "crash dump was never started: no dump is set up on this machine, or its driver is not loaded";
    return "crash dump was never started";
}

static const char *unknown_message(const struct kdnet_event_crash_status *status)
{
    switch (status->phase) {
    case KDNET_PHASE_SHUTDOWN:
        return "machine goes down after its crash; the status of its dump is unknown, reason says why";
    case KDNET_PHASE_BUGCHECK_SECOND:
        return "machine is at the end of its crash and does not restart by itself; the status of its dump is unknown, "
               "reason says why";
    case KDNET_PHASE_BUGCHECK_FIRST:
        return "machine has crashed; the status of its dump is unknown, reason says why";
    case KDNET_PHASE_BREAK:
    case KDNET_PHASE_BOOT:
    default:
        return "machine stopped for its debugger; its crash dump status is unknown, reason says why";
    }
}

const char *verdict_message(const struct kdnet_event_crash_status *status)
{
    switch (status->conclusion.verdict) {
    case KDNET_VERDICT_WRITTEN:
        return "crash dump written";
    case KDNET_VERDICT_NOT_STARTED:
        return not_started_message(status);
    case KDNET_VERDICT_FAILED:
        return is_of_a_crash(status) ? "crash dump failed; status says why"
                                     : "machine stopped for its debugger; status says why its crash dump failed";
    case KDNET_VERDICT_UNKNOWN:
    default:
        return unknown_message(status);
    }
}

enum config_log_level verdict_level(const struct kdnet_event_crash_status *status)
{
    enum kdnet_verdict verdict = status->conclusion.verdict;
    bool good = verdict == KDNET_VERDICT_WRITTEN || verdict == KDNET_VERDICT_NOT_STARTED;
    return good ? CONFIG_LOG_NOTICE : CONFIG_LOG_WARNING;
}

static void hint_at_rva(const struct kdnet_pdb *pdb, char out[static VERDICT_HINT_SIZE])
{
    char guidage[KDNET_GUIDAGE_SIZE] = "GUIDAGE";
    if (pdb)
        kdnet_pdb_guidage(pdb, guidage);
    (void)snprintf(out, VERDICT_HINT_SIZE,
                   "tell kdnetd where %s is in this kernel, if you know: --rva %s:%s=0x..., or rva: in the "
                   "configuration",
                   KDNET_STATUS_SYMBOL, guidage, KDNET_STATUS_SYMBOL);
}

static const char *timeout_hint(const struct kdnet_event_crash_status *status, const char *lookup,
                                char out[static VERDICT_HINT_SIZE])
{
    if (!status->symbols_pending)
        return "the machine answered too slowly; look at loss on its network, or raise read_deadline";
    static const char fetched[] = "symbols are being fetched from "; /* wording of symbols_explain */
    bool by_server = lookup && strncmp(lookup, fetched, sizeof fetched - 1) == 0;
    (void)snprintf(out, VERDICT_HINT_SIZE,
                   "%s%.300s; once they are here, the next break of this kernel has them; raise read_deadline to wait "
                   "longer",
                   by_server ? "" : "symbols are being fetched from the places of symbols: ",
                   lookup ? lookup : "a look-up is under way");
    return out;
}

const char *verdict_hint(const struct kdnet_event_crash_status *status, const struct kdnet_pdb *pdb, const char *lookup,
                         char out[static VERDICT_HINT_SIZE])
{
    switch (status->conclusion.reason) {
    case KDNET_REASON_NO_SYMBOLS:
        hint_at_rva(pdb, out);
        return out;
    case KDNET_REASON_TIMEOUT:
        return timeout_hint(status, lookup, out);
    case KDNET_REASON_LOST:
        return "the machine fell silent while it was read";
    case KDNET_REASON_OVERLOADED:
        return "too many machines were halted at once for the time that this computer has; look at its load, or raise "
               "workers";
    case KDNET_REASON_NONE:
    case KDNET_REASON_SYMBOL_ABSENT:
    case KDNET_REASON_UNREADABLE:
    case KDNET_REASON_NO_KERNEL:
    default:
        return NULL;
    }
}
