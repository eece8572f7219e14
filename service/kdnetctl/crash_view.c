/* SPDX-License-Identifier: Apache-2.0 */
/* One crash in full, in the order in which an engineer asks: what happened, who did it, is there a dump, what next. */
#include "config/characters.h"
#include "kdnet/crash/cause.h"
#include "kdnet/crash/explain.h"
#include "service/kdnetctl/crashes.h"
#include "service/kdnetctl/fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 1024

static bool phase_row(const struct ask *ask, const json_t *phase, struct table *table)
{
    char time[TIMES_SIZE], read[FIELDS_SIZE], halted[FIELDS_SIZE];
    const char *verdict = fields_text(phase, "verdict", NULL);
    const char *texts[] = {ask_time(ask, phase, "time", time),
                           fields_text(phase, "phase", NULL),
                           verdict,
                           fields_text(phase, "reason", fields_text(phase, "status", NULL)),
                           fields_duration(phase, "read_ms", read),
                           fields_duration(phase, "halted_ms", halted)};
    if (!table_add(table, texts))
        return false;
    table_colour(table, 2, ask_colour(verdict));
    return true;
}

/* --- the dump ----------------------------------------------------------------------------------------------------- */

/* Returns why a verdict is unknown, in words; NULL: no such reason. */
static const char *reason_words(const char *reason)
{
    static const struct {
        const char *reason, *words;
    } rows[] = {{"symbol_absent", "the kernel's symbols do not have the dump's status (Windows 8 and later)"},
                {"no_symbols", "no symbols of this kernel were found; kdnetctl symbols says where they are looked for"},
                {"unreadable", "the machine's memory could not be read"},
                {"no_kernel", "a boot loader or hypervisor answered, not Windows"},
                {"timeout", "the machine did not answer within read_deadline"},
                {"lost", "the machine fell silent"},
                {"overloaded", "the machine's turn did not come in time; look at the load of kdnetd's computer"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i)
        if (strcmp(rows[i].reason, reason) == 0)
            return rows[i].words;
    return NULL;
}

/* Returns what to do about the dump. */
static const char *dump_advice(const json_t *crash)
{
    if (fields_is(crash, "verdict", "written"))
        return "fetch MEMORY.DMP: after the restart Windows deletes it when less than 25 GB are free and "
               "AlwaysKeepMemoryDump is not set";
    if (fields_is(crash, "verdict", "failed"))
        return "there is no whole dump: look at the disk that the dump goes to, its free space and its driver";
    if (fields_is(crash, "verdict", "not_started"))
        return "there is no dump: look at CrashControl in the registry, the paging file and its size";
    return "look on the machine whether MEMORY.DMP is there and new";
}

static void print_reason(const struct ask *ask, const json_t *crash)
{
    char line[LINE_SIZE];
    const char *reason = fields_text(crash, "reason", NULL), *words = reason ? reason_words(reason) : NULL;
    if (!reason)
        return;
    (void)snprintf(line, sizeof line, "%.*s%s%s", CHARACTERS(reason, 100), words ? ": " : "", words ? words : "");
    ask_print_text(ask, "reason", line);
}

/* Prints the facts of an assessment in one sentence. */
static void print_because(const struct ask *ask, const json_t *crash)
{
    size_t i, length = 0;
    const json_t *fact;
    char line[LINE_SIZE] = "";
    json_array_foreach((json_t *)fields_at(crash, "assessment.because"), i, fact)
    { // NOLINT(cert-exp05-c)
        if (json_is_string(fact) && length < sizeof line / 2)
            length += (size_t)snprintf(line + length, sizeof line - length, "%s%.*s", length > 0 ? "; " : "",
                                       CHARACTERS(json_string_value(fact), 200));
    }
    if (length > 0)
        ask_print_text(ask, "because", line);
}

static void print_dump(const struct ask *ask, const json_t *crash)
{
    char text[FIELDS_SIZE];
    ask_print_field(ask, "verdict", crashes_verdict(crash, text));
    print_because(ask, crash);
    print_reason(ask, crash);
    ask_print_field(ask, "status", fields_cell(crash, "status", text));
    ask_print_field(ask, "dump log", fields_text(crash, "evidence.dump_log.last_line", "-"));
    ask_print_field(ask, fields_is(crash, "verdict", "written") ? "dump took" : "time for it",
                    fields_duration(crash, "dump_ms", text));
}

/* --- the bug check ------------------------------------------------------------------------------------------------ */

/* Returns the explanation of a bug check; NULL: none. */
static const struct kdnet_bugcheck_text *explain(const json_t *crash)
{
    return kdnet_bugcheck_explain((uint32_t)strtoul(fields_text(crash, "bugcheck.code", "0"), NULL, 16));
}

static void print_parameters(const struct ask *ask, const json_t *crash)
{
    size_t i;
    const json_t *parameter;
    const struct kdnet_bugcheck_text *known = explain(crash);
    json_array_foreach((json_t *)fields_at(crash, "bugcheck.parameters"), i, parameter)
    { // NOLINT(cert-exp05-c)
        char name[32], line[FIELDS_SIZE];
        const char *meaning = i < 4 && known ? known->parameters[i] : NULL;
        (void)snprintf(name, sizeof name, "parameter %zu", i + 1);
        (void)snprintf(line, sizeof line, "%.*s%s%s",
                       CHARACTERS(json_is_string(parameter) ? json_string_value(parameter) : "", 32),
                       meaning ? "  " : "", meaning ? meaning : "");
        if (i < 4 && json_is_string(parameter))
            ask_print_text(ask, name, line);
    }
}

static void print_bugcheck(const struct ask *ask, const json_t *crash)
{
    char line[LINE_SIZE];
    const char *code = fields_text(crash, "bugcheck.code", NULL);
    if (!code) {
        ask_print_field(ask, "bug check", "none: the machine stopped without one");
        return;
    }
    const char *name = fields_text(crash, "bugcheck.name", NULL);
    (void)snprintf(line, sizeof line, "%.*s%s%.*s", CHARACTERS(code, 32), name ? " " : "",
                   CHARACTERS(name ? name : "", 100));
    ask_print_field(ask, "bug check", line);
    ask_print_text(ask, "meaning",
                   explain(crash)
                       ? explain(crash)->what
                       : "not explained here; Microsoft's bug check code reference has a page of most codes");
    print_parameters(ask, crash);
}

/* --- the cause ---------------------------------------------------------------------------------------------------- */

/* Copies the image's name from a bucket like "D1 driver.sys+0x12@5F3A1B2C". False: the bucket names no image. */
static bool bucket_image(const json_t *crash, char out[static KDNET_IMAGE_NAME_SIZE])
{
    const char *bucket = fields_text(crash, "bucket", ""), *name = strchr(bucket, ' ');
    size_t length = name ? strcspn(name + 1, "+") : 0;
    if (!name || length == 0 || length >= KDNET_IMAGE_NAME_SIZE || name[1 + length] != '+')
        return false;
    (void)snprintf(out, KDNET_IMAGE_NAME_SIZE, "%.*s", (int)length, name + 1);
    return true;
}

/* Prints the driver that the cause or stack leads to, and Windows' own opinion when it differs. */
static void print_blamed(const struct ask *ask, const json_t *crash)
{
    char image[KDNET_IMAGE_NAME_SIZE] = "", line[LINE_SIZE];
    const char *windows = fields_text(crash, "evidence.bugcheck_driver", "");
    bool known = bucket_image(crash, image), kernel = known && kdnet_image_is_of_crash_path(image);
    bool differs = windows[0] != '\0' && strcmp(windows, image) != 0;
    if (!known && !differs && fields_at(crash, "bugcheck"))
        (void)snprintf(line, sizeof line, "none: neither the bug check nor the stack leads to one");
    else if (known || differs)
        (void)snprintf(line, sizeof line, "%s%s%s%s%.*s", kernel ? "none: only the kernel itself, " : "", image,
                       known && differs ? "; " : "", differs ? "Windows says " : "",
                       CHARACTERS(differs ? windows : "", 200));
    else
        return;
    ask_print_text(ask, "driver blamed", line);
}

/* Prints the image at the cause: what is needed to find its symbols. */
static void print_module(const struct ask *ask, const json_t *crash)
{
    char line[LINE_SIZE], base[FIELDS_SIZE], stamp[FIELDS_SIZE], size[FIELDS_SIZE], age[FIELDS_SIZE];
    const char *name = fields_text(crash, "cause.module.name", NULL);
    const char *pdb = fields_text(crash, "cause.module.pdb.name", NULL);
    if (!name)
        return;
    (void)snprintf(line, sizeof line, "%.*s at %s, %s bytes, time stamp %s", CHARACTERS(name, 64),
                   fields_cell(crash, "cause.module.base", base), fields_cell(crash, "cause.module.size", size),
                   fields_cell(crash, "cause.module.stamp", stamp));
    ask_print_text(ask, "image", line);
    if (!pdb)
        return;
    (void)snprintf(line, sizeof line, "%.*s %.*s%s", CHARACTERS(pdb, 64),
                   CHARACTERS(fields_text(crash, "cause.module.pdb.guid", ""), 32),
                   fields_cell(crash, "cause.module.pdb.age", age));
    ask_print_text(ask, "symbol file", line);
}

static void print_stack(const struct ask *ask, const json_t *crash)
{
    size_t i;
    const json_t *frame;
    json_array_foreach((json_t *)fields_at(crash, "stack"), i, frame)
    { // NOLINT(cert-exp05-c)
        char name[32];
        (void)snprintf(name, sizeof name, "frame %zu", i);
        if (json_is_string(frame))
            ask_print_field(ask, name, json_string_value(frame));
    }
}

static void print_cause(const struct ask *ask, const json_t *crash)
{
    char text[FIELDS_SIZE];
    ask_print_field(ask, "cause", fields_text(crash, "cause.place", fields_cell(crash, "cause.address", text)));
    print_module(ask, crash);
    print_stack(ask, crash);
    print_blamed(ask, crash);
    ask_print_field(ask, "bucket", fields_cell(crash, "bucket", text));
}

/* --- the rest ----------------------------------------------------------------------------------------------------- */

static void print_evidence(const struct ask *ask, const json_t *crash)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)fields_at(crash, "evidence"), name, value)
    { // NOLINT(cert-exp05-c)
        if (json_is_object(value) || strcmp(name, "bugcheck_driver") == 0)
            continue; /* told elsewhere */
        char line[2 * FIELDS_SIZE], text[FIELDS_SIZE];
        (void)snprintf(line, sizeof line, "%.*s %s", CHARACTERS(name, 100), fields_cell(value, "", text));
        ask_print_field(ask, "evidence", line);
    }
}

void crashes_print_one(const struct ask *ask, const json_t *crash)
{
    static const struct table_column columns[] = {{"TIME", 12, false},   {"PHASE", 10, false}, {"VERDICT", 11, false},
                                                  {"STATUS", 10, false}, {"READ", 6, true},    {"HALTED", 6, true}};
    char text[FIELDS_SIZE], time[TIMES_SIZE];
    ask_print_field(ask, "crash", fields_cell(crash, "crash", text));
    ask_print_field(ask, "target", fields_cell(crash, "target", text));
    ask_print_field(ask, "time", ask_time(ask, crash, "time", time));
    print_bugcheck(ask, crash);
    print_cause(ask, crash);
    print_dump(ask, crash);
    if (explain(crash))
        ask_print_text(ask, "look at", explain(crash)->next);
    if (fields_at(crash, "bugcheck"))
        ask_print_text(ask, "dump", dump_advice(crash));
    ask_print_field(ask, "halted", fields_duration(crash, "halted_ms", text));
    ask_print_field(ask, "kernel", fields_cell(crash, "kernel.build_lab", text));
    ask_print_field(ask, "labels", fields_cell(crash, "labels", text));
    ask_print_field(ask, "seen by", fields_cell(crash, "acknowledged.by", text));
    ask_print_field(ask, "note", fields_cell(crash, "acknowledged.note", text));
    print_evidence(ask, crash);
    ask_print_list(ask, NULL, fields_at(crash, "phases"), columns, 6, phase_row);
}
