/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnetctl/ask.h"
#include "service/kdnetctl/commands.h"
#include "service/kdnetctl/fields.h"
#include "service/kdnetctl/printable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <getopt.h>

#define PAGE     1000
#define FIELD_AT 16 /* column of a field's value */

static bool refuse(struct ask *ask, int status)
{
    ask->done = true;
    ask->status = status;
    return false;
}

static bool take_options(struct ask *ask, int count, char **arguments)
{
    int option;
    command_options_start();
    while ((option = command_next_option(ask->command, count, arguments)) != -1) {
        if (option == COMMAND_HELP)
            return refuse(ask, COMMAND_OK);
        if (option == '?')
            return refuse(ask, COMMAND_USAGE);
        if (client_take_option(&ask->options, option))
            continue;
        if (ask->given_count == ASK_OPTIONS_MAX)
            return refuse(ask, command_misuse(ask->command, "too many options", NULL));
        ask->given[ask->given_count].option = option;
        ask->given[ask->given_count++].value = optarg;
    }
    return true;
}

bool ask_parse(struct ask *ask, const struct command *command, int count, char **arguments, size_t least, size_t most)
{
    *ask = (struct ask){.command = command};
    command_memory_start();
    if (!take_options(ask, count, arguments))
        return false;
    ask->words = arguments + optind;
    ask->word_count = (size_t)(count - optind);
    if (ask->word_count < least)
        return refuse(ask, command_misuse(command, "an argument is missing:", command->arguments));
    if (ask->word_count > most)
        return refuse(ask, command_misuse(command, "one argument too many:", ask->words[most]));
    screen_of(stdout, &ask->screen);
    return true;
}

bool ask_begin(struct ask *ask, const struct command *command, int count, char **arguments, size_t least, size_t most)
{
    if (!ask_parse(ask, command, count, arguments, least, most))
        return false;
    int status = client_open(&ask->client, command, &ask->options);
    return status == COMMAND_OK ? true : refuse(ask, status);
}

int ask_end(struct ask *ask, int status)
{
    client_close(ask->client);
    ask->client = NULL;
    if (command_is_short_of_memory()) {
        command_say(ask->command, "out of memory; what it printed is not whole");
        return status == COMMAND_OK ? COMMAND_FAILED : status;
    }
    if (fflush(stdout) != 0 || ferror(stdout))
        return status == COMMAND_OK ? COMMAND_FAILED : status;
    return status;
}

bool ask_given(const struct ask *ask, int option)
{
    for (size_t i = 0; i < ask->given_count; ++i)
        if (ask->given[i].option == option)
            return true;
    return false;
}

const char *ask_value(const struct ask *ask, int option)
{
    const char *value = NULL;
    for (size_t i = 0; i < ask->given_count; ++i)
        if (ask->given[i].option == option)
            value = ask->given[i].value;
    return value;
}

bool ask_wants(const struct ask *ask, int option, const char *value)
{
    if (!ask_given(ask, option))
        return true;
    for (size_t i = 0; value && i < ask->given_count; ++i)
        if (ask->given[i].option == option && strcmp(ask->given[i].value, value) == 0)
            return true;
    return false;
}

bool ask_verdicts(const struct ask *ask, int option)
{
    for (size_t i = 0; i < ask->given_count; ++i)
        if (ask->given[i].option == option && !verdicts_has(ask->given[i].value)) {
            command_misuse(ask->command, "--verdict is " VERDICTS_WORDS "; this is none:", ask->given[i].value);
            return false;
        }
    return true;
}

bool ask_query(const struct ask *ask, char *path, int option, const char *name)
{
    for (size_t i = 0; i < ask->given_count; ++i)
        if (ask->given[i].option == option && !client_query(path, ASK_PATH_SIZE, name, ask->given[i].value)) {
            command_misuse(ask->command, "the options are too long", NULL);
            return false;
        }
    return true;
}

bool ask_number(const struct ask *ask, int option, const char *name, unsigned long most, unsigned long *out)
{
    const char *text = ask_value(ask, option);
    char *end;
    if (!text)
        return true;
    unsigned long value = strtoul(text, &end, 10);
    if (strspn(text, "0123456789") == strlen(text) && text[0] != '\0' && value >= 1 && value <= most) {
        *out = value;
        return true;
    }
    char what[80];
    (void)snprintf(what, sizeof what, "--%s is a number from 1 to %lu; this is none:", name, most);
    command_misuse(ask->command, what, text);
    return false;
}

bool ask_since(const struct ask *ask, int option, int64_t *since_us)
{
    const char *text = ask_value(ask, option);
    int64_t value;
    if (!text)
        return true;
    if (times_parse_duration(text, &value)) {
        struct timespec now;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        *since_us = (int64_t)now.tv_sec * 1000000 - value * 1000;
        return true;
    }
    if (times_parse(text, &value) && value > 0) {
        *since_us = value;
        return true;
    }
    command_misuse(ask->command,
                   "--since is a duration as 24h, or a time as 2026-11-26T08:14:03Z; this is none:", text);
    return false;
}

bool ask_path(const struct ask *ask, char *path, const char *before, const char *name, const char *after)
{
    (void)snprintf(path, ASK_PATH_SIZE, "/api/v1%s", before);
    size_t room = ASK_PATH_SIZE - strlen(after);
    if (!client_segment(path, room, name) || name[0] == '\0') {
        command_misuse(ask->command, "no target or crash has a name like", name);
        return false;
    }
    (void)strcat(path, after); // NOLINT(clang-analyzer-security.insecureAPI.strcpy): there is room
    return true;
}

static bool give_page(const json_t *list, unsigned long most, unsigned long *given, ask_each *each, void *user)
{
    size_t i;
    const json_t *item;
    json_array_foreach((json_t *)list, i, item)
    { // NOLINT(cert-exp05-c): jansson's macro wants it
        if (most != 0 && *given >= most)
            return false;
        ++*given;
        if (!each(user, item))
            return false;
    }
    return most == 0 || *given < most;
}

/* Writes the path of a page: at most PAGE of the members still wanted. */
static bool page_path(char *out, const char *path, unsigned long wanted, const char *cursor)
{
    char limit[24];
    (void)snprintf(out, ASK_PATH_SIZE, "%s", path);
    (void)snprintf(limit, sizeof limit, "%lu", wanted == 0 || wanted > PAGE ? PAGE : wanted);
    return client_query(out, ASK_PATH_SIZE, "limit", limit) &&
           (!cursor || client_query(out, ASK_PATH_SIZE, "cursor", cursor));
}

int ask_pages(struct ask *ask, const char *path, const char *member, unsigned long most, ask_each *each, void *user,
              json_int_t *total)
{
    char page[ASK_PATH_SIZE];
    unsigned long given = 0;
    json_t *answer = NULL;
    const char *cursor = NULL;
    bool more = true;
    while (more) {
        json_t *next = NULL;
        if (!page_path(page, path, most == 0 ? 0 : most - given, cursor)) {
            json_decref(answer);
            return command_misuse(ask->command, "the options are too long", NULL);
        }
        int status = client_get(ask->client, page, &next);
        json_decref(answer);
        answer = next;
        if (status != COMMAND_OK)
            return status;
        if (total)
            *total = fields_number(answer, "total");
        unsigned long before = given;
        more = give_page(fields_at(answer, member), most, &given, each, user);
        cursor = fields_text(answer, "next", NULL);
        more = more && cursor && given > before;
    }
    json_decref(answer);
    return COMMAND_OK;
}

void ask_print_list(const struct ask *ask, const char *title, const json_t *list, const struct table_column *columns,
                    size_t count, ask_row *row)
{
    struct table *table = table_new(columns, count);
    size_t i;
    const json_t *item;
    json_array_foreach((json_t *)list, i, item)
    { // NOLINT(cert-exp05-c): jansson's macro wants it
        if (!table || !row(ask, item, table)) {
            command_short_of_memory();
            break;
        }
    }
    if (table && table_rows(table) > 0) {
        (void)printf("\n%s%s", title ? title : "", title ? "\n" : "");
        table_print(table, &ask->screen, table_rows(table), stdout);
    }
    table_free(table);
}

struct listing {
    struct ask *ask;
    const struct ask_list *list;
    struct table *table;
};

static bool list_item(void *user, const json_t *item)
{
    struct listing *listing = user;
    if (listing->ask->options.json) {
        client_print_json(item);
        return !ferror(stdout);
    }
    if (listing->table && listing->list->row(listing->ask, item, listing->table))
        return true;
    command_short_of_memory();
    return false;
}

static void print_listing(const struct listing *listing, json_int_t total)
{
    size_t rows = table_rows(listing->table);
    if (rows == 0 && !command_is_short_of_memory())
        (void)fprintf(stderr, "%s\n", listing->list->empty);
    else
        table_print(listing->table, &listing->ask->screen, rows, stdout);
    if (rows > 0 && total > (json_int_t)rows)
        (void)fprintf(stderr, "%zu of %" JSON_INTEGER_FORMAT "; --limit N shows more\n", rows, total);
}

static void start_listing(struct listing *listing)
{
    if (listing->ask->options.json)
        return;
    listing->table = table_new(listing->list->columns, listing->list->column_count);
    if (!listing->table)
        command_short_of_memory();
}

int ask_list(struct ask *ask, const struct ask_list *list)
{
    struct listing listing = {.ask = ask, .list = list};
    json_int_t total = 0;
    start_listing(&listing);
    int status = ask_pages(ask, list->path, list->member, list->most, list_item, &listing, &total);
    if (status == COMMAND_OK && listing.table)
        print_listing(&listing, total);
    table_free(listing.table);
    return status;
}

int ask_print_answer(struct ask *ask, const struct ask_list *list, const json_t *answer)
{
    struct listing listing = {.ask = ask, .list = list};
    unsigned long given = 0;
    start_listing(&listing);
    (void)give_page(fields_at(answer, list->member), 0, &given, list_item, &listing);
    if (listing.table)
        print_listing(&listing, 0);
    table_free(listing.table);
    return COMMAND_OK;
}

const char *ask_time(const struct ask *ask, const json_t *object, const char *path, char out[static TIMES_SIZE])
{
    return times_local(fields_text(object, path, NULL), ask->options.utc, out);
}

enum colour ask_colour(const char *word)
{
    static const struct {
        const char *word;
        enum colour colour;
    } colours[] = {{"written", COLOUR_GOOD},  {"connected", COLOUR_GOOD}, {"ok", COLOUR_GOOD},
                   {"failed", COLOUR_BAD},    {"held", COLOUR_BAD},       {"not_started", COLOUR_BAD},
                   {"wrong", COLOUR_BAD},     {"lost", COLOUR_WARN},      {"unknown", COLOUR_WARN},
                   {"halted", COLOUR_WARN},   {"dumping", COLOUR_WARN},   {"rebooting", COLOUR_WARN},
                   {"degraded", COLOUR_WARN}, {"never_seen", COLOUR_DIM}, {"cannot_tell", COLOUR_WARN}};
    for (size_t i = 0; word && i < sizeof colours / sizeof colours[0]; ++i)
        if (strlen(colours[i].word) == strcspn(word, ",") &&
            strncmp(colours[i].word, word, strlen(colours[i].word)) == 0)
            return colours[i].colour;
    return COLOUR_NONE;
}

void ask_print_field(const struct ask *ask, const char *name, const char *value)
{
    unsigned width = ask->screen.width > FIELD_AT ? ask->screen.width - FIELD_AT : 0;
    if (strcmp(value, "-") == 0)
        return;
    char *copy = printable_copy(value, strlen(value), NULL);
    if (!copy)
        command_short_of_memory();
    enum colour colour = ask_colour(value);
    (void)printf("%-14s  %s", name, colour_begin(&ask->screen, colour));
    if (copy && width > 0)
        (void)printable_print_cut(stdout, copy, width);
    else if (copy)
        (void)fputs(copy, stdout);
    (void)printf("%s\n", colour_end(&ask->screen, colour));
    free(copy);
}

void ask_print_text(const struct ask *ask, const char *name, const char *text)
{
    size_t width = ask->screen.width > 2 * FIELD_AT ? ask->screen.width - FIELD_AT : SIZE_MAX;
    char *copy = printable_copy(text, strlen(text), NULL), *rest = copy;
    if (!copy)
        command_short_of_memory();
    (void)printf("%-14s  ", name);
    while (rest && strlen(rest) > width) {
        size_t cut = width;
        while (cut > 0 && rest[cut] != ' ')
            --cut;
        if (cut == 0) { /* a single long word */
            (void)printable_print_cut(stdout, rest, (unsigned)width);
            rest += strlen(rest);
            break;
        }
        (void)printf("%.*s\n%*s", (int)cut, rest, FIELD_AT, "");
        rest += cut + 1;
    }
    (void)printf("%s\n", rest ? rest : "");
    free(copy);
}
