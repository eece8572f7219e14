/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reads: the further values to read at a break: the defaults, and those of the configuration.
 *
 * The defaults are names in the public symbols of all kernels from Windows 8 on (PROTOCOL section 8); README.md says
 * which help whom, and what they cost.
 */
#ifndef SERVICE_READS_H
#define SERVICE_READS_H

#include "config/config.h"
#include "kdnet/session/evidence.h"

/*
 * Makes the list of a configuration, with a higher version. A configured read replaces the default of the same name.
 * Without any place for symbols there are no defaults: each would only report missing symbols.
 */
void reads_make(struct kdnet_reads *reads, const struct kdnetd_config *config);

#endif
