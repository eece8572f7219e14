/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reads: which further values are read at a break: those that are there by default, and what the configuration adds.
 *
 * Uses config and kdnet/evidence. The defaults are names that the public symbols of all kernels from Windows 8 on have
 * (PROTOCOL section 8); README.md says which help whom, and what they cost.
 */
#ifndef SERVICE_READS_H
#define SERVICE_READS_H

#include "config/config.h"
#include "kdnet/session/evidence.h"

/*
 * Makes the list of a configuration; its version goes up. A configured read takes the place of the default of its name.
 * Without any place for symbols there are no defaults: each would only say that there are no symbols.
 */
void reads_make(struct kdnet_reads *reads, const struct kdnetd_config *config);

#endif
