/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_setup: the steps on a Windows machine that enable debugging by kdnetd: as text for a person, or as a
 * PowerShell script that checks, applies and undoes them.
 *
 * The facts are Microsoft's, from the documentation of bcdedit /dbgsettings and /set {dbgsettings}, of kdnet.exe, and
 * of setting up KDNET by hand.
 */
#ifndef SERVICE_CTL_MACHINE_SETUP_H
#define SERVICE_CTL_MACHINE_SETUP_H

#include <stdbool.h>
#include <stdio.h>

struct machine_setup {
    const char *name, *key;
    const char *host_ip; /* as text */
    bool ipv6;
    unsigned port;
    const char *busparams; /* "b.d.f"; NULL: Windows chooses the network card */
    bool nodhcp;           /* the machine's KDNET does not ask DHCP for an address */
    bool noumex;           /* exceptions of programs do not stop the machine */
};

#define MACHINE_SETUP_IP_SIZE 16 /* bytes of an IPv4 address and its NUL */

/*
 * Checks host_ip, an address of one host, and sets ipv6. An IPv4 address in IPv6's form, ::ffff:192.0.2.1, becomes a
 * plain IPv4 address in `buffer`, because Windows needs that form.
 */
bool machine_setup_address(struct machine_setup *setup, char buffer[static MACHINE_SETUP_IP_SIZE]);
bool machine_setup_port(const char *text, unsigned *port); /* 1 to 65535 */
bool machine_setup_busparams(const char *text);            /* bus, device and function of PCI, decimal */

void machine_setup_text(const struct machine_setup *setup, FILE *out);
void machine_setup_ps1(const struct machine_setup *setup, FILE *out);

#endif
