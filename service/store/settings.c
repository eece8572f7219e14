/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/store_internal.h"

#include <stdlib.h>
#include <string.h>

void store_settings_clear(struct store_settings *settings)
{
    free(settings->path);
    free(settings->results);
    for (size_t i = 0; i < settings->sink_count; ++i)
        free(settings->sinks[i]);
    free(settings->sinks);
    *settings = (struct store_settings){0};
}

/* False: out of memory. NULL stays NULL. */
static bool copy_text(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return !from || *to;
}

static bool copy_sinks(struct store_settings *to, const struct store_options *from)
{
    to->sinks = calloc(from->sink_count + 1, sizeof *to->sinks);
    if (!to->sinks)
        return false;
    for (; to->sink_count < from->sink_count; ++to->sink_count)
        if (!copy_text(&to->sinks[to->sink_count], from->sinks[to->sink_count]))
            return false;
    return true;
}

bool store_settings_copy(struct store_settings *to, const struct store_options *from)
{
    bool has_results = from->results && strcmp(from->results, "-") != 0;
    *to = (struct store_settings){.retain_days = from->retain_days ? from->retain_days : STORE_RETAIN_DAYS,
                                  .retain_bytes = from->retain_bytes ? from->retain_bytes : STORE_RETAIN_BYTES};
    if (copy_text(&to->path, from->path) && copy_text(&to->results, has_results ? from->results : NULL) &&
        copy_sinks(to, from))
        return true;
    store_settings_clear(to);
    return false;
}
