/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl import: writes machines with existing keys from a CSV file into a targets file. */
#include "config/remedies.h"
#include "service/kdnetctl/ask.h"
#include "service/kdnetctl/commands.h"
#include "service/kdnetctl/machine_list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <fcntl.h>
#include <unistd.h>

enum { OPTION_OUT = 1 };

static int write_new(const struct machine_list *list, const char *path)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    if (!file) {
        command_say(&command_import, "%s cannot be made: %s", path, strerror(errno));
        return errno == EEXIST ? COMMAND_USAGE : COMMAND_FAILED;
    }
    machine_list_print_targets(list, file);
    bool good = !ferror(file);
    if (fclose(file) == 0 && good)
        return COMMAND_OK;
    command_say(&command_import, "%s cannot be written: %s", path, strerror(errno));
    (void)unlink(path);
    return COMMAND_FAILED;
}

static int run_import(int count, char **arguments)
{
    struct ask ask;
    struct machine_list list;
    if (!ask_parse(&ask, &command_import, count, arguments, 1, 1))
        return ask.status;
    const char *path = ask_value(&ask, OPTION_OUT);
    int status = machine_list_read(&list, &command_import, ask.words[0], true);
    if (status == COMMAND_OK && path)
        status = write_new(&list, path);
    else if (status == COMMAND_OK)
        machine_list_print_targets(&list, stdout);
    if (status == COMMAND_OK && path)
        (void)printf("%s: %zu machines. It holds their keys: " REMEDY_CLOSE_FILE "; name it in kdnetd's\n"
                     "configuration (targets_file), and reload it.\n",
                     path, list.count);
    machine_list_clear(&list);
    return ask_end(&ask, status);
}

static const struct command_option options[] = {
    {"out", "FILE", OPTION_OUT, "a new targets file; without it, standard output"}, {0}};

const struct command command_import = {
    .name = "import",
    .summary = "make a targets file of a CSV file",
    .arguments = "FILE.csv [--out FILE]",
    .text =
        "Makes a targets file of machines that have their keys already. The first line of FILE.csv names the columns:\n"
        "name and key, and as wanted address (the machine's) and port (the listening port that it belongs to); every\n"
        "other column is a label. With a mistake in it nothing is written. Machines without keys: keygen --from.\n",
    .options = options,
    .exits = "0 success, 1 FILE cannot be written, 2 wrong usage, or FILE.csv has mistakes.",
    .run = run_import};
