/* SPDX-License-Identifier: Apache-2.0 */
/* relay_capture: what the relay delivered, as a pcap file of IPv4 datagrams. One at a time. */
#ifndef TESTS_SOAK_RELAY_CAPTURE_H
#define TESTS_SOAK_RELAY_CAPTURE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False: the file cannot be written; errno says why. */
bool relay_capture_open(const char *path);
void relay_capture(const struct sockaddr_in *source, const struct sockaddr_in *destination, const uint8_t *bytes,
                   size_t length);
void relay_capture_close(void);

#endif
