/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/release_gate.h"

#include <stdlib.h>

#define CAPACITY_MIN 64U

void release_gate_init(struct release_gate *release_gate)
{
    *release_gate = (struct release_gate){.rows = NULL};
}

void release_gate_clear(struct release_gate *release_gate)
{
    free(release_gate->rows);
    release_gate_init(release_gate);
}

static struct release_gate_entry *row_at(const struct release_gate *release_gate, size_t n)
{
    return &release_gate->rows[(release_gate->first + n) % release_gate->capacity];
}

static bool grow(struct release_gate *release_gate)
{
    size_t capacity = release_gate->capacity > 0 ? release_gate->capacity * 2 : CAPACITY_MIN;
    struct release_gate_entry *rows = calloc(capacity, sizeof *rows);
    if (!rows)
        return false;
    for (size_t i = 0; i < release_gate->count; ++i)
        rows[i] = *row_at(release_gate, i);
    free(release_gate->rows);
    release_gate->rows = rows;
    release_gate->first = 0;
    release_gate->capacity = capacity;
    return true;
}

bool release_gate_add(struct release_gate *release_gate, uint32_t id, uint64_t mark, uint64_t now_us)
{
    if (release_gate->slow || (release_gate->count == release_gate->capacity && !grow(release_gate)))
        return false;
    ++release_gate->count;
    *row_at(release_gate, release_gate->count - 1) =
        (struct release_gate_entry){.id = id, .mark = mark, .until_us = now_us + RELEASE_GATE_US};
    return true;
}

bool release_gate_next(struct release_gate *release_gate, uint64_t settled, bool all_settled, uint64_t now_us,
                       uint32_t *id)
{
    if (all_settled)
        release_gate->slow = false;
    if (release_gate->count == 0)
        return false;
    const struct release_gate_entry *row = row_at(release_gate, 0);
    bool written = all_settled || row->mark <= settled;
    if (!written && now_us < row->until_us && !release_gate->slow)
        return false;
    release_gate->slow = release_gate->slow || !written;
    *id = row->id;
    release_gate->first = (release_gate->first + 1) % release_gate->capacity;
    --release_gate->count;
    return true;
}

uint64_t release_gate_deadline(const struct release_gate *release_gate)
{
    return release_gate->count > 0 ? row_at(release_gate, 0)->until_us : UINT64_MAX;
}
