/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_list: machines from a CSV file, checked row by row with the rules of the configuration.
 *
 * The first row names the columns: name, and any of key, address, host_ip, port, busparams, nodhcp, noumex; every other
 * column is a label of that name.
 */
#ifndef SERVICE_CTL_MACHINE_LIST_H
#define SERVICE_CTL_MACHINE_LIST_H

#include "kdnet/key.h"
#include "service/kdnetctl/command.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum machine_column {
    MACHINE_NAME,
    MACHINE_KEY,
    MACHINE_ADDRESS,
    MACHINE_HOST_IP,
    MACHINE_PORT,
    MACHINE_BUSPARAMS,
    MACHINE_NODHCP,
    MACHINE_NOUMEX,
    MACHINE_COLUMNS,
};

struct machine {
    size_t line;
    char *column[MACHINE_COLUMNS]; /* NULL: empty */
    char *labels;                  /* as in a targets file: " rack=b4 row=7" */
    char new_key[KDNET_KEY_TEXT_SIZE];
};

struct machine_list {
    const struct command *command;
    const char *path;
    struct machine *machines;
    size_t count, room;
    size_t mistakes;
};

/*
 * Reads a file. keys: each machine must have a key; otherwise none may have one, and new ones are made. Returns
 * COMMAND_OK, or another status after each mistake was printed with file, line, field and remedy.
 */
int machine_list_read(struct machine_list *list, const struct command *command, const char *path, bool keys);
void machine_list_clear(struct machine_list *list);

/* Prints a mistake: file, line, field and remedy. */
void machine_list_complain(struct machine_list *list, size_t line, const char *field, const char *text,
                           const char *what);

/* The whole list as a targets file. */
void machine_list_print_targets(const struct machine_list *list, FILE *out);

#endif
