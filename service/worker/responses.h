/* SPDX-License-Identifier: Apache-2.0 */
/*
 * responses: destinations of responses whose machines may send data from there, though their rows have no place there.
 *
 * A row has one candidate place, and a stranger with recorded pokes of many boots could move it with each of them. So
 * each response is noted by its destination: RESPONSES_WAYS in each of RESPONSES_SETS; the oldest is dropped. Rows are
 * noted by id; the id may be another row's by now, whose key will not open the data.
 */
#ifndef SERVICE_RESPONSES_H
#define SERVICE_RESPONSES_H

#include "service/net/address.h"

#include <stddef.h>
#include <stdint.h>

#define RESPONSES_WAYS ((size_t)8)
#define RESPONSES_SETS ((size_t)2048)

struct response_entry {
    struct address source;
    uint16_t local_port;
    uint32_t row; /* + 1; 0: a free entry */
};

struct responses {
    struct response_entry *entries; /* RESPONSES_SETS * RESPONSES_WAYS; NULL until the first */
    uint64_t seed;
    size_t count;
};

void responses_init(struct responses *responses, uint64_t seed);
void responses_clear(struct responses *responses);

/* Without memory for the table, nothing is noted. */
void responses_note(struct responses *responses, const struct address *source, uint16_t local_port, uint32_t row);
void responses_forget(struct responses *responses, const struct address *source, uint16_t local_port, uint32_t row);

/* Finds the rows whose responses went there, newest first. Returns how many. Cost: nothing while the table is empty,
 * else one hash and RESPONSES_WAYS compares. */
size_t responses_at(const struct responses *responses, const struct address *source, uint16_t local_port,
                    uint32_t rows[static RESPONSES_WAYS]);

#endif
