/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crashes, one row each, as the API shows them. A crash_status of a bug check starts a row; each further crash_status
 * is a phase, and the following `released` gives the phase's duration.
 *
 * A crash with an unreadable bug check has no id; the id of its event stands in.
 *
 * In a storm most events of a group belong to crashes of that group: a row is read and written once in a transaction.
 */
#include "service/output/event_json.h"
#include "service/store/database_internal.h"
#include "config/verdicts.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

#define PHASES_MAX 64 /* phases kept of a crash; a machine that repeats a phase for ever overwrites the last */

struct crash_row {
    struct crash_row *next; /* in its list */
    char crash[STORE_TEXT_SIZE];
    uint64_t time_us, verdict_us; /* of the first break; of the event that gave the verdict */
    json_t *json;                 /* NULL: there is none yet */
    char *cut[STORE_CUTS];        /* members that `json` lacks, as text; NULL: none */
};

static const char *text_of(sqlite3_stmt *row, int column)
{
    return (const char *)sqlite3_column_text(row, column);
}

static void drop_unless_object(json_t **json)
{
    if (json_is_object(*json))
        return;
    json_decref(*json);
    *json = NULL;
}

/* Parses an object that a row keeps; *object is NULL when the text is none. False: no memory. */
static bool load_object(const char *text, json_t **object)
{
    *object = NULL;
    if (text && !store_json_load(text, strlen(text), 0, object))
        return false;
    drop_unless_object(object);
    return true;
}

/* Keeps a member as text. False: no memory. */
static bool keep_cut(struct crash_row *row, size_t which, const struct store_span *value)
{
    char *text = malloc(value->length + 1);
    if (!text)
        return false;
    memcpy(text, value->text, value->length);
    text[value->length] = '\0';
    free(row->cut[which]);
    row->cut[which] = text;
    (void)json_object_del(row->json, store_cut_names[which]);
    return true;
}

/* Parses a stored row; row->json is NULL when the text is no object. False: no memory. */
static bool load_row(const char *text, struct crash_row *row)
{
    struct store_span cut[STORE_CUTS];
    if (!text)
        return true;
    if (!store_cut_load(text, strlen(text), 0, cut, &row->json))
        return false;
    drop_unless_object(&row->json);
    bool whole = true;
    for (size_t i = 0; i < STORE_CUTS && row->json; ++i)
        whole = whole && (!cut[i].text || keep_cut(row, i, &cut[i]));
    return whole;
}

static int get_row(struct database *database, struct crash_row *row)
{
    sqlite3_stmt *statement = database_statement(database, STATEMENT_GET_CRASH);
    database_bind_text(statement, 1, row->crash);
    int code = database_step_row(database, statement);
    row->json = NULL;
    if (code != SQLITE_ROW)
        return code;
    row->time_us = (uint64_t)sqlite3_column_int64(statement, 0);
    row->verdict_us = (uint64_t)sqlite3_column_int64(statement, 1);
    bool known = load_row(text_of(statement, 2), row);
    database_reset(statement);
    return known ? 0 : SQLITE_NOMEM;
}

/* Finds the time of the crash's oldest event: the break precedes its result. */
static int find_first(struct database *database, const char *crash, uint64_t *time_us)
{
    sqlite3_stmt *statement = database_statement(database, STATEMENT_FIRST_OF_CRASH);
    database_bind_text(statement, 1, crash);
    int code = database_step_row(database, statement);
    if (code != SQLITE_ROW)
        return code;
    uint64_t first_us = (uint64_t)sqlite3_column_int64(statement, 0);
    if (first_us > 0 && first_us < *time_us)
        *time_us = first_us;
    database_reset(statement);
    return 0;
}

static json_t *copy(const json_t *from, const char *key)
{
    json_t *value = json_object_get(from, key);
    return value ? json_incref(value) : json_null();
}

/* These, and what is made of them, return false when there is no memory: the transaction then fails, and is done again.
 */
static bool put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

/* Takes a member from the newer event, unless it is absent there. */
static bool renew(json_t *row, const char *key, const json_t *from)
{
    json_t *value = json_object_get(from, key);
    return !value || json_is_null(value) || json_object_set(row, key, value) == 0;
}

/* Returns the object when it is whole, else NULL. */
static json_t *keep_whole(json_t *object, bool whole)
{
    if (whole)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *new_json(const struct store_line *line, const char *crash)
{
    static const char *const order[] = {"bugcheck", "verdict", "reason",    "status", "assessment", "bucket",
                                        "phases",   "dump_ms", "halted_ms", "kernel", "evidence",   "labels"};
    json_t *json = json_object();
    bool whole = put(json, "crash", json_string(crash)) && put(json, "target", copy(line->root, "target")) &&
                 put(json, "time", json_null());
    for (size_t i = 0; i < sizeof order / sizeof order[0]; ++i)
        whole = whole && put(json, order[i], json_null());
    whole = whole && put(json, "phases", json_array()) && put(json, "evidence", json_object()) &&
            put(json, "labels", json_object());
    return keep_whole(json, whole);
}

static json_t *new_phase(const struct store_line *line)
{
    static const char *const members[] = {"id", "time", "phase", "verdict", "status", "reason", "collector", "read_ms"};
    json_t *phase = json_object();
    bool whole = phase != NULL;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; ++i)
        whole = whole && put(phase, members[i], copy(line->root, members[i]));
    return keep_whole(phase, whole && put(phase, "halted_ms", json_null()));
}

static const char *phase_time(const json_t *phase)
{
    const char *text = store_json_text(phase, "time");
    return text ? text : "";
}

/* Phases are sorted by their time texts, which all have one form. */
static bool add_phase(json_t *phases, const struct store_line *line)
{
    if (!json_is_array(phases))
        return true;
    json_t *phase = new_phase(line);
    size_t at = json_array_size(phases);
    if (!phase)
        return false;
    while (at > 0 && strcmp(phase_time(json_array_get(phases, at - 1)), phase_time(phase)) > 0)
        --at;
    if (json_array_insert_new(phases, at, phase) != 0)
        return false;
    if (json_array_size(phases) > PHASES_MAX)
        (void)json_array_remove(phases, PHASES_MAX / 2); /* the first ones and the newest stay */
    return true;
}

static json_t *unknown_kernel(void)
{
    json_t *kernel = json_object();
    return keep_whole(kernel, put(kernel, "build_lab", json_null()) && put(kernel, "machine", json_null()) &&
                                  put(kernel, "pdb", json_null()));
}

/* Reads what is known of the kernel of the event's boot; *kernel NULL: nothing. */
static int get_kernel(struct database *database, const struct store_line *line, json_t **kernel)
{
    sqlite3_stmt *statement = database_statement(database, STATEMENT_GET_KERNEL);
    *kernel = NULL;
    database_bind_text(statement, 1, line->target);
    database_bind_text(statement, 2, store_json_text(line->root, "boot"));
    int code = database_step_row(database, statement);
    if (code != SQLITE_ROW)
        return code;
    bool known = load_object(text_of(statement, 0), kernel);
    database_reset(statement);
    return known ? 0 : SQLITE_NOMEM;
}

static int add_kernel(struct database *database, const struct store_line *line, json_t *row)
{
    json_t *kernel;
    int code = get_kernel(database, line, &kernel);
    if (code)
        return code;
    if (!kernel)
        kernel = unknown_kernel();
    bool whole = kernel && renew(kernel, "build_lab", line->root);
    bool counts = !json_is_object(json_object_get(row, "kernel")) || json_is_string(json_object_get(kernel, "machine"));
    if (whole && counts)
        return put(row, "kernel", kernel) ? 0 : SQLITE_NOMEM;
    json_decref(kernel);
    return whole ? 0 : SQLITE_NOMEM;
}

static bool take_verdict(struct crash_row *row, const struct store_line *line)
{
    const char *old = store_json_text(row->json, "verdict"), *verdict = store_json_text(line->root, "verdict");
    if (!verdict)
        verdict = "unknown";
    unsigned old_worth = verdicts_worth(old), worth = verdicts_worth(verdict);
    if (old && (worth < old_worth || (worth == old_worth && line->time_us < row->verdict_us)))
        return true;
    row->verdict_us = line->time_us;
    return put(row->json, "verdict", json_string(verdict)) && put(row->json, "reason", copy(line->root, "reason")) &&
           put(row->json, "status", copy(line->root, "status")) &&
           put(row->json, "assessment", copy(line->root, "assessment"));
}

/* Takes a member from the newer event, unless it is empty there; as text, however the event has it. */
static bool renew_cut(struct crash_row *row, size_t which, const struct store_line *line)
{
    struct store_span span = line->cut[which];
    json_t *value = json_object_get(line->root, store_cut_names[which]);
    char *text = NULL;
    if (!span.text && value && !json_is_null(value)) {
        text = store_json_dump(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        if (!text)
            return false;
        span = (struct store_span){text, strlen(text)};
    }
    bool whole = !span.text || !store_cut_counts(&span) || keep_cut(row, which, &span);
    free(text);
    return whole;
}

static bool take_status(struct crash_row *row, const struct store_line *line)
{
    static const char *const members[] = {"bugcheck", "bucket", "labels"};
    json_t *evidence = json_object_get(line->root, "evidence");
    double dump_ms = json_number_value(json_object_get(line->root, "since_first_ms"));
    bool whole = take_verdict(row, line);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; ++i)
        whole = whole && renew(row->json, members[i], line->root);
    for (size_t i = 0; i < STORE_CUTS; ++i)
        whole = whole && renew_cut(row, i, line);
    if (json_is_object(evidence) && json_is_object(json_object_get(row->json, "evidence")))
        whole = whole && json_object_update(json_object_get(row->json, "evidence"), evidence) == 0;
    if (dump_ms > json_number_value(json_object_get(row->json, "dump_ms")))
        whole = whole && put(row->json, "dump_ms", json_real(dump_ms));
    return whole && add_phase(json_object_get(row->json, "phases"), line);
}

/* A `released` belongs to the newest earlier phase. A second one, after a hold, covers the whole halt again. */
static bool take_released(struct crash_row *row, const struct store_line *line)
{
    json_t *phases = json_object_get(row->json, "phases");
    json_t *halted = json_object_get(line->root, "halted_ms");
    const char *when = store_json_text(line->root, "time");
    size_t at = json_array_size(phases);
    double sum = 0;
    while (at > 0 && strcmp(phase_time(json_array_get(phases, at - 1)), when ? when : "") > 0)
        --at;
    json_t *phase = at > 0 ? json_array_get(phases, at - 1) : NULL;
    if (json_is_object(phase) && json_is_number(halted) && json_object_set(phase, "halted_ms", halted) != 0)
        return false;
    for (size_t i = 0; i < json_array_size(phases); ++i)
        sum += json_number_value(json_object_get(json_array_get(phases, i), "halted_ms"));
    return !(sum >= -DBL_MAX && sum <= DBL_MAX) || put(row->json, "halted_ms", json_real(sum));
}

static int put_row(struct database *database, const struct crash_row *row)
{
    char first[EVENT_JSON_TIME_SIZE];
    event_json_time(row->time_us, first);
    bool whole = put(row->json, "time", json_string(first));
    char *text = whole ? store_json_dump(row->json, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    text = text ? store_cut_join(text, row->cut) : NULL;
    if (!text)
        return SQLITE_NOMEM;
    sqlite3_stmt *statement = database_statement(database, STATEMENT_PUT_CRASH);
    database_bind_text(statement, 1, row->crash);
    database_bind_text(statement, 2, store_json_text(row->json, "target"));
    (void)sqlite3_bind_int64(statement, 3, (sqlite3_int64)row->time_us);
    database_bind_text(statement, 4, store_json_text(row->json, "verdict"));
    (void)sqlite3_bind_int64(statement, 5, (sqlite3_int64)row->verdict_us);
    database_bind_text(statement, 6, store_json_text(json_object_get(row->json, "bugcheck"), "code"));
    database_bind_text(statement, 7, store_json_text(row->json, "bucket"));
    (void)sqlite3_bind_text(statement, 8, text, -1, SQLITE_STATIC);
    int code = database_step_once(database, statement);
    free(text);
    return code;
}

/* Whether an event belongs to a crash, also when the bug check is unknown. */
static bool is_of_crash(const struct store_line *line)
{
    const char *phase = store_json_text(line->root, "phase");
    return phase && (strcmp(phase, "bugcheck_first") == 0 || strcmp(phase, "bugcheck_second") == 0 ||
                     strcmp(phase, "shutdown") == 0);
}

static int add_status(struct database *database, struct crash_row *row, const struct store_line *line)
{
    if (!row->json) {
        row->json = new_json(line, row->crash);
        row->time_us = line->time_us;
    }
    if (line->time_us < row->time_us)
        row->time_us = line->time_us;
    if (!row->json || !take_status(row, line))
        return SQLITE_NOMEM;
    int code = line->crash[0] != '\0' ? find_first(database, row->crash, &row->time_us) : 0;
    return code ? code : add_kernel(database, line, row->json);
}

static void free_row(struct crash_row *row)
{
    json_decref(row->json);
    for (size_t i = 0; i < STORE_CUTS; ++i)
        free(row->cut[i]);
    free(row);
}

/* FNV-1a */
static struct crash_row **list_of(struct database *database, const char *crash)
{
    uint32_t hash = 0x811c9dc5U;
    for (const char *at = crash; *at; ++at)
        hash = (hash ^ (unsigned char)*at) * 0x01000193U;
    return &database->crash_rows[(hash ^ hash >> 16) % CRASH_ROW_LISTS];
}

/* Finds a crash's row among those of this transaction, or reads it. NULL: *code says why. */
static struct crash_row *find_row(struct database *database, const char *crash, int *code)
{
    struct crash_row **list = list_of(database, crash);
    *code = 0;
    for (struct crash_row *row = *list; row; row = row->next)
        if (strcmp(row->crash, crash) == 0)
            return row;
    struct crash_row *row = calloc(1, sizeof *row);
    if (!row) {
        *code = SQLITE_NOMEM;
        return NULL;
    }
    memcpy(row->crash, crash, strlen(crash) + 1);
    *code = get_row(database, row);
    if (*code) {
        free_row(row);
        return NULL;
    }
    row->next = *list;
    *list = row;
    return row;
}

int crash_row_add(struct database *database, struct store_line *line)
{
    bool is_status = strcmp(line->type, "crash_status") == 0;
    int code;
    if (!is_status && (strcmp(line->type, "released") != 0 || line->crash[0] == '\0'))
        return 0;
    if (!store_line_open(line))
        return line->no_memory ? SQLITE_NOMEM : 0;
    if (line->crash[0] == '\0' && !is_of_crash(line))
        return 0;
    struct crash_row *row = find_row(database, line->crash[0] != '\0' ? line->crash : line->id, &code);
    if (row && is_status)
        code = add_status(database, row, line);
    else if (row && row->json && !take_released(row, line))
        code = SQLITE_NOMEM;
    return code;
}

int crash_row_put_all(struct database *database)
{
    int code = 0;
    for (size_t i = 0; i < CRASH_ROW_LISTS; ++i)
        for (struct crash_row *row = database->crash_rows[i]; row && code == 0; row = row->next)
            code = row->json ? put_row(database, row) : 0;
    if (code == 0)
        crash_row_drop_all(database);
    return code;
}

void crash_row_drop_all(struct database *database)
{
    for (size_t i = 0; i < CRASH_ROW_LISTS; ++i)
        while (database->crash_rows[i]) {
            struct crash_row *row = database->crash_rows[i];
            database->crash_rows[i] = row->next;
            free_row(row);
        }
}
