/* SPDX-License-Identifier: Apache-2.0 */
/* keygen: keys for many machines at once. Uses machine_list, machine_setup. */
#ifndef SERVICE_CTL_KEYGEN_H
#define SERVICE_CTL_KEYGEN_H

#include "service/kdnetctl/machine_setup.h"

/* Makes a new key for each machine of a CSV file, in a new folder: a targets file, and a script for each machine.
 * `setup`: values that a row lacks. The folder is complete or absent. Returns the exit status. */
int keygen_from(const char *path, const char *folder, const struct machine_setup *setup);

#endif
