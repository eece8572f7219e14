/* SPDX-License-Identifier: Apache-2.0 */
/* machine_address: addresses of many machines, all of one port. */
#ifndef TESTS_SERVICE_MACHINE_ADDRESS_H
#define TESTS_SERVICE_MACHINE_ADDRESS_H

#include "service/net/address.h"

#include <stdint.h>

/* ::ffff:10.x.x.x, its last three bytes from `number`. */
static inline struct address machine_address(uint32_t number)
{
    struct address address = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 10}, .port = 51111};
    address.ip[13] = (uint8_t)(number >> 16);
    address.ip[14] = (uint8_t)(number >> 8);
    address.ip[15] = (uint8_t)number;
    return address;
}

#endif
