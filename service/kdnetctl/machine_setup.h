/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_setup: what to do on a Windows machine so that it debugs to kdnetd: as text for a person, or as a PowerShell
 * script that checks, applies and undoes.
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

void machine_setup_text(const struct machine_setup *setup, FILE *out);
void machine_setup_ps1(const struct machine_setup *setup, FILE *out);

#endif
