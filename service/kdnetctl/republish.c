/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl republish: makes a sink deliver again the events since a time. */
#include "service/kdnetctl/ask.h"
#include "service/kdnetctl/commands.h"

#include <stdio.h>

enum { OPTION_SINCE = 1, OPTION_SINK };

static int run_republish(int count, char **arguments)
{
    struct ask ask;
    char path[ASK_PATH_SIZE];
    json_t *answer = NULL;
    if (!ask_begin(&ask, &command_republish, count, arguments, 0, 0))
        return ask.status;
    const char *since = ask_value(&ask, OPTION_SINCE), *sink = ask_value(&ask, OPTION_SINK);
    json_t *body = json_pack("{s:s}", "since", since ? since : "");
    int status = COMMAND_USAGE;
    if (!since || !sink || !body)
        command_misuse(&command_republish, "name a sink and since when, as --sink nats --since 2d", NULL);
    else if (ask_path(&ask, path, "/sinks/", sink, "/republish"))
        status = client_post(ask.client, "POST", path, body, &answer);
    if (status == COMMAND_OK && ask.options.json)
        client_print_json(answer ? answer : json_null());
    else if (status == COMMAND_OK)
        (void)printf("%s: what was told since then is delivered again; `kdnetctl status` says how far it is\n", sink);
    json_decref(answer);
    json_decref(body);
    return ask_end(&ask, status);
}

static const struct command_option options[] = {
    {"since", "TIME", OPTION_SINCE, "RFC 3339, or a duration back from now, as 2d"},
    {"sink", "NAME", OPTION_SINK, "the sink; that of the option nats is called nats"},
    {0}};

const struct command command_republish = {.name = "republish",
                                          .summary = "let a sink deliver again what was told since then",
                                          .arguments = "--since TIME --sink NAME",
                                          .text = "For a receiver that lost what it had, such as a stream that was "
                                                  "deleted. Events keep their ids: who takes ids\n"
                                                  "has none twice. The store has what `retain` allows.\n",
                                          .options = options,
                                          .asks = true,
                                          .run = run_republish};
