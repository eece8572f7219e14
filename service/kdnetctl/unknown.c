/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl unknown: senders that poke with a key that no target has. */
#include "service/kdnetctl/ask.h"
#include "service/kdnetctl/commands.h"
#include "service/kdnetctl/fields.h"

static bool unknown_row(const struct ask *ask, const json_t *unknown, struct table *table)
{
    char last[TIMES_SIZE], pokes[FIELDS_SIZE], version[FIELDS_SIZE];
    const char *texts[] = {
        fields_text(unknown, "address", NULL), ask_time(ask, unknown, "last_seen", last),
        fields_cell(unknown, "count", pokes),  fields_cell(unknown, "version", version),
        fields_text(unknown, "target", NULL),  fields_text(unknown, "remedy", fields_text(unknown, "hint", NULL))};
    return table_add(table, texts);
}

static int run_unknown(int count, char **arguments)
{
    static const struct table_column columns[] = {{"ADDRESS", 15, false}, {"LAST SEEN", 12, false},
                                                  {"POKES", 5, true},     {"VERSION", 7, true},
                                                  {"TARGET", 6, false},   {"REMEDY", 20, false}};
    static const struct ask_list list = {.path = "/api/v1/unknown",
                                         .member = "unknown",
                                         .columns = columns,
                                         .column_count = 6,
                                         .row = unknown_row,
                                         .empty = "nobody pokes with a key that no target has"};
    struct ask ask;
    json_t *answer = NULL;
    if (!ask_begin(&ask, &command_unknown, count, arguments, 0, 0))
        return ask.status;
    int status = client_get(ask.client, list.path, &answer);
    if (status == COMMAND_OK)
        status = ask_print_answer(&ask, &list, answer);
    json_decref(answer);
    return ask_end(&ask, status);
}

const struct command command_unknown = {
    .name = "unknown",
    .summary = "list who pokes with a key that no target has",
    .arguments = "",
    .text = "Lists addresses that poke with a key that opens with none of the targets' keys, and what to do.\n",
    .asks = true,
    .run = run_unknown};
