/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl backup: a copy of the store, while kdnetd goes on. */
#include "config/remedies.h"
#include "service/kdnetctl/ask.h"
#include "service/kdnetctl/commands.h"
#include "service/kdnetctl/fields.h"
#ifdef KDNETD_STORE
#include "service/store/store_read.h"
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_STORE = 1 };

static int copy(const char *store, const char *path)
{
#ifdef KDNETD_STORE
    char error[STORE_ERROR_SIZE] = "";
    if (store_backup(store, path, error)) {
        command_print_argument(stdout, path);
        (void)puts(": a copy of the store, of this moment");
        return COMMAND_OK;
    }
    command_say(&command_backup, "%s", error);
#else
    (void)store;
    (void)path;
    command_say(&command_backup, "this kdnetctl was built without SQLite; build it with libsqlite3-dev");
#endif
    return COMMAND_FAILED;
}

/* Finds the store of the running kdnetd; NULL after a complaint. */
static char *find_store(const struct client_options *options, int *status)
{
    struct client *client;
    json_t *answer = NULL;
    char *path = NULL;
    *status = client_open(&client, &command_backup, options);
    if (*status != COMMAND_OK)
        return NULL;
    *status = client_get(client, "/api/v1/status", &answer);
    const char *told = fields_text(answer, "store.path", NULL);
    if (*status == COMMAND_OK && !told) {
        command_say(&command_backup, "this kdnetd has no store (`store: none`?); --store PATH names one");
        *status = COMMAND_FAILED;
    } else if (*status == COMMAND_OK) {
        path = strdup(told);
    }
    json_decref(answer);
    client_close(client);
    return path;
}

static int run_backup(int count, char **arguments)
{
    struct ask ask;
    int status = COMMAND_OK;
    if (!ask_parse(&ask, &command_backup, count, arguments, 1, 1))
        return ask.status;
    const char *told = ask_value(&ask, OPTION_STORE);
    char *store = told ? strdup(told) : find_store(&ask.options, &status);
    if (store)
        status = copy(store, ask.words[0]);
    free(store);
    return ask_end(&ask, status);
}

static const struct command_option options[] = {
    {"store", "PATH", OPTION_STORE, "the store, when kdnetd does not run; else kdnetd says where it is"}, {0}};

const struct command command_backup = {
    .name = "backup",
    .summary = "copy the store while kdnetd goes on",
    .arguments = "FILE [--store PATH]",
    .text = "Writes a copy of the store, as it is at one moment, into FILE, which it replaces. "
            "Run it " WORDS_AS_WHOM ", or as kdnetd's user: it\n"
            "reads the store itself.\n",
    .options = options,
    .asks = true,
    .run = run_backup};
