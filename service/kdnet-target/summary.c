/* SPDX-License-Identifier: Apache-2.0 */
/* The summary printed at the end. */
#include "service/kdnet-target/fleet.h"
#include "service/kdnet-target/fleet_internal.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <string.h>

#define US_PER_MS 1000U

static const char *state_name(enum machine_state state)
{
    switch (state) {
    case MACHINE_HALTED:
        return "halted";
    case MACHINE_ENDED:
        return "ended";
    case MACHINE_RUNNING:
        break;
    }
    return "running";
}

static json_t *hex(uint64_t value, int digits)
{
    return json_sprintf("0x%0*llX", digits, (unsigned long long)value);
}

static json_t *bugcheck_json(const struct kdnet_bugcheck *bugcheck)
{
    json_t *parameters = json_array();
    for (size_t i = 0; i < 4; ++i)
        json_array_append_new(parameters, hex(bugcheck->parameters[i], 1));
    return json_pack("{s:o, s:o}", "code", hex(bugcheck->code, 8), "parameters", parameters);
}

static json_t *expectation_json(const struct machine *machine)
{
    struct machine_expectation expected;
    machine_expectation(machine, &expected);
    json_t *out = json_pack("{s:b, s:b, s:b, s:b, s:b, s:i}", "crash", expected.crash, "first", expected.first,
                            "shutdown", expected.shutdown, "second", expected.second, "interrupted",
                            expected.interrupted, "breaks", (int)expected.breaks);
    json_object_set_new(out, "status", expected.crash ? hex(expected.status, 8) : json_null());
    json_object_set_new(out, "bugcheck", expected.crash ? bugcheck_json(&expected.bugcheck) : json_null());
    return out;
}

static void add_counts(json_t *out, const struct machine_result *r)
{
    const struct {
        const char *name;
        uint32_t value;
    } counts[] = {
        {"boots", r->boots},
        {"handshakes", r->handshakes},
        {"pokes", r->pokes},
        {"breaks", r->breaks},
        {"load_symbols", r->load_symbols},
        {"prints", r->prints},
        {"questions", r->questions},
        {"answers", r->answers},
        {"requests", r->requests},
        {"continues", r->continues},
        {"retransmissions", r->retransmissions},
        {"resent", r->resent},
        {"host_repeats", r->host_repeats},
        {"host_wrong_ids", r->host_wrong_ids},
        {"stale", r->stale},
        {"rejected", r->rejected},
        {"resends", r->resends},
        {"resets", r->resets},
        {"traps_again", r->traps_again},
        {"wrong_processors", r->wrong_processors},
        {"released_wrongly", r->released_wrongly},
        {"contexts_changed", r->contexts_changed},
        {"trace_flags", r->trace_flags},
        {"wrong_dr7", r->wrong_dr7},
        {"writes", r->writes},
        {"zero_randoms", r->zero_randoms},
        {"harm", machine_harm(r)},
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; ++i)
        json_object_set_new(out, counts[i].name, json_integer(counts[i].value));
}

static json_t *address_json(const struct kdnet_address *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char text[INET6_ADDRSTRLEN];
    if (memcmp(address->ip, mapped, sizeof mapped) == 0) {
        inet_ntop(AF_INET, address->ip + 12, text, sizeof text);
        return json_sprintf("%s:%u", text, address->port);
    }
    inet_ntop(AF_INET6, address->ip, text, sizeof text);
    return json_sprintf("[%s]:%u", text, address->port);
}

static void print_json(const struct unit *unit, const char *name, const struct machine_result *r, FILE *out)
{
    json_t *line = json_pack("{s:s, s:o, s:s, s:s, s:s, s:I, s:I}", "target", name, "address",
                             address_json(&unit->self), "scenario", r->scenario, "machine",
                             kdnet_machine_name(unit->fleet->options->machine), "state", state_name(r->state),
                             "halted_ms", (json_int_t)(r->halted_us / US_PER_MS), "longest_halt_ms",
                             (json_int_t)(r->longest_halt_us / US_PER_MS));
    add_counts(line, r);
    json_object_set_new(line, "dump_status", hex(r->dump_status, 8));
    json_object_set_new(line, "kernel_base", hex(r->kernel_base, 1));
    json_object_set_new(line, "answer", r->answers > 0 && r->answer[0] ? json_string(r->answer) : json_null());
    json_object_set_new(line, "expected", expectation_json(unit->machine));
    json_dumpf(line, out, JSON_COMPACT);
    (void)fputc('\n', out);
    json_decref(line);
}

static void print_row(const char *name, const struct machine_result *r, FILE *out)
{
    (void)fprintf(out, "%-13s %-14s %-8s %10llu %11llu %7u %6u %7u %7u %6u %6u\n", name, r->scenario,
                  state_name(r->state), (unsigned long long)(r->halted_us / US_PER_MS),
                  (unsigned long long)(r->longest_halt_us / US_PER_MS), r->breaks, r->prints, r->questions,
                  r->retransmissions, r->host_repeats, machine_harm(r));
}

void fleet_print(const struct fleet *fleet, FILE *out, bool json)
{
    uint64_t now = fleet_now_us(fleet);
    if (!json)
        (void)fputs(
            "target        scenario       state     halted_ms  longest_ms  breaks prints asked  resent  repeat  harm\n",
            out);
    uint32_t alone = 0;
    for (uint32_t i = 0; i < fleet->count; ++i) {
        struct machine_result result;
        char name[FLEET_NAME_SIZE];
        fleet_name(i, name);
        machine_result(fleet->units[i].machine, now, &result);
        alone += result.handshakes == 0;
        if (json)
            print_json(&fleet->units[i], name, &result, out);
        else
            print_row(name, &result, out);
    }
    if (alone > 0 && !json)
        (void)fprintf(
            stderr,
            "kdnet-target: nobody answered %u of %u machines: check --host, that kdnetd listens there, and that it "
            "has their keys\n",
            alone, fleet->count);
    (void)fflush(out);
}
