/* SPDX-License-Identifier: Apache-2.0 */
#include "service/net/steer.h"

#include <string.h>

static uint32_t word(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

unsigned steer_worker(const struct steer *steer, const uint8_t ip[static 16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint32_t sum = word(ip + 12);
    if (memcmp(ip, mapped, sizeof mapped) != 0)
        sum ^= word(ip) ^ word(ip + 4) ^ word(ip + 8);
    sum = (sum ^ steer->seed) * STEER_MULTIPLIER;
    sum ^= sum >> STEER_SHIFT;
    return sum % steer->workers;
}
