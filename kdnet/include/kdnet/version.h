/* SPDX-License-Identifier: Apache-2.0 */
/* version: version of libkdnet, by semantic versioning. Before 1.0 a new minor version may change the API. */
#ifndef KDNET_VERSION_H
#define KDNET_VERSION_H

#include "kdnet/header.h"

#define KDNET_VERSION_MAJOR 0
#define KDNET_VERSION_MINOR 2
#define KDNET_VERSION_PATCH 0
#define KDNET_VERSION_TEXT  "0.2.0"

KDNET_HEADER_BEGIN

/* Returns KDNET_VERSION_TEXT of the library that is loaded. */
const char *kdnet_version(void);

KDNET_HEADER_END

#endif
