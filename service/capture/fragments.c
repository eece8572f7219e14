/* SPDX-License-Identifier: Apache-2.0 */
#include "service/capture/fragments.h"

#include <stdlib.h>
#include <string.h>

#define UNIT  8U
#define UNITS (FRAGMENTS_LENGTH / UNIT)

/* A packet of which parts are missing. */
struct pending {
    bool used;
    struct kdnet_address from, to;
    uint32_t id;
    uint8_t protocol;
    uint64_t touched; /* arrival of its newest part, counted in parts */
    unsigned parts;
    size_t units;            /* units present */
    size_t length;           /* of the payload; 0: the last part is missing */
    uint8_t have[UNITS / 8]; /* a bit for each unit */
    uint8_t data[FRAGMENTS_LENGTH];
};

struct fragments {
    uint64_t parts;
    struct pending pending[FRAGMENTS_PENDING];
};

struct fragments *fragments_new(void)
{
    return calloc(1, sizeof(struct fragments));
}

void fragments_free(struct fragments *fragments)
{
    free(fragments);
}

static bool is_of(const struct pending *pending, const struct frame_fragment *part)
{
    return pending->used && pending->id == part->id && pending->protocol == part->protocol &&
           kdnet_address_equal(&pending->from, &part->from) && kdnet_address_equal(&pending->to, &part->to);
}

/* Returns the packet of a part; a new packet takes a free place, or that of the packet that waits longest. */
static struct pending *find(struct fragments *fragments, const struct frame_fragment *part)
{
    struct pending *place = &fragments->pending[0];
    for (size_t i = 0; i < FRAGMENTS_PENDING; ++i) {
        struct pending *pending = &fragments->pending[i];
        if (is_of(pending, part))
            return pending;
        if (place->used && (!pending->used || pending->touched < place->touched))
            place = pending;
    }
    memset(place, 0, offsetof(struct pending, data));
    place->used = true;
    place->from = part->from;
    place->to = part->to;
    place->id = part->id;
    place->protocol = part->protocol;
    return place;
}

static void mark(struct pending *pending, size_t offset, size_t length)
{
    for (size_t unit = offset / UNIT; unit < (offset + length + UNIT - 1) / UNIT; ++unit) {
        uint8_t bit = (uint8_t)(1U << unit % 8);
        pending->units += (pending->have[unit / 8] & bit) == 0;
        pending->have[unit / 8] |= bit;
    }
}

unsigned fragments_add(struct fragments *fragments, const struct frame_fragment *part, const uint8_t **data,
                       size_t *length)
{
    bool odd = part->more && part->length % UNIT != 0;
    if (part->cut || odd || part->length == 0 || part->length > FRAGMENTS_LENGTH - part->offset)
        return 0;
    struct pending *pending = find(fragments, part);
    pending->touched = ++fragments->parts;
    ++pending->parts;
    memcpy(pending->data + part->offset, part->data, part->length);
    mark(pending, part->offset, part->length);
    if (!part->more)
        pending->length = part->offset + part->length;
    if (pending->length == 0 || pending->units < (pending->length + UNIT - 1) / UNIT)
        return 0;
    pending->used = false;
    *data = pending->data;
    *length = pending->length;
    return pending->parts;
}
