/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policies: policies in libkdnet's form, with the machines' labels; machines with equal policy and labels share one, so
 * that a row costs nothing for its labels.
 *
 * A reload makes a new struct policies, gives its policies to all sessions, and then clears the old one, or keeps it
 * when a session had to stay as it was.
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
    struct policies_item **slots; /* hash of shared items: open addressing; NULL: free */
    size_t count, slot_count;
};

void policies_init(struct policies *policies);
void policies_clear(struct policies *policies);

/* Policies of `from` live on as long as those of `policies`; `from` becomes empty. */
void policies_keep(struct policies *policies, struct policies *from);

/* Returns the policy of a target; it lives until policies_clear. NULL: out of memory. */
const struct kdnet_policy *policies_of(struct policies *policies, const struct kdnetd_config *config,
                                       const struct config_target *target);

/* Returns the policy of machines that must go on at every break; without labels; as above. */
const struct kdnet_policy *policies_to_let_go(struct policies *policies);

/* Returns the labels of the target that a policy from here was made for; NULL: none. They live as long as the
 * policy. */
const struct config_labels *policies_labels(const struct kdnet_policy *policy);

/* kdnet's policy out of the configuration; `target` NULL: for all. */
void policies_make(const struct kdnetd_config *config, const struct config_target *target, struct kdnet_policy *out);

#endif
