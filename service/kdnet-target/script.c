/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnet-target/script.h"
#include "service/kdnet-target/machine_internal.h"

#define PROMPT_TEXT                                                                                                    \
    "*** Assertion failed: Irp->IoStatus.Status != STATUS_PENDING\n***   Source File: driver.c, line 417\n\n"          \
    "Break repeatedly, break Once, Ignore, terminate Process or terminate Thread (boipt)? "

/* clang-format off */
#define CRASH_STEPS                                                                                                    \
    {STEP_START, NULL, 0}, {STEP_CRASH, NULL, 0}, {STEP_PRINT, "KDTARGET: Refreshing KD connection\n", 0},             \
        {STEP_REFRESH, NULL, 0}, {STEP_PRINT_FATAL, NULL, 0}, {STEP_BREAK, NULL, BREAK_STATUS_FIRST},                  \
        {STEP_DUMP, NULL, 0}, {STEP_WRITTEN, NULL, 0}
/* clang-format on */

static const struct step idle[] = {{STEP_START, NULL, 0}, {STEP_END, NULL, 0}};

static const struct step boot[] = {
    {STEP_START, NULL, 0},
    {STEP_PRINT, "BD: Boot Debugger Initialized\n", 0},
    {STEP_LOAD, "winload.efi", 0},
    {STEP_SLEEP, NULL, 5},
    {STEP_FILE, "\\Windows\\system32\\en-US\\winload.efi.MUI", 0},
    {STEP_FILE, "\\Windows\\system32\\config\\system", 0},
    {STEP_FILE, "\\Windows\\system32\\ntoskrnl.exe", 0},
    {STEP_FILE, "\\Windows\\system32\\hal.dll", 0},
    {STEP_PRINT, "*** Windows is unable to verify the signature of\n    the file \\Windows\\system32\\hal.dll.\n", 0},
    {STEP_FILE, "\\Windows\\system32\\kdnet.dll", 0},
    {STEP_FILE, "\\Windows\\System32\\drivers\\CLFS.SYS", 0},
    {STEP_SLEEP, NULL, 50},
    {STEP_BOOT, NULL, KDNET_WHO_NT},
    {STEP_LOAD, "\\SystemRoot\\system32\\ntoskrnl.exe", 0},
    {STEP_LOAD, "\\SystemRoot\\system32\\hal.dll", 0},
    {STEP_FILE, "\\SystemRoot\\System32\\drivers\\disk.sys", 0},
    {STEP_PRINT, "Windows 10 Kernel started\n", 0},
    {STEP_END, NULL, 0},
};

static const struct step bugcheck[] = {
    CRASH_STEPS,           {STEP_UNLOAD_ALL, NULL, 0}, {STEP_REBOOT, NULL, 0}, {STEP_BOOT, NULL, KDNET_WHO_NT},
    {STEP_START, NULL, 0}, {STEP_END, NULL, 0},
};

static const struct step bugcheck_hold[] = {CRASH_STEPS, {STEP_BREAK, NULL, BREAK_STATUS_LAST}, {STEP_END, NULL, 0}};

static const struct step int3[] = {
    {STEP_START, NULL, 0}, {STEP_PRINT, "driver: unexpected state\n", 0}, {STEP_INT3, NULL, 0}, {STEP_END, NULL, 0}};

static const struct step exception[] = {{STEP_START, NULL, 0}, {STEP_FAULT, NULL, 0}, {STEP_END, NULL, 0}};

static const struct step prompt[] = {{STEP_START, NULL, 0}, {STEP_PROMPT, PROMPT_TEXT, 0}, {STEP_END, NULL, 0}};

static const struct step fileio[] = {
    {STEP_START, NULL, 0},  {STEP_FILE, "\\SystemRoot\\System32\\drivers\\acme.sys", 0},
    {STEP_SLEEP, NULL, 20}, {STEP_FILE, "\\SystemRoot\\System32\\drivers\\storport.sys", 0},
    {STEP_END, NULL, 0},
};

/* Code E2: no print, no first break (PROTOCOL section 9, step 5). */
static const struct step e2[] = {
    {STEP_START, NULL, 0},           {STEP_CRASH, NULL, 0},      {STEP_DUMP, NULL, 0},
    {STEP_WRITTEN, NULL, 0},         {STEP_UNLOAD_ALL, NULL, 0}, {STEP_REBOOT, NULL, 0},
    {STEP_BOOT, NULL, KDNET_WHO_NT}, {STEP_START, NULL, 0},      {STEP_END, NULL, 0},
};

static const struct step e2_hold[] = {
    {STEP_START, NULL, 0},
    {STEP_CRASH, NULL, 0},
    {STEP_DUMP, NULL, 0},
    {STEP_WRITTEN, NULL, 0},
    {STEP_BREAK, NULL, BREAK_STATUS_LAST},
    {STEP_END, NULL, 0},
};

/* Nobody is connected when it crashes. */
static const struct step unattended[] = {
    {STEP_DEAF, NULL, 1},    {STEP_ALONE, NULL, 0}, {STEP_CRASH, NULL, 0},  {STEP_DUMP, NULL, 0},
    {STEP_WRITTEN, NULL, 0}, {STEP_DEAF, NULL, 0},  {STEP_REBOOT, NULL, 0}, {STEP_BOOT, NULL, KDNET_WHO_NT},
    {STEP_START, NULL, 0},   {STEP_END, NULL, 0},
};

static const struct step unattended_hold[] = {
    {STEP_DEAF, NULL, 1},
    {STEP_ALONE, NULL, 0},
    {STEP_CRASH, NULL, 0},
    {STEP_DUMP, NULL, 0},
    {STEP_WRITTEN, NULL, 0},
    {STEP_DEAF, NULL, 0},
    {STEP_BREAK, NULL, BREAK_STATUS_LAST},
    {STEP_END, NULL, 0},
};

/* It crashes again while it writes its dump: a bug check in a bug check breaks in with the second status [ros]. */
static const struct step double_crash[] = {
    {STEP_START, NULL, 0},
    {STEP_CRASH, NULL, 0},
    {STEP_PRINT, "KDTARGET: Refreshing KD connection\n", 0},
    {STEP_REFRESH, NULL, 0},
    {STEP_PRINT_FATAL, NULL, 0},
    {STEP_BREAK, NULL, BREAK_STATUS_FIRST},
    {STEP_DUMP, NULL, 0},
    {STEP_BREAK, NULL, BREAK_STATUS_LAST},
    {STEP_END, NULL, 0},
};

static const struct step loader_crash[] = {
    {STEP_START, NULL, 0},
    {STEP_PRINT, "BD: Boot Debugger Initialized\n", 0},
    {STEP_LOAD, "winload.efi", 0},
    {STEP_INT3, NULL, 0},
    {STEP_FAULT, NULL, 0},
    {STEP_REBOOT, NULL, 0},
    {STEP_BOOT, NULL, KDNET_WHO_NT},
    {STEP_START, NULL, 0},
    {STEP_END, NULL, 0},
};

static const struct step hypervisor[] = {
    {STEP_START, NULL, 0}, {STEP_INT3, NULL, 0}, {STEP_FAULT, NULL, 0}, {STEP_END, NULL, 0}};

/* The same int 3 on one processor after the other. */
static const struct step processors[] = {
    {STEP_START, NULL, 0}, {STEP_INT3, NULL, 0}, {STEP_INT3, NULL, 0},
    {STEP_INT3, NULL, 0},  {STEP_INT3, NULL, 0}, {STEP_END, NULL, 0},
};

static const struct step nested[] = {
    {STEP_START, NULL, 0}, {STEP_TRAP, NULL, 4}, {STEP_INT3, NULL, 0}, {STEP_END, NULL, 0}};

static const struct step reset[] = {
    {STEP_START, NULL, 0}, {STEP_RESET, NULL, 4}, {STEP_INT3, NULL, 0}, {STEP_END, NULL, 0}};

static const struct step command[] = {{STEP_START, NULL, 0}, {STEP_COMMAND, "acme!trace", 0}, {STEP_END, NULL, 0}};

static const struct step elsewhere[] = {
    {STEP_START, NULL, 0}, {STEP_SLEEP, NULL, 20}, {STEP_TAKEN, NULL, 0}, {STEP_END, NULL, 0}};

/* State that a former debugger left behind. */
static const struct step single_step[] = {{STEP_START, NULL, 0},
                                          {STEP_TRACED, NULL, 0},
                                          {STEP_PRINT, "driver: goes on\n", 0},
                                          {STEP_TRACED, NULL, 0},
                                          {STEP_END, NULL, 0}};

static const struct step hardware_breakpoint[] = {
    {STEP_START, NULL, 0}, {STEP_TRACED, NULL, 1}, {STEP_PRINT, "driver: goes on\n", 0}, {STEP_END, NULL, 0}};

static const struct step user_int3[] = {
    {STEP_START, NULL, 0}, {STEP_PROGRAM, NULL, KDNET_EXCEPTION_BREAKPOINT}, {STEP_END, NULL, 0}};

static const struct step user_step[] = {
    {STEP_START, NULL, 0}, {STEP_PROGRAM, NULL, KDNET_EXCEPTION_SINGLE_STEP}, {STEP_END, NULL, 0}};

static const struct step user_exception[] = {
    {STEP_START, NULL, 0}, {STEP_PROGRAM, NULL, STATUS_FAULT}, {STEP_END, NULL, 0}};

/* Behaviour of hostile or broken machines. */
static const struct step repeat_break[] = {CRASH_STEPS, {STEP_AGAIN, NULL, 0}, {STEP_END, NULL, 0}};

static const struct step print_storm[] = {{STEP_START, NULL, 0}, {STEP_STORM, NULL, 0}, {STEP_END, NULL, 0}};

static const struct step resend_storm[] = {
    {STEP_START, NULL, 0}, {STEP_BEG, NULL, 0}, {STEP_INT3, NULL, 0}, {STEP_END, NULL, 0}};

static const struct step reboot_storm[] = {
    {STEP_START, NULL, 0}, {STEP_BOOT, NULL, KDNET_WHO_NT}, {STEP_START, NULL, 0}, {STEP_BACK, NULL, 2},
    {STEP_END, NULL, 0},
};

static const struct step crash_storm[] = {
    {STEP_START, NULL, 0}, {STEP_CRASH, NULL, 0}, {STEP_PRINT_FATAL, NULL, 0}, {STEP_BREAK, NULL, BREAK_STATUS_FIRST},
    {STEP_BACK, NULL, 2},  {STEP_END, NULL, 0},
};

static const struct step shutdown_storm[] = {
    {STEP_START, NULL, 0}, {STEP_UNLOAD_ALL, NULL, 0}, {STEP_BOOT, NULL, KDNET_WHO_NT},
    {STEP_START, NULL, 0}, {STEP_BACK, NULL, 3},       {STEP_END, NULL, 0}};

/* It breaks in, and no datagram of the host arrives. */
static const struct step deaf_break[] = {
    {STEP_START, NULL, 0}, {STEP_DEAF, NULL, 1}, {STEP_INT3, NULL, 0}, {STEP_END, NULL, 0}};

static const struct step false_identity[] = {
    {STEP_LIE, NULL, LIE_IDENTITY},  CRASH_STEPS,           {STEP_UNLOAD_ALL, NULL, 0}, {STEP_REBOOT, NULL, 0},
    {STEP_BOOT, NULL, KDNET_WHO_NT}, {STEP_START, NULL, 0}, {STEP_END, NULL, 0},
};

static const struct step false_data[] = {
    {STEP_LIE, NULL, LIE_DATA},      CRASH_STEPS,           {STEP_UNLOAD_ALL, NULL, 0}, {STEP_REBOOT, NULL, 0},
    {STEP_BOOT, NULL, KDNET_WHO_NT}, {STEP_START, NULL, 0}, {STEP_END, NULL, 0},
};

static const struct step endless_lists[] = {
    {STEP_LIE, NULL, LIE_LISTS},     CRASH_STEPS,           {STEP_UNLOAD_ALL, NULL, 0}, {STEP_REBOOT, NULL, 0},
    {STEP_BOOT, NULL, KDNET_WHO_NT}, {STEP_START, NULL, 0}, {STEP_END, NULL, 0},
};

#define BOOT_STEPS                                                                                                     \
    {STEP_REBOOT, NULL, 0}, {STEP_BOOT, NULL, KDNET_WHO_NT}, {STEP_START, NULL, 0},                                    \
    {                                                                                                                  \
        STEP_SLEEP, NULL, 20                                                                                           \
    }

/* Recorded eight times, then crashes while the recordings are played. */
static const struct step stale_pokes[] = {
    {STEP_START, NULL, 0},
    {STEP_SLEEP, NULL, 20},
    BOOT_STEPS,
    BOOT_STEPS,
    BOOT_STEPS,
    BOOT_STEPS,
    BOOT_STEPS,
    BOOT_STEPS,
    BOOT_STEPS,
    {STEP_REPLAY, NULL, 0},
    CRASH_STEPS,
    {STEP_UNLOAD_ALL, NULL, 0},
    {STEP_REBOOT, NULL, 0},
    {STEP_BOOT, NULL, KDNET_WHO_NT},
    {STEP_START, NULL, 0},
    {STEP_END, NULL, 0},
};

/* A bug check that the machine survives; and one after which it restarts silently. */
static const struct step survives[] = {
    {STEP_START, NULL, 0}, {STEP_CRASH, NULL, 0}, {STEP_PRINT_FATAL, NULL, 0}, {STEP_BREAK, NULL, BREAK_STATUS_FIRST},
    {STEP_DUMP, NULL, 0},  {STEP_END, NULL, 0},
};

static const struct step no_last_break[] = {
    CRASH_STEPS,           {STEP_REBOOT, NULL, 0},
    {STEP_SLEEP, NULL, 1}, {STEP_BOOT, NULL, KDNET_WHO_NT},
    {STEP_START, NULL, 0}, {STEP_LOAD, "\\SystemRoot\\system32\\ntoskrnl.exe", 0},
    {STEP_END, NULL, 0},
};

/* An ordinary restart: no crash. */
static const struct step restart[] = {
    {STEP_START, NULL, 0},           {STEP_UNLOAD_ALL, NULL, 0}, {STEP_REBOOT, NULL, 0},
    {STEP_BOOT, NULL, KDNET_WHO_NT}, {STEP_START, NULL, 0},      {STEP_END, NULL, 0},
};

/* After the host asked for a reboot. */
static const struct step reboot[] = {
    {STEP_REBOOT, NULL, 0}, {STEP_BOOT, NULL, KDNET_WHO_NT},
    {STEP_START, NULL, 0},  {STEP_PRINT, "Windows 10 Kernel started\n", 0}, /* the host sees its end, too */
    {STEP_END, NULL, 0},
};

static const struct script scenarios[] = {
    {"idle", idle, NULL, KDNET_WHO_NT, false},
    {"boot", boot, NULL, KDNET_WHO_BOOT, false},
    {"bugcheck", bugcheck, bugcheck_hold, KDNET_WHO_NT, false},
    {"bugcheck-hold", bugcheck_hold, bugcheck_hold, KDNET_WHO_NT, false},
    {"int3", int3, NULL, KDNET_WHO_NT, false},
    {"prompt", prompt, NULL, KDNET_WHO_NT, false},
    {"fileio", fileio, NULL, KDNET_WHO_NT, false},
    {"exception", exception, NULL, KDNET_WHO_NT, false},
    {"e2", e2, e2_hold, KDNET_WHO_NT, true},
    {"unattended", unattended, unattended_hold, KDNET_WHO_NT, false},
    {"double-crash", double_crash, NULL, KDNET_WHO_NT, false},
    {"loader-crash", loader_crash, NULL, KDNET_WHO_BOOT, false},
    {"hypervisor", hypervisor, NULL, KDNET_WHO_HYPERVISOR, false},
    {"processors", processors, NULL, KDNET_WHO_NT, false},
    {"nested", nested, NULL, KDNET_WHO_NT, false},
    {"reset", reset, NULL, KDNET_WHO_NT, false},
    {"command", command, NULL, KDNET_WHO_NT, false},
    {"elsewhere", elsewhere, NULL, KDNET_WHO_NT, false},
    {"single-step", single_step, NULL, KDNET_WHO_NT, false},
    {"hardware-breakpoint", hardware_breakpoint, NULL, KDNET_WHO_NT, false},
    {"user-int3", user_int3, NULL, KDNET_WHO_NT, false},
    {"user-step", user_step, NULL, KDNET_WHO_NT, false},
    {"user-exception", user_exception, NULL, KDNET_WHO_NT, false},
    {"repeat-break", repeat_break, NULL, KDNET_WHO_NT, false},
    {"print-storm", print_storm, NULL, KDNET_WHO_NT, false},
    {"resend-storm", resend_storm, NULL, KDNET_WHO_NT, false},
    {"stale-pokes", stale_pokes, NULL, KDNET_WHO_NT, false},
    {"reboot-storm", reboot_storm, NULL, KDNET_WHO_NT, false},
    {"crash-storm", crash_storm, NULL, KDNET_WHO_NT, false},
    {"shutdown-storm", shutdown_storm, NULL, KDNET_WHO_NT, false},
    {"deaf-break", deaf_break, NULL, KDNET_WHO_NT, false},
    {"false-identity", false_identity, NULL, KDNET_WHO_NT, false},
    {"false-data", false_data, NULL, KDNET_WHO_NT, false},
    {"endless-lists", endless_lists, NULL, KDNET_WHO_NT, false},
    {"survives", survives, NULL, KDNET_WHO_NT, false},
    {"no-last-break", no_last_break, NULL, KDNET_WHO_NT, false},
    {"restart", restart, NULL, KDNET_WHO_NT, false},
    {"mixed", NULL, NULL, KDNET_WHO_NT, false}, /* one of the first SCRIPT_MIXED, drawn */
};

#define SCENARIO_COUNT (sizeof scenarios / sizeof scenarios[0])

const struct script *script_at(size_t index)
{
    return index < SCENARIO_COUNT ? &scenarios[index] : NULL;
}

const struct step *script_reboot(void)
{
    return reboot;
}

const char *machine_scenario_name(size_t index)
{
    return index < SCENARIO_COUNT ? scenarios[index].name : NULL;
}
