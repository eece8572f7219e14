/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnetctl/machine_list.h"
#include "config/remedies.h"
#include "config/config.h"
#include "config/value.h"
#include "kdnet/crypto/crypto.h"
#include "service/kdnetctl/csv.h"
#include "service/kdnetctl/machine_setup.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#define MISTAKES_MAX 100 /* told; the others are counted */
#define LABEL_COLUMN (-1)

static const char *const column_names[MACHINE_COLUMNS] = {"name", "key",       "address", "host_ip",
                                                          "port", "busparams", "nodhcp",  "noumex"};

struct reading {
    struct machine_list *list;
    struct csv csv;
    struct csv_row heading, row;
    int columns[CSV_FIELDS_MAX];
    bool keys;
};

void machine_list_complain(struct machine_list *list, size_t line, const char *field, const char *text,
                           const char *what)
{
    if (++list->mistakes > MISTAKES_MAX)
        return;
    command_print_argument(stderr, list->path);
    if (line > 0)
        (void)fprintf(stderr, ":%zu", line);
    (void)fputs(": ", stderr);
    if (field) {
        command_print_argument(stderr, field);
        (void)fputs(": ", stderr);
    }
    if (text) {
        (void)fputc('\'', stderr);
        command_print_argument(stderr, text);
        (void)fputs("' ", stderr);
    }
    command_print_argument(stderr, what); /* the text may come from the file */
    (void)fputc('\n', stderr);
}

static bool is_label(const char *text)
{
    size_t length = strlen(text);
    return length >= 1 && length < CONFIG_LABEL_KEY_SIZE && text[0] >= 'a' && text[0] <= 'z' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == length;
}

static void read_column(struct reading *reading, size_t at)
{
    const char *name = reading->heading.fields[at];
    int column = LABEL_COLUMN;
    for (int i = 0; i < MACHINE_COLUMNS; ++i)
        if (strcmp(name, column_names[i]) == 0)
            column = i;
    reading->columns[at] = column;
    for (size_t i = 0; i < at; ++i)
        if (strcmp(name, reading->heading.fields[i]) == 0)
            machine_list_complain(reading->list, reading->heading.line, name, NULL,
                                  "this column is there twice; leave one out");
    if (column == LABEL_COLUMN && !is_label(name))
        machine_list_complain(reading->list, reading->heading.line, name, NULL,
                              "is no column that is known, and no name of a label (a-z 0-9 _, 32 at most); the columns "
                              "are name, key, address, host_ip, port, busparams, nodhcp, noumex");
}

static void read_heading(struct reading *reading)
{
    bool named = false;
    for (size_t i = 0; i < reading->heading.count; ++i) {
        read_column(reading, i);
        named = named || reading->columns[i] == MACHINE_NAME;
    }
    if (!named)
        machine_list_complain(reading->list, reading->heading.line, "name", NULL,
                              "this column is missing; the first line names the columns, as in: name,address,rack");
}

/* A label's value stands in a line of words. False: out of memory. */
static bool add_label(struct reading *reading, struct machine *machine, const char *name, const char *value)
{
    size_t length = strlen(value), before = machine->labels ? strlen(machine->labels) : 0;
    if (length >= CONFIG_LABEL_SIZE || strpbrk(value, " \t\r\n")) {
        machine_list_complain(reading->list, machine->line, name, value,
                              "is no value of a label: it has 1 to 64 bytes without blanks; write - or _ for them");
        return true;
    }
    char *larger = realloc(machine->labels, before + strlen(name) + length + 3);
    if (!larger)
        return false;
    machine->labels = larger;
    (void)sprintf(larger + before, " %s=%s", name, value);
    return true;
}

/* False: out of memory. */
static bool add_field(struct reading *reading, struct machine *machine, size_t at)
{
    const char *text = reading->row.fields[at];
    int column = reading->columns[at];
    if (text[0] == '\0')
        return true;
    if (column == LABEL_COLUMN)
        return add_label(reading, machine, reading->heading.fields[at], text);
    machine->column[column] = strdup(text);
    return machine->column[column] != NULL;
}

static void check_key(struct reading *reading, struct machine *machine)
{
    const char *key = machine->column[MACHINE_KEY];
    struct kdnet_key fresh;
    if (reading->keys && !key)
        machine_list_complain(reading->list, machine->line, "key", NULL,
                              "is missing; give the key as `bcdedit /dbgsettings` shows it, or let `kdnetctl keygen "
                              "--from` make keys");
    if (!reading->keys && key)
        machine_list_complain(reading->list, machine->line, "key", NULL,
                              "keygen makes a fresh key; leave this column out, or use `kdnetctl import`");
    if (reading->keys || key)
        return;
    if (RAND_bytes(fresh.bytes, sizeof fresh.bytes) != 1) {
        machine_list_complain(reading->list, machine->line, "key", NULL, "OpenSSL has no random bytes");
        return;
    }
    kdnet_key_format(&fresh, machine->new_key);
    kdnet_crypto_wipe(&fresh, sizeof fresh);
}

/* The line of a targets file. */
static void print_line(const struct machine *machine, FILE *out)
{
    const char *address = machine->column[MACHINE_ADDRESS], *port = machine->column[MACHINE_PORT];
    (void)fprintf(out, "%s %s%s%s%s%s%s\n", machine->column[MACHINE_NAME],
                  machine->column[MACHINE_KEY] ? machine->column[MACHINE_KEY] : machine->new_key, address ? " " : "",
                  address ? address : "", port ? " port=" : "", port ? port : "",
                  machine->labels ? machine->labels : "");
}

/* The column that the configuration's parser refuses; NULL: none by itself. */
static const char *column_at_fault(const struct machine *machine)
{
    char error[CONFIG_ERROR_SIZE], name[CONFIG_NAME_SIZE];
    const char *told = machine->column[MACHINE_NAME], *text = machine->column[MACHINE_KEY];
    struct config_address address;
    struct kdnet_key key;
    bool opens = !text || config_parse_key(text, strlen(text), &key, error);
    kdnet_crypto_wipe(&key, sizeof key);
    if (!config_parse_name(told, strlen(told), name, error))
        return column_names[MACHINE_NAME];
    if (!opens)
        return column_names[MACHINE_KEY];
    text = machine->column[MACHINE_ADDRESS];
    return text && !config_parse_machine(text, &address, error) ? column_names[MACHINE_ADDRESS] : NULL;
}

/* Checks a row with the configuration's own parser. */
static void check_target(struct reading *reading, const struct machine *machine)
{
    struct kdnetd_config config;
    char text[1024], error[CONFIG_ERROR_SIZE] = "";
    const char *key = machine->column[MACHINE_KEY], *address = machine->column[MACHINE_ADDRESS];
    int length = snprintf(text, sizeof text, "%s=%s%s%s", machine->column[MACHINE_NAME], key ? key : machine->new_key,
                          address ? "@" : "", address ? address : "");
    config_init(&config);
    if (length < 0 || (size_t)length >= sizeof text)
        machine_list_complain(reading->list, machine->line, NULL, NULL, "has a name, key or address that is too long");
    else if (strpbrk(machine->column[MACHINE_NAME], "=@# \t"))
        machine_list_complain(reading->list, machine->line, "name", machine->column[MACHINE_NAME],
                              "has a character that a name cannot have; write A-Z a-z 0-9 . _ -");
    else if (!config_add(&config, "target", text, error))
        machine_list_complain(reading->list, machine->line, column_at_fault(machine), NULL, error);
    config_clear(&config);
    kdnet_crypto_wipe(text, sizeof text);
}

static void check_setup(struct reading *reading, const struct machine *machine)
{
    struct machine_setup setup = {.host_ip = machine->column[MACHINE_HOST_IP]};
    char ip[MACHINE_SETUP_IP_SIZE];
    const char *port = machine->column[MACHINE_PORT], *busparams = machine->column[MACHINE_BUSPARAMS];
    if (setup.host_ip && !machine_setup_address(&setup, ip))
        machine_list_complain(reading->list, machine->line, "host_ip", machine->column[MACHINE_HOST_IP],
                              "is not an address of one host (IPv4 or IPv6)");
    if (port && !machine_setup_port(port, &setup.port))
        machine_list_complain(reading->list, machine->line, "port", port, "is not a number from 1 to 65535");
    if (busparams && !machine_setup_busparams(busparams))
        machine_list_complain(reading->list, machine->line, "busparams", busparams,
                              "is not BUS.DEVICE.FUNCTION, 0-255.0-31.0-7 in decimal");
    for (int i = MACHINE_NODHCP; i <= MACHINE_NOUMEX; ++i)
        if (machine->column[i] && strcmp(machine->column[i], "true") != 0 && strcmp(machine->column[i], "false") != 0)
            machine_list_complain(reading->list, machine->line, column_names[i], machine->column[i],
                                  "is neither true nor false");
}

/* False: out of memory. */
static bool add_machine(struct reading *reading)
{
    struct machine_list *list = reading->list;
    if (list->count == list->room) {
        size_t room = list->room == 0 ? 64 : list->room * 2;
        struct machine *larger = realloc(list->machines, room * sizeof *larger);
        if (!larger)
            return false;
        list->machines = larger;
        list->room = room;
    }
    struct machine *machine = &list->machines[list->count++];
    *machine = (struct machine){.line = reading->row.line};
    for (size_t i = 0; i < reading->row.count; ++i)
        if (!add_field(reading, machine, i))
            return false;
    return true;
}

static void read_row(struct reading *reading)
{
    struct machine_list *list = reading->list;
    if (reading->row.count > reading->heading.count) {
        machine_list_complain(list, reading->row.line, NULL, NULL,
                              "has more fields than the first line names columns; put fields with commas in quotes");
        return;
    }
    if (!add_machine(reading)) {
        machine_list_complain(list, reading->row.line, NULL, NULL, "out of memory");
        return;
    }
    struct machine *machine = &list->machines[list->count - 1];
    if (!machine->column[MACHINE_NAME]) {
        machine_list_complain(list, machine->line, "name", NULL, "is empty; give each machine a name");
        return;
    }
    size_t before = list->mistakes;
    check_key(reading, machine);
    check_setup(reading, machine);
    if (list->mistakes == before)
        check_target(reading, machine);
}

static int compare_column(const struct machine *a, const struct machine *b, enum machine_column column)
{
    const char *x = a->column[column] ? a->column[column] : "", *y = b->column[column] ? b->column[column] : "";
    int order = strcmp(x, y);
    return order != 0 ? order : (a->line > b->line) - (a->line < b->line);
}

static int by_name(const void *a, const void *b)
{
    return compare_column(*(struct machine *const *)a, *(struct machine *const *)b, MACHINE_NAME);
}

static int by_key(const void *a, const void *b)
{
    return compare_column(*(struct machine *const *)a, *(struct machine *const *)b, MACHINE_KEY);
}

static void find_twins(struct machine_list *list, enum machine_column column, int (*order)(const void *, const void *))
{
    struct machine **sorted = calloc(list->count + 1, sizeof *sorted); // NOLINT(bugprone-sizeof-expression)
    if (!sorted) {
        machine_list_complain(list, 0, NULL, NULL, "out of memory");
        return;
    }
    for (size_t i = 0; i < list->count; ++i)
        sorted[i] = &list->machines[i];
    qsort(sorted, list->count, sizeof *sorted, order); // NOLINT(bugprone-sizeof-expression)
    for (size_t i = 1; i < list->count; ++i) {
        const char *one = sorted[i - 1]->column[column], *other = sorted[i]->column[column];
        char what[96];
        if (!one || !other || strcmp(one, other) != 0)
            continue;
        (void)snprintf(what, sizeof what, "is that of line %zu, too; each machine has its own", sorted[i - 1]->line);
        machine_list_complain(list, sorted[i]->line, column_names[column], column == MACHINE_NAME ? other : NULL, what);
    }
    free(sorted);
}

static void read_rows(struct reading *reading)
{
    struct machine_list *list = reading->list;
    if (csv_next(&reading->csv, &reading->heading))
        read_heading(reading);
    else if (reading->csv.error[0] == '\0')
        machine_list_complain(list, 0, NULL, NULL, "is empty; the first line names the columns, as in: name,address");
    if (list->mistakes > 0)
        return;
    while (csv_next(&reading->csv, &reading->row))
        read_row(reading);
    if (reading->csv.error[0] != '\0')
        machine_list_complain(list, reading->csv.error_line, NULL, NULL, reading->csv.error);
    else if (list->count == 0)
        machine_list_complain(list, 0, NULL, NULL, "names no machine; write a line for each below the first");
}

int machine_list_read(struct machine_list *list, const struct command *command, const char *path, bool keys)
{
    struct reading reading = {.list = list, .keys = keys};
    *list = (struct machine_list){.command = command, .path = path};
    if (!csv_open(&reading.csv, path)) {
        machine_list_complain(list, 0, NULL, NULL, reading.csv.error);
        return COMMAND_USAGE;
    }
    read_rows(&reading);
    find_twins(list, MACHINE_NAME, by_name);
    find_twins(list, MACHINE_KEY, by_key);
    csv_close(&reading.csv);
    if (list->mistakes > MISTAKES_MAX)
        (void)fprintf(stderr, "%zu mistakes more\n", list->mistakes - MISTAKES_MAX);
    return list->mistakes == 0 ? COMMAND_OK : COMMAND_USAGE;
}

void machine_list_clear(struct machine_list *list)
{
    for (size_t i = 0; i < list->count; ++i) {
        struct machine *machine = &list->machines[i];
        if (machine->column[MACHINE_KEY])
            kdnet_crypto_wipe(machine->column[MACHINE_KEY], strlen(machine->column[MACHINE_KEY]));
        for (int column = 0; column < MACHINE_COLUMNS; ++column)
            free(machine->column[column]);
        free(machine->labels);
        kdnet_crypto_wipe(machine->new_key, sizeof machine->new_key);
    }
    free(list->machines);
    *list = (struct machine_list){0};
}

void machine_list_print_targets(const struct machine_list *list, FILE *out)
{
    (void)fputs("# Machines of kdnetd (targets_file). It holds their keys: " REMEDY_CLOSE_FILE ".\n"
                "# name key [address] [port=N] [label=value]...\n",
                out);
    for (size_t i = 0; i < list->count; ++i)
        print_line(&list->machines[i], out);
}
