/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policies: what happens after a break, as kdnet wants it, and the labels of the machine beside it; machines with the
 * same policy and labels share one. So a row costs nothing for its labels.
 *
 * Uses config, and of kdnet crash. A reload makes a new struct policies, gives its policies to all sessions, and then
 * clears the old one, or keeps it when it had to leave a session as it was.
 */
#ifndef SERVICE_POLICIES_H
#define SERVICE_POLICIES_H

#include "config/config.h"
#include "kdnet/kernel/crash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct policies_item;

struct policies {
    struct policies_item *first;  /* all of them */
    struct policies_item **slots; /* those that policies_of finds: open addressing; NULL: free */
    size_t count, slot_count;
};

void policies_init(struct policies *policies);
void policies_clear(struct policies *policies);

/* Policies of `from` live on, as long as those of `policies`; `from` is empty then. */
void policies_keep(struct policies *policies, struct policies *from);

/* The policy of a target; it lives until policies_clear. NULL: out of memory. */
const struct kdnet_policy *policies_of(struct policies *policies, const struct kdnetd_config *config,
                                       const struct config_target *target);

/* The policy of machines that are to go on, whatever they stop for; without labels; as above. */
const struct kdnet_policy *policies_to_let_go(struct policies *policies);

/* The labels of the target that a policy of this room was made for; NULL: none. They live as long as it. */
const struct config_labels *policies_labels(const struct kdnet_policy *policy);

/* kdnet's policy out of the configuration; `target` NULL: for all. */
void policies_make(const struct kdnetd_config *config, const struct config_target *target, struct kdnet_policy *out);

#endif
