/* SPDX-License-Identifier: Apache-2.0 */
/* keygen: keys for many machines at once. Uses machine_list, machine_setup. */
#ifndef SERVICE_CTL_KEYGEN_H
#define SERVICE_CTL_KEYGEN_H

#include "service/kdnetctl/machine_setup.h"

/* A fresh key for each machine of a CSV file, in a new folder: a targets file, and a script for each machine. `setup`
 * is what a row does not say. The folder is there whole or not at all. Returns the exit status. */
int keygen_from(const char *path, const char *folder, const struct machine_setup *setup);

#endif
