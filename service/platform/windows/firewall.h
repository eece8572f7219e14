/* SPDX-License-Identifier: Apache-2.0 */
/* firewall: the Windows firewall rule that admits machines' datagrams to this program, by netsh. */
#ifndef SERVICE_PLATFORM_WINDOWS_FIREWALL_H
#define SERVICE_PLATFORM_WINDOWS_FIREWALL_H

#include <stdbool.h>
#include <wchar.h>

bool firewall_allow(const wchar_t *program);
bool firewall_forget(void);
bool firewall_is_allowed(void);

#endif
