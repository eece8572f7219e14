/* SPDX-License-Identifier: Apache-2.0 */
/* names: the tables behind kdnet_status_name and kdnet_bugcheck_name, for tests and listings. */
#ifndef KDNET_BASE_NAMES_H
#define KDNET_BASE_NAMES_H

#include "kdnet/names.h"

#include <stddef.h>
#include <stdint.h>

struct kdnet_name {
    uint32_t value;
    const char *name; /* spelled as in the header; never NULL; ASCII letters, digits and underscores */
};

/* Strictly ascending by value. */
extern const struct kdnet_name kdnet_status_names[];
extern const size_t kdnet_status_name_count;
extern const struct kdnet_name kdnet_bugcheck_names[];
extern const size_t kdnet_bugcheck_name_count;

#endif
