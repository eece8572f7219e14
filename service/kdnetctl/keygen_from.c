/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl keygen --from: keys for many machines. */
#include "service/kdnetctl/commands.h"
#include "service/kdnetctl/keygen.h"
#include "service/kdnetctl/machine_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 4096

static bool is_true(const char *text)
{
    return text && strcmp(text, "true") == 0;
}

/* A machine's row overrides the command line. */
static void fill_setup(const struct machine *machine, const struct machine_setup *usual, struct machine_setup *out,
                       char ip[static MACHINE_SETUP_IP_SIZE])
{
    *out = *usual;
    out->name = machine->column[MACHINE_NAME];
    out->key = machine->new_key;
    if (machine->column[MACHINE_HOST_IP]) {
        out->host_ip = machine->column[MACHINE_HOST_IP];
        out->ipv6 = false;
        (void)machine_setup_address(out, ip);
    }
    if (machine->column[MACHINE_PORT])
        (void)machine_setup_port(machine->column[MACHINE_PORT], &out->port);
    if (machine->column[MACHINE_BUSPARAMS])
        out->busparams = machine->column[MACHINE_BUSPARAMS];
    if (machine->column[MACHINE_NODHCP])
        out->nodhcp = is_true(machine->column[MACHINE_NODHCP]);
    if (machine->column[MACHINE_NOUMEX])
        out->noumex = is_true(machine->column[MACHINE_NOUMEX]);
}

static bool make_path(const char *folder, const char *name, const char *ending, char path[static PATH_SIZE])
{
    int length = snprintf(path, PATH_SIZE, "%s/%s%s", folder, name, ending);
    return length > 0 && length < PATH_SIZE;
}

static FILE *create(const char *folder, const char *name, const char *ending)
{
    char path[PATH_SIZE];
    errno = ENAMETOOLONG;
    return make_path(folder, name, ending, path) ? fopen(path, "wxe") : NULL;
}

static bool finish(FILE *file)
{
    bool good = !ferror(file);
    return fclose(file) == 0 && good;
}

static bool write_script(const struct machine *machine, const struct machine_setup *usual, const char *folder)
{
    char ip[MACHINE_SETUP_IP_SIZE];
    struct machine_setup setup;
    FILE *file = create(folder, machine->column[MACHINE_NAME], ".ps1");
    if (!file)
        return false;
    fill_setup(machine, usual, &setup, ip);
    machine_setup_ps1(&setup, file);
    return finish(file);
}

static bool write_all(const struct machine_list *list, const struct machine_setup *setup, const char *folder)
{
    FILE *file = create(folder, "targets", "");
    if (!file)
        return false;
    machine_list_print_targets(list, file);
    if (!finish(file))
        return false;
    for (size_t i = 0; i < list->count; ++i)
        if (!write_script(&list->machines[i], setup, folder))
            return false;
    return true;
}

static void remove_all(const struct machine_list *list, const char *folder)
{
    char path[PATH_SIZE];
    if (make_path(folder, "targets", "", path))
        (void)unlink(path);
    for (size_t i = 0; i < list->count; ++i)
        if (make_path(folder, list->machines[i].column[MACHINE_NAME], ".ps1", path))
            (void)unlink(path);
    (void)rmdir(folder);
}

/* Everything is written beside, and then renamed: the folder is complete or absent. */
static int write_folder(const struct machine_list *list, const struct machine_setup *setup, const char *folder)
{
    char beside[PATH_SIZE];
    struct stat status;
    if ((size_t)snprintf(beside, sizeof beside, "%s.new", folder) >= sizeof beside) {
        command_say(&command_keygen, "--out is too long");
        return COMMAND_USAGE;
    }
    if (lstat(folder, &status) == 0) {
        command_say(&command_keygen, "--out %s is there already, and nothing was written; name a new folder", folder);
        return COMMAND_USAGE;
    }
    (void)umask(S_IRWXG | S_IRWXO);
    if (mkdir(beside, S_IRWXU) != 0) {
        command_say(&command_keygen, "%s cannot be made: %s", beside, strerror(errno));
        return COMMAND_FAILED;
    }
    if (write_all(list, setup, beside) && rename(beside, folder) == 0)
        return COMMAND_OK;
    command_say(&command_keygen, "%s cannot be written: %s; nothing is left of it", beside, strerror(errno));
    remove_all(list, beside);
    return COMMAND_FAILED;
}

static void check_hosts(struct machine_list *list, const struct machine_setup *setup)
{
    for (size_t i = 0; i < list->count && !setup->host_ip; ++i)
        if (!list->machines[i].column[MACHINE_HOST_IP])
            machine_list_complain(list, list->machines[i].line, "host_ip", NULL,
                                  "is missing: kdnetd's address as the machine reaches it; give it here, or for all "
                                  "machines by --host-ip");
}

int keygen_from(const char *path, const char *folder, const struct machine_setup *setup)
{
    struct machine_list list;
    int status = machine_list_read(&list, &command_keygen, path, false);
    if (status == COMMAND_OK)
        check_hosts(&list, setup);
    if (list.mistakes > 0)
        status = COMMAND_USAGE;
    if (status == COMMAND_OK)
        status = write_folder(&list, setup, folder);
    if (status == COMMAND_OK)
        (void)printf("%s: a targets file and scripts for %zu machines. They hold keys: give each machine its own "
                     "script alone,\nand delete the folder then. Add the targets file to kdnetd's configuration "
                     "(targets_file), and reload it.\n",
                     folder, list.count);
    machine_list_clear(&list);
    if (status == COMMAND_OK && fflush(stdout) != 0)
        return COMMAND_FAILED;
    return status;
}
