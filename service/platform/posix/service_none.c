/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/service.h"

#include <stdio.h>

int service_command(int argc, char **argv, int (*run)(int argc, char **argv))
{
    (void)argc;
    (void)argv;
    (void)run;
    (void)fputs("kdnetd: 'service' is for Windows; here systemd runs kdnetd: systemctl enable --now kdnetd\n", stderr);
    return 2;
}
