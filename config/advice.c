/* SPDX-License-Identifier: Apache-2.0 */
/* Warns of settings that are legal but have no or another effect than they seem: policies, keys. advice_http.c:
 * HTTP. */
#include "config/advice.h"
#include "kdnet/key.h"

#include <stddef.h>

struct advice {
    enum config_break kind;
    enum config_action action;
    const char *text;
};

static const struct advice all[] = {
    {CONFIG_BREAK_BUGCHECK_FIRST, CONFIG_ACTION_HOLD,
     "holds a machine before its dump begins: no dump is written while it is held; leave bugcheck_first at continue, "
     "or set hold_for"},
    {CONFIG_BREAK_BUGCHECK_FIRST, CONFIG_ACTION_REBOOT,
     "reboots a machine before its dump begins: no dump is ever written; leave bugcheck_first at continue"},
    {CONFIG_BREAK_BUGCHECK_SECOND, CONFIG_ACTION_CONTINUE,
     "continues a machine that can only break in again at once, for ever; use hold, or reboot"},
    {CONFIG_BREAK_LOAD_SYMBOLS, CONFIG_ACTION_HOLD,
     "holds a machine at each image that it loads: it does not finish booting; leave load_symbols at continue"},
    {CONFIG_BREAK_LOAD_SYMBOLS, CONFIG_ACTION_REBOOT,
     "reboots a machine at each image that it loads: it never boots; leave load_symbols at continue"},
    {CONFIG_BREAK_SHUTDOWN, CONFIG_ACTION_HOLD,
     "holds a machine that shuts down or restarts in the ordinary way, too; use it with hold_for"},
};

static void advise_policy(const struct kdnetd_config *config, const struct config_policy *policy,
                          const struct config_spot *where, struct config_report *report)
{
    uint64_t hold_for_ms = policy->hold_for_ms != 0 ? policy->hold_for_ms : config->policy.hold_for_ms;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; ++i) {
        bool ends = all[i].action == CONFIG_ACTION_HOLD && hold_for_ms != CONFIG_HOLD_FOR_EVER;
        if (policy->action[all[i].kind] == all[i].action && !ends)
            config_report_add(report, where, "warning: %s=%s %s", config_break_name(all[i].kind),
                              config_action_name(all[i].action), all[i].text);
    }
}

const char *advice_file(const struct kdnetd_config *config, const struct config_place *place)
{
    bool is_option = place->source == CONFIG_SOURCE_OPTIONS || place->source >= config->source_count;
    return is_option ? "command line" : config->sources[place->source];
}

/* One warning for all guessable keys, at the first. */
static void advise_keys(const struct kdnetd_config *config, struct config_report *report)
{
    const struct config_target *first = NULL;
    size_t count = 0;
    for (size_t i = 0; i < config->target_count; ++i)
        if (kdnet_key_is_guessable(&config->targets[i].key) && count++ == 0)
            first = &config->targets[i];
    if (!first)
        return;
    const struct config_place *place = &first->place;
    struct config_spot spot = {advice_file(config, place), place->source, place->line, place->column, first->name};
    config_report_add(
        report, &spot,
        "warning: keys that can be guessed: %zu of %zu, this one first; who has a key can read and change "
        "the machine's memory: make one with `kdnetctl keygen`",
        count, config->target_count);
}

void config_advise(const struct kdnetd_config *config, struct config_report *report)
{
    for (unsigned kind = 0; kind < CONFIG_BREAKS; ++kind) {
        const struct config_place *place = &config->set_at[CONFIG_SET_POLICY + kind];
        struct config_policy one = {.hold_for_ms = config->policy.hold_for_ms};
        one.action[kind] = config->policy.action[kind];
        struct config_spot spot = {advice_file(config, place), place->source, place->line, place->column, "policy"};
        advise_policy(config, &one, &spot, report);
    }
    for (size_t i = 0; i < config->target_count; ++i) {
        const struct config_target *target = &config->targets[i];
        const struct config_place *place = &target->place;
        struct config_spot spot = {advice_file(config, place), place->source, place->line, place->column, target->name};
        advise_policy(config, &target->policy, &spot, report);
    }
    advise_keys(config, report);
    advise_http(config, report);
    config_report_sort(report);
}
