/* SPDX-License-Identifier: Apache-2.0 */
/* What can happen to a simulated machine: scripts of steps (PROTOCOL.md section 9), and the engine that plays them. */
#include "kdnet/debug_io.h"
#include "kdnet/error.h"
#include "kdnet/file_io.h"
#include "kdnet/wire.h"
#include "service/target/internal.h"

#include <stdio.h>
#include <string.h>

#define PAYLOAD_SIZE   KDNET_PACKET_PAYLOAD_MAX
#define US_PER_MS      1000U
#define DRIVER_TRAP    0x1500U /* int 3 of the driver */
#define DRIVER_FAULT   0x1234U
#define IMAGE_SIZE     0xa00000U
#define PROMPT_MAXIMUM 16
#define STATUS_FAULT   0xc0000005U
#define MIXED_COUNT    8U
#define MANUAL_CRASH   0xe2U

enum step_kind {
    STEP_START, /* waits for delay_ms and a connection */
    STEP_PRINT,
    STEP_PRINT_FATAL,
    STEP_LOAD, /* load symbols of an image */
    STEP_INT3,
    STEP_FAULT,
    STEP_BREAK, /* DbgBreakPointWithStatus(value) */
    STEP_UNLOAD_ALL,
    STEP_FILE,
    STEP_PROMPT,
    STEP_REFRESH, /* KDNET sets itself up again */
    STEP_CRASH,   /* KiBugCheckData is filled */
    STEP_DUMP,    /* silent */
    STEP_WRITTEN, /* IopFinalCrashDumpStatus is what it becomes */
    STEP_SLEEP,   /* value ms */
    STEP_REBOOT,  /* silent */
    STEP_COMMAND, /* a command string for the debugger */
    STEP_TRAP,    /* breaks in again while it is asked, at request `value` */
    STEP_RESET,   /* starts anew while it is asked, at request `value` */
    STEP_DEAF,    /* value 1: nothing of the host arrives; 0: it does again */
    STEP_ALONE,   /* waits for delay_ms, and for nobody */
    STEP_TAKEN,   /* another host has it from now on */
    STEP_BOOT,    /* a kernel starts: new random, new base, ids from the beginning */
    STEP_END,
};

struct step {
    enum step_kind kind;
    const char *text;
    uint32_t value;
};

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

/* After the host asked for a reboot. */
static const struct step reboot[] = {
    {STEP_REBOOT, NULL, 0}, {STEP_BOOT, NULL, KDNET_WHO_NT},
    {STEP_START, NULL, 0},  {STEP_PRINT, "Windows 10 Kernel started\n", 0}, /* its end is seen by the host, too */
    {STEP_END, NULL, 0},
};

static const struct {
    const char *name;
    const struct step *script, *without_reboot; /* the second: with automatic reboot off, where that matters */
    enum kdnet_who who;                         /* whose debugger speaks first */
} scenarios[] = {
    {"idle", idle, NULL, KDNET_WHO_NT},
    {"boot", boot, NULL, KDNET_WHO_BOOT},
    {"bugcheck", bugcheck, bugcheck_hold, KDNET_WHO_NT},
    {"bugcheck-hold", bugcheck_hold, bugcheck_hold, KDNET_WHO_NT},
    {"int3", int3, NULL, KDNET_WHO_NT},
    {"prompt", prompt, NULL, KDNET_WHO_NT},
    {"fileio", fileio, NULL, KDNET_WHO_NT},
    {"exception", exception, NULL, KDNET_WHO_NT},
    {"e2", e2, e2_hold, KDNET_WHO_NT},
    {"unattended", unattended, unattended_hold, KDNET_WHO_NT},
    {"double-crash", double_crash, NULL, KDNET_WHO_NT},
    {"loader-crash", loader_crash, NULL, KDNET_WHO_BOOT},
    {"hypervisor", hypervisor, NULL, KDNET_WHO_HYPERVISOR},
    {"processors", processors, NULL, KDNET_WHO_NT},
    {"nested", nested, NULL, KDNET_WHO_NT},
    {"reset", reset, NULL, KDNET_WHO_NT},
    {"command", command, NULL, KDNET_WHO_NT},
    {"elsewhere", elsewhere, NULL, KDNET_WHO_NT},
    {"mixed", NULL, NULL, KDNET_WHO_NT}, /* one of the first MIXED_COUNT, drawn */
};

#define SCENARIO_COUNT (sizeof scenarios / sizeof scenarios[0])

const char *machine_scenario_name(size_t index)
{
    return index < SCENARIO_COUNT ? scenarios[index].name : NULL;
}

static void draw_crash(struct machine *m)
{
    static const uint32_t statuses[] = {0, DUMP_NOT_STARTED, 0xc000007f, 0xc0000185, 0x00000103};
    uint64_t mask = m->layout->pointer_size == 8 ? UINT64_MAX : UINT32_MAX;
    uint32_t drawn = statuses[machine_draw(m) % (sizeof statuses / sizeof statuses[0])];
    m->final_status = m->config.random_status ? drawn : m->config.status;
    m->bugcheck = (struct kdnet_bugcheck){.code = m->config.bugcheck};
    m->bugcheck.parameters[0] = (0xffff000000000000U | machine_draw(m) >> 16) & mask;
    m->bugcheck.parameters[1] = 2;
    m->bugcheck.parameters[2] = machine_draw(m) & 1;
    m->bugcheck.parameters[3] = (0xfffff80000000000U | (machine_draw(m) & UINT32_MAX)) & mask;
}

bool scenario_choose(struct machine *m)
{
    size_t i = 0;
    draw_crash(m);
    if (m->config.replay)
        return true;
    while (i < SCENARIO_COUNT && strcmp(scenarios[i].name, m->config.scenario) != 0)
        ++i;
    if (i == SCENARIO_COUNT)
        return false;
    if (!scenarios[i].script)
        i = (size_t)(machine_draw(m) % MIXED_COUNT);
    m->config.scenario = scenarios[i].name;
    m->who = scenarios[i].who;
    m->script = scenarios[i].script;
    if (scenarios[i].without_reboot && m->config.no_reboot)
        m->script = scenarios[i].without_reboot;
    if (m->script == scenarios[i].without_reboot)
        m->config.no_reboot = true;
    if (scenarios[i].script == e2)
        m->bugcheck.code = MANUAL_CRASH;
    m->planned = m->script;
    return true;
}

static bool step_breaks(const struct step *step)
{
    return step->kind == STEP_BREAK || step->kind == STEP_UNLOAD_ALL || step->kind == STEP_INT3 ||
           step->kind == STEP_FAULT || step->kind == STEP_COMMAND || step->kind == STEP_TRAP;
}

void machine_expectation(const struct machine *m, struct machine_expectation *out)
{
    const struct step *step = m->planned;
    *out = (struct machine_expectation){.status = DUMP_NOT_STARTED, .bugcheck = m->bugcheck};
    if (m->config.replay) {
        struct replay_summary summary;
        machine_replay_summary(m->config.replay, &summary);
        out->breaks = (uint32_t)(summary.exceptions + summary.unload_all);
    }
    for (; step && step->kind != STEP_END; ++step) {
        if (step->kind == STEP_CRASH)
            out->crash = true;
        if (step->kind == STEP_WRITTEN)
            out->status = m->final_status;
        if (step->kind == STEP_UNLOAD_ALL)
            out->shutdown = true;
        if (step->kind == STEP_BREAK && step->value == BREAK_STATUS_FIRST)
            out->first = true;
        if (step->kind == STEP_BREAK && step->value == BREAK_STATUS_LAST)
            out->second = true;
        if (step->kind == STEP_REFRESH || step->kind == STEP_BOOT)
            out->connects_again = true;
        if (step->kind == STEP_TRAP || step->kind == STEP_RESET)
            out->interrupted = true;
        if (step_breaks(step))
            ++out->breaks;
    }
}

bool scenario_holds(const struct machine *m)
{
    return m->wait == WAIT_CONTINUE && m->halt.spins;
}

bool scenario_prompt_goes_on(const char *answer)
{
    return answer[0] == 'i' || answer[0] == 'I';
}

/* Texts and questions */

static void send_print(struct machine *m, const char *text)
{
    uint8_t payload[PAYLOAD_SIZE];
    size_t length;
    struct kdnet_debug_io io = {.api = KDNET_DEBUG_IO_PRINT, .text = text, .text_length = strlen(text)};
    io.length = (uint32_t)io.text_length;
    ++m->counts.prints;
    if (kdnet_debug_io_encode(&io, payload, sizeof payload, &length) == KDNET_OK)
        link_send(m, KDNET_PACKET_DEBUG_IO, payload, length);
}

static void send_fatal(struct machine *m)
{
    char text[256];
    int digits = (int)m->layout->pointer_size * 2;
    const uint64_t *p = m->bugcheck.parameters;
    (void)snprintf(text, sizeof text,
                   "\n*** Fatal System Error: 0x%08x\n                       (0x%0*llX,0x%0*llX,0x%0*llX,0x%0*llX)\n\n",
                   (unsigned)m->bugcheck.code, digits, (unsigned long long)p[0], digits, (unsigned long long)p[1],
                   digits, (unsigned long long)p[2], digits, (unsigned long long)p[3]);
    send_print(m, text);
}

static size_t make_file_question(const char *path, uint8_t *out, size_t size)
{
    uint8_t wide[256] = {0};
    size_t n = strlen(path), length;
    struct kdnet_file_io io = {.api = KDNET_FILE_IO_CREATE, .data = wide, .data_length = 2 * (n + 1)};
    if (io.data_length > sizeof wide)
        return 0;
    for (size_t i = 0; i < n; ++i)
        wide[2 * i] = (uint8_t)path[i];
    kdnet_put_le32(io.raw + 8, 0x00120089); /* as the loader asks [cap]: generic read, normal, share read, open */
    kdnet_put_le32(io.raw + 12, 0x80);
    kdnet_put_le32(io.raw + 16, 1);
    kdnet_put_le32(io.raw + 20, 1);
    return kdnet_file_io_encode(&io, out, size, &length) == KDNET_OK ? length : 0;
}

static size_t make_prompt(const char *text, uint8_t *out, size_t size)
{
    size_t length;
    struct kdnet_debug_io io = {
        .api = KDNET_DEBUG_IO_GET_STRING, .text = text, .text_length = strlen(text), .read_length = PROMPT_MAXIMUM};
    io.length = (uint32_t)io.text_length;
    return kdnet_debug_io_encode(&io, out, size, &length) == KDNET_OK ? length : 0;
}

void scenario_payload(struct machine *m, uint8_t *out, size_t size, uint16_t *type, size_t *length)
{
    const char *text = m->script[m->step - 1].text; /* the step that asks is behind us */
    if (m->wait == WAIT_FILE) {
        *type = KDNET_PACKET_FILE_IO;
        *length = make_file_question(text, out, size);
    } else {
        *type = KDNET_PACKET_DEBUG_IO;
        *length = make_prompt(text, out, size);
    }
}

/* The engine */

static void begin_load(struct machine *m, const char *path, uint64_t now_us)
{
    struct halt halt = {
        .kind = HALT_LOAD_SYMBOLS,
        .pc = memory_address(m, MACHINE_RVA_DEBUG_SERVICE),
        .base = m->kernel_base,
        .image_size = IMAGE_SIZE,
        .path = path,
    };
    halt_begin(m, &halt, now_us);
}

static void begin_unload_all(struct machine *m, uint64_t now_us)
{
    struct halt halt = {.kind = HALT_UNLOAD_ALL, .pc = memory_address(m, MACHINE_RVA_DEBUG_SERVICE)};
    halt_begin(m, &halt, now_us);
}

static void begin_driver_exception(struct machine *m, bool breakpoint, uint64_t now_us)
{
    struct halt halt = {
        .kind = HALT_EXCEPTION,
        .code = breakpoint ? KDNET_EXCEPTION_BREAKPOINT : STATUS_FAULT,
        .pc = (m->who == KDNET_WHO_NT ? m->driver_base : m->kernel_base) + (breakpoint ? DRIVER_TRAP : DRIVER_FAULT),
        .breakpoint = breakpoint,
    };
    halt_begin(m, &halt, now_us);
}

static void begin_command(struct machine *m, const char *name, uint64_t now_us)
{
    struct halt halt = {.kind = HALT_COMMAND, .pc = memory_address(m, MACHINE_RVA_DEBUG_SERVICE), .path = name};
    halt_begin(m, &halt, now_us);
}

static void fall_silent(struct machine *m, uint32_t ms, uint64_t now_us)
{
    m->silent = true;
    m->wake_us = now_us + (uint64_t)ms * US_PER_MS;
}

static void start_kernel(struct machine *m, enum kdnet_who who)
{
    m->who = who;
    machine_forget_connection(m, true);
    memory_place(m);
    machine_poke_now(m);
}

/* False when the step has to wait. */
static bool start_step(struct machine *m, bool alone, uint64_t now_us)
{
    uint64_t begin = m->config.start_us + (uint64_t)m->config.delay_ms * US_PER_MS;
    bool may = m->keyed || alone;
    if (may && now_us < begin)
        m->wake_us = begin;
    return may && now_us >= begin;
}

/* Another host answered its poke: it uses a key that we do not know. */
static void be_taken(struct machine *m)
{
    m->taken = true;
    for (size_t i = 0; i < sizeof m->data_key; ++i)
        m->data_key[i] = (uint8_t)machine_draw(m);
}

static void run_halting_step(struct machine *m, const struct step *step, uint64_t now_us)
{
    switch (step->kind) {
    case STEP_LOAD:
        begin_load(m, step->text, now_us);
        break;
    case STEP_INT3:
        begin_driver_exception(m, true, now_us);
        break;
    case STEP_FAULT:
        begin_driver_exception(m, false, now_us);
        break;
    case STEP_BREAK:
        halt_break_with_status(m, step->value, now_us);
        break;
    case STEP_UNLOAD_ALL:
        begin_unload_all(m, now_us);
        break;
    case STEP_FILE:
        halt_question(m, WAIT_FILE, now_us);
        break;
    case STEP_PROMPT:
        halt_question(m, WAIT_PROMPT, now_us);
        break;
    case STEP_COMMAND:
        begin_command(m, step->text, now_us);
        break;
    default:
        break;
    }
}

static void run_step(struct machine *m, const struct step *step, uint64_t now_us)
{
    switch (step->kind) {
    case STEP_PRINT:
        send_print(m, step->text);
        break;
    case STEP_PRINT_FATAL:
        send_fatal(m);
        break;
    case STEP_REFRESH:
        machine_forget_connection(m, false);
        machine_poke_now(m);
        break;
    case STEP_CRASH:
        m->crashed = true;
        break;
    case STEP_DUMP:
        fall_silent(m, m->config.dump_ms, now_us);
        break;
    case STEP_WRITTEN:
        m->dump_status = m->final_status;
        break;
    case STEP_TRAP:
        m->trap_after = step->value;
        break;
    case STEP_RESET:
        m->reset_after = step->value;
        break;
    case STEP_DEAF:
        m->deaf = step->value != 0;
        break;
    case STEP_TAKEN:
        be_taken(m);
        break;
    case STEP_SLEEP:
        m->wake_us = now_us + (uint64_t)step->value * US_PER_MS;
        break;
    case STEP_REBOOT:
        fall_silent(m, m->config.reboot_ms, now_us);
        break;
    case STEP_BOOT:
        start_kernel(m, (enum kdnet_who)step->value);
        break;
    case STEP_END:
        m->ended = true;
        break;
    default:
        run_halting_step(m, step, now_us);
        break;
    }
}

static bool is_free(const struct machine *m)
{
    return !m->pending && m->wait == WAIT_NONE && !m->silent;
}

/* One step; false when there is nothing to do now. */
static bool advance(struct machine *m, uint64_t now_us)
{
    if (m->config.replay)
        return replay_run_step(m, now_us);
    const struct step *step = &m->script[m->step];
    bool alone = step->kind == STEP_ALONE;
    if ((step->kind == STEP_START || alone) && !start_step(m, alone, now_us))
        return false;
    ++m->step; /* first: a halting step may look back at itself */
    run_step(m, step, now_us);
    return true;
}

void scenario_run(struct machine *m, uint64_t now_us)
{
    while (is_free(m)) {
        if (m->break_in && m->keyed && !m->config.replay) {
            m->break_in = false;
            halt_break_with_status(m, BREAK_STATUS_CTRL, now_us);
        } else if (m->ended || m->wake_us != 0 || !advance(m, now_us)) {
            return;
        }
    }
}

void scenario_reboot(struct machine *m)
{
    m->held_us = MACHINE_NEVER;
    if (m->config.replay) {
        m->ended = true;
        return;
    }
    m->script = reboot;
    m->step = 0;
    m->ended = false;
}
