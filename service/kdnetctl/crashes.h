/* SPDX-License-Identifier: Apache-2.0 */
/* crashes: how a crash is shown. Uses ask. */
#ifndef SERVICE_CTL_CRASHES_H
#define SERVICE_CTL_CRASHES_H

#include "service/kdnetctl/ask.h"
#include "service/kdnetctl/fields.h"

/* Prints a list of crashes as a table; nothing when it is empty. */
void crashes_print_list(const struct ask *ask, const json_t *list);

/* Returns the verdict in words, with the assessment of an unknown dump: "unknown, probably written". */
const char *crashes_verdict(const json_t *crash, char out[static FIELDS_SIZE]);

/* Prints one crash in full. */
void crashes_print_one(const struct ask *ask, const json_t *crash);

/* The columns of a list of crashes, and a row. */
#define CRASHES_COLUMNS 7
extern const struct table_column crashes_columns[CRASHES_COLUMNS];
bool crashes_row(const struct ask *ask, const json_t *crash, struct table *table);

#endif
