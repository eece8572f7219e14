/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/withheld.h"

#include <stdlib.h>

#define CAPACITY_MIN 64U

void withheld_init(struct withheld *withheld)
{
    *withheld = (struct withheld){.rows = NULL};
}

void withheld_clear(struct withheld *withheld)
{
    free(withheld->rows);
    withheld_init(withheld);
}

static struct withheld_row *row_at(const struct withheld *withheld, size_t n)
{
    return &withheld->rows[(withheld->first + n) % withheld->capacity];
}

static bool grow(struct withheld *withheld)
{
    size_t capacity = withheld->capacity > 0 ? withheld->capacity * 2 : CAPACITY_MIN;
    struct withheld_row *rows = calloc(capacity, sizeof *rows);
    if (!rows)
        return false;
    for (size_t i = 0; i < withheld->count; ++i)
        rows[i] = *row_at(withheld, i);
    free(withheld->rows);
    withheld->rows = rows;
    withheld->first = 0;
    withheld->capacity = capacity;
    return true;
}

bool withheld_add(struct withheld *withheld, uint32_t id, uint64_t mark, uint64_t now_us)
{
    if (withheld->slow || (withheld->count == withheld->capacity && !grow(withheld)))
        return false;
    ++withheld->count;
    *row_at(withheld,
            withheld->count - 1) = (struct withheld_row){.id = id, .mark = mark, .until_us = now_us + WITHHELD_US};
    return true;
}

bool withheld_next(struct withheld *withheld, uint64_t settled, bool all_settled, uint64_t now_us, uint32_t *id)
{
    if (all_settled)
        withheld->slow = false;
    if (withheld->count == 0)
        return false;
    const struct withheld_row *row = row_at(withheld, 0);
    bool written = all_settled || row->mark <= settled;
    if (!written && now_us < row->until_us && !withheld->slow)
        return false;
    withheld->slow = withheld->slow || !written;
    *id = row->id;
    withheld->first = (withheld->first + 1) % withheld->capacity;
    --withheld->count;
    return true;
}

uint64_t withheld_deadline(const struct withheld *withheld)
{
    return withheld->count > 0 ? row_at(withheld, 0)->until_us : UINT64_MAX;
}
