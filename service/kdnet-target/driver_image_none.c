/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnet-target/driver_image.h"

const struct driver_image driver_images[] = {{KDNET_MACHINE_UNKNOWN, 0, NULL}};
