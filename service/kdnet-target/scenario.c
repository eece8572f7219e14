/* SPDX-License-Identifier: Apache-2.0 */
/* Plays the scripts of script.c. */
#include "kdnet/wire/debug_io.h"
#include "kdnet/error.h"
#include "kdnet/wire/file_io.h"
#include "kdnet/base/wire.h"
#include "service/kdnet-target/machine_internal.h"
#include "service/kdnet-target/replay.h"
#include "service/kdnet-target/script.h"

#include <stdio.h>
#include <string.h>

#define PAYLOAD_SIZE   KDNET_PACKET_PAYLOAD_MAX
#define US_PER_MS      1000U
#define US_PER_SECOND  1000000U
#define PAGE_SIZE      0x1000U
#define DEFAULT_RATE   100U
#define DEFAULT_TIMES  100U
#define DRIVER_TRAP    0x1500U /* int 3 of the driver */
#define DRIVER_FAULT   0x1234U
#define IMAGE_SIZE     0xa00000U
#define PROMPT_MAXIMUM 16
#define MANUAL_CRASH   0xe2U

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
    const struct script *script = script_at(0);
    while (script && strcmp(script->name, m->config.scenario) != 0)
        script = script_at(++i);
    if (!script)
        return false;
    if (!script->steps)
        script = script_at((size_t)(machine_draw(m) % SCRIPT_MIXED));
    m->config.scenario = script->name;
    m->who = script->who;
    m->script = script->steps;
    if (script->without_reboot && m->config.no_reboot)
        m->script = script->without_reboot;
    if (m->script == script->without_reboot)
        m->config.no_reboot = true;
    if (script->manual)
        m->bugcheck.code = MANUAL_CRASH;
    m->planned = m->script;
    for (const struct step *step = m->script; step->kind != STEP_END; ++step)
        m->records |= step->kind == STEP_REPLAY;
    return true;
}

static bool step_breaks(const struct step *step)
{
    return step->kind == STEP_BREAK || step->kind == STEP_UNLOAD_ALL || step->kind == STEP_INT3 ||
           step->kind == STEP_FAULT || step->kind == STEP_COMMAND || step->kind == STEP_TRAP ||
           step->kind == STEP_TRACED || step->kind == STEP_PROGRAM || step->kind == STEP_AGAIN;
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
        if (step->kind == STEP_WRITTEN && !m->config.no_dump)
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

static void send_fatal(struct machine *m, uint32_t code)
{
    char text[256];
    int digits = (int)m->layout->pointer_size * 2;
    const uint64_t *p = m->bugcheck.parameters;
    (void)snprintf(text, sizeof text,
                   "\n*** Fatal System Error: 0x%08x\n                       (0x%0*llX,0x%0*llX,0x%0*llX,0x%0*llX)\n\n",
                   (unsigned)code, digits, (unsigned long long)p[0], digits, (unsigned long long)p[1], digits,
                   (unsigned long long)p[2], digits, (unsigned long long)p[3]);
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
    const char *text = m->script[m->step - 1].text; /* the asking step is the previous one */
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

/* A former debugger's single step, or its breakpoint in Dr0. */
static void begin_traced(struct machine *m, bool hardware, uint64_t now_us)
{
    struct halt halt = {
        .kind = HALT_EXCEPTION,
        .code = KDNET_EXCEPTION_SINGLE_STEP,
        .pc = m->driver_base + DRIVER_FAULT,
        .stepped = !hardware || m->layout->machine == KDNET_MACHINE_ARM64,
        .dr6 = hardware ? 0x1 : 0x4000,
        .dr7 = hardware ? 0x401 : 0x400,
    };
    halt_begin(m, &halt, now_us);
}

static void begin_program(struct machine *m, uint32_t code, uint64_t now_us)
{
    bool breakpoint = code == KDNET_EXCEPTION_BREAKPOINT;
    struct halt halt = {
        .kind = HALT_EXCEPTION,
        .code = code,
        .pc = memory_program(m) + (breakpoint ? DRIVER_TRAP : DRIVER_FAULT) % PAGE_SIZE,
        .breakpoint = breakpoint,
        .user = true,
        .dr6 = code == KDNET_EXCEPTION_SINGLE_STEP ? 0x4000 : 0,
    };
    halt_begin(m, &halt, now_us);
}

/* A second break of a bug check that looks like no bug check. */
static void begin_again(struct machine *m, uint64_t now_us)
{
    struct halt halt = {
        .kind = HALT_EXCEPTION,
        .code = KDNET_EXCEPTION_BREAKPOINT,
        .pc = memory_address(m, MACHINE_RVA_DEBUG_SERVICE),
        .argument = BREAK_STATUS_LAST,
        .breakpoint = true,
        .spins = true,
    };
    halt_begin(m, &halt, now_us);
}

static uint64_t pause_us(const struct machine *m)
{
    return US_PER_SECOND / (m->config.rate > 0 ? m->config.rate : DEFAULT_RATE);
}

static uint32_t times(const struct machine *m)
{
    return m->config.times > 0 ? m->config.times : DEFAULT_TIMES;
}

/* Repeats the step until its count is reached. */
static void print_storm(struct machine *m, uint64_t now_us)
{
    send_fatal(m, (uint32_t)m->bugcheck.code + m->said);
    if (++m->said >= times(m))
        return;
    --m->step;
    m->wake_us = now_us + pause_us(m);
}

static void go_back(struct machine *m, uint32_t steps, uint64_t now_us)
{
    if (++m->said >= times(m))
        return;
    m->step -= steps + 1; /* m->step is behind the step that goes back */
    m->wake_us = now_us + pause_us(m);
}

/* Sends repeated RESENDs while the machine is halted. */
void scenario_beg(struct machine *m, uint64_t now_us)
{
    if (m->say_us == MACHINE_NEVER || now_us < m->say_us)
        return;
    m->say_us = ++m->said < times(m) ? now_us + pause_us(m) : MACHINE_NEVER;
    if (m->wait != WAIT_NONE && m->keyed)
        machine_push(m, OUT_CONTROL, KDNET_PACKET_RESEND, 0);
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
    m->break_in = false;
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

/* Another host answered the poke: the machine uses a key that we do not know. */
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
    case STEP_TRACED:
        begin_traced(m, step->value != 0, now_us);
        break;
    case STEP_PROGRAM:
        begin_program(m, step->value, now_us);
        break;
    case STEP_AGAIN:
        begin_again(m, now_us);
        break;
    default:
        break;
    }
}

/* Starts what continues beside the script from now on. */
static void run_hostile_step(struct machine *m, const struct step *step, uint64_t now_us)
{
    switch (step->kind) {
    case STEP_STORM:
        print_storm(m, now_us);
        break;
    case STEP_BACK:
        go_back(m, step->value, now_us);
        break;
    case STEP_LIE:
        m->lies |= step->value;
        break;
    case STEP_BEG:
        m->say_us = now_us;
        break;
    case STEP_REPLAY:
        m->replays = true;
        break;
    default:
        run_halting_step(m, step, now_us);
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
        send_fatal(m, (uint32_t)m->bugcheck.code);
        break;
    case STEP_REFRESH:
        machine_forget_connection(m, false);
        machine_poke_now(m);
        break;
    case STEP_CRASH:
        m->crashed = true;
        stack_blame(m);
        break;
    case STEP_DUMP:
        fall_silent(m, m->config.dump_ms, now_us);
        break;
    case STEP_WRITTEN:
        if (!m->config.no_dump)
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
        run_hostile_step(m, step, now_us);
        break;
    }
}

static bool is_free(const struct machine *m)
{
    return !m->pending && m->wait == WAIT_NONE && !m->silent;
}

/* Executes one step; false when nothing is to be done now. */
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
    m->script = script_reboot();
    m->step = 0;
    m->ended = false;
}
