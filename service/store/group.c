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
static void keep(struct store_group *group, struct store_line *line, uint64_t seq, bool caught_up)
{
    store_line_clear(line);
    group->events[group->count++] = (struct store_event){.seq = seq,
                                                         .time_us = line->time_us,
                                                         .id = line->id,
                                                         .type = line->type,
                                                         .target = text_or_null(line->target),
                                                         .crash = text_or_null(line->crash),
                                                         .line = line->text,
                                                         .length = line->length,
                                                         .caught_up = caught_up};
}

/* Lines that this process made are read no further than is needed. */
static bool take(const struct store_queued *queued, struct store_line *line)
{
    return (queued->facts.id && store_line_take(queued->text, queued->length, &queued->facts, line)) ||
           store_line_parse(queued->text, queued->length, line);
}

int store_group_add(struct store_group *group, struct database *database, const struct store_queued *queued,
                    bool caught_up)
{
    struct store_line *line = &group->lines[group->count];
    uint64_t seq = 0;
    if (!take(queued, line))
        return line->no_memory ? DATABASE_NO_MEMORY : 0;
    int code = database_add(database, line, &seq);
    if (code == 0 && seq > 0)
        keep(group, line, seq, caught_up);
    else
        store_line_clear(line);
    return code;
}

void store_group_pass(struct store_group *group, const struct store_queued *queued, uint64_t seq)
{
    struct store_line *line = &group->lines[group->count];
    if (take(queued, line))
        keep(group, line, seq, false);
}
