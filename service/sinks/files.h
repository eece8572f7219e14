/* SPDX-License-Identifier: Apache-2.0 */
/* files: the files that a sink shows its receiver, or checks it by: tokens, certificates, credentials. Private to
 * sinks/. */
#ifndef SERVICE_SINKS_FILES_H
#define SERVICE_SINKS_FILES_H

#include "config/config.h"

/* Returns a number that changes when one of the sink's files is written, replaced, made or removed. */
uint64_t files_stamp(const struct config_sink *config);

#endif
