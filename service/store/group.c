/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/store_internal.h"

#include <stdlib.h>

bool store_group_init(struct store_group *group)
{
    *group = (struct store_group){.lines = calloc(STORE_COMMIT_ROWS, sizeof *group->lines),
                                  .events = calloc(STORE_COMMIT_ROWS, sizeof *group->events)};
    return group->lines && group->events;
}

void store_group_clear(struct store_group *group)
{
    group->count = 0;
}

void store_group_free(struct store_group *group)
{
    free(group->lines);
    free(group->events);
    *group = (struct store_group){0};
}

static const char *text_or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

/* Adds a stored line's event to the group; frees its JSON. */
static void keep(struct store_group *group, struct store_line *line, const char *text, size_t length, uint64_t seq,
                 bool caught_up)
{
    store_line_clear(line);
    group->events[group->count++] = (struct store_event){.seq = seq,
                                                         .time_us = line->time_us,
                                                         .id = line->id,
                                                         .type = line->type,
                                                         .target = text_or_null(line->target),
                                                         .crash = text_or_null(line->crash),
                                                         .line = text,
                                                         .length = length,
                                                         .caught_up = caught_up};
}

int store_group_add(struct store_group *group, struct database *database, const char *text, size_t length,
                    bool caught_up)
{
    struct store_line *line = &group->lines[group->count];
    uint64_t seq = 0;
    if (!store_line_parse(text, length, line))
        return 0;
    int code = database_add(database, line, text, length, &seq);
    if (code == 0 && seq > 0)
        keep(group, line, text, length, seq, caught_up);
    else
        store_line_clear(line);
    return code;
}

void store_group_pass(struct store_group *group, const char *text, size_t length, uint64_t seq)
{
    struct store_line *line = &group->lines[group->count];
    if (store_line_parse(text, length, line))
        keep(group, line, text, length, seq, false);
}
