/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/responses.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void responses_init(struct responses *responses, uint64_t seed)
{
    *responses = (struct responses){.seed = seed};
}

void responses_clear(struct responses *responses)
{
    free(responses->entries);
    responses_init(responses, responses->seed);
}

static struct response_entry *set_of(const struct responses *responses, const struct address *source,
                                     uint16_t local_port)
{
    uint64_t hash = address_hash(source, responses->seed) + local_port;
    return &responses->entries[hash % RESPONSES_SETS * RESPONSES_WAYS];
}

static bool is_there(const struct response_entry *entry, const struct address *source, uint16_t local_port)
{
    return entry->row != 0 && entry->local_port == local_port && address_equal(&entry->source, source);
}

void responses_note(struct responses *responses, const struct address *source, uint16_t local_port, uint32_t row)
{
    if (!responses->entries)
        responses->entries = calloc(RESPONSES_SETS * RESPONSES_WAYS, sizeof *responses->entries);
    if (!responses->entries)
        return;
    responses_forget(responses, source, local_port, row);
    struct response_entry *set = set_of(responses, source, local_port);
    responses->count += set[RESPONSES_WAYS - 1].row == 0;
    memmove(set + 1, set, (RESPONSES_WAYS - 1) * sizeof *set);
    set[0] = (struct response_entry){.source = *source, .local_port = local_port, .row = row + 1};
}

void responses_forget(struct responses *responses, const struct address *source, uint16_t local_port, uint32_t row)
{
    if (responses->count == 0)
        return;
    struct response_entry *set = set_of(responses, source, local_port);
    for (size_t i = 0; i < RESPONSES_WAYS; ++i) {
        if (set[i].row != row + 1 || !is_there(&set[i], source, local_port))
            continue;
        memmove(set + i, set + i + 1, (RESPONSES_WAYS - 1 - i) * sizeof *set);
        set[RESPONSES_WAYS - 1].row = 0;
        --responses->count;
        return;
    }
}

size_t responses_at(const struct responses *responses, const struct address *source, uint16_t local_port,
                    uint32_t rows[static RESPONSES_WAYS])
{
    size_t found = 0;
    if (responses->count == 0)
        return 0;
    const struct response_entry *set = set_of(responses, source, local_port);
    for (size_t i = 0; i < RESPONSES_WAYS; ++i)
        if (is_there(&set[i], source, local_port))
            rows[found++] = set[i].row - 1;
    return found;
}
