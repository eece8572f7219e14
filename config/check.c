/* SPDX-License-Identifier: Apache-2.0 */
#include "config/option.h"
#include "config/store.h"
#include "config/value.h"
#include "kdnet/base/hash.h"

#include <stdlib.h>
#include <string.h>

/* Hash table of targets with at least twice as many slots: index + 1, 0 is empty; linear probing. */
struct index {
    uint32_t *slots;
    size_t size; /* a power of two */
};

struct kind_of_index {
    uint64_t (*hash)(const struct config_target *target);
    bool (*same)(const struct config_target *a, const struct config_target *b);
};

/* An operator has no reason to cause collisions. */
static uint64_t hash_name(const struct config_target *target)
{
    return kdnet_hash_text(KDNET_HASH_START, target->name);
}

static bool same_name(const struct config_target *a, const struct config_target *b)
{
    return strcmp(a->name, b->name) == 0;
}

static const struct kind_of_index by_name = {hash_name, same_name};

static bool index_init(struct index *index, size_t count)
{
    index->size = 16;
    while (index->size < count * 2)
        index->size *= 2;
    index->slots = calloc(index->size, sizeof *index->slots);
    return index->slots != NULL;
}

/* Returns the slot of a target equal to `wanted`, or the empty slot for it. */
static uint32_t *index_slot(const struct index *index, const struct kind_of_index *kind,
                            const struct config_target *targets, const struct config_target *wanted)
{
    uint64_t hash = kind->hash(wanted);
    size_t at = (size_t)(hash ^ hash >> 32) & (index->size - 1);
    while (index->slots[at] != 0 && !kind->same(&targets[index->slots[at] - 1], wanted))
        at = (at + 1) & (index->size - 1);
    return &index->slots[at];
}

static struct config_spot spot_of(const struct kdnetd_config *config, const struct config_place *place,
                                  const char *field)
{
    bool is_option = place->source == CONFIG_SOURCE_OPTIONS || place->source >= config->source_count;
    return (struct config_spot){is_option ? "command line" : config->sources[place->source], place->source, place->line,
                                place->column, field};
}

static void check_names(struct kdnetd_config *config, struct index *names, struct config_report *report)
{
    for (size_t i = 0; i < config->target_count; ++i) {
        char text[CONFIG_PLACE_SIZE];
        const struct config_target *target = &config->targets[i];
        uint32_t *slot = index_slot(names, &by_name, config->targets, target);
        if (*slot == 0) {
            *slot = (uint32_t)i + 1;
            continue;
        }
        struct config_spot spot = spot_of(config, &target->place, "name");
        config_report_add(report, &spot, "%s is the name of the target at %s already; give each machine its own name",
                          target->name, config_store_place(config, &config->targets[*slot - 1].place, text));
    }
}

static bool check_targets(struct kdnetd_config *config, struct config_report *report)
{
    struct index names = {NULL, 0};
    if (config->target_count >= UINT32_MAX || !index_init(&names, config->target_count))
        return false;
    check_names(config, &names, report);
    free(config->names);
    config->names = names.slots;
    config->name_slots = names.size;
    return config_check_keys(config, report);
}

static bool same_address(const struct config_address *a, const struct config_address *b)
{
    return a->port == b->port && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

static int compare_listens(const void *a, const void *b)
{
    const struct config_listen *x = a, *y = b;
    int order = memcmp(x->address.ip, y->address.ip, sizeof x->address.ip);
    if (order == 0)
        order = x->address.port - y->address.port;
    if (order == 0)
        order = (x->place.source > y->place.source) - (x->place.source < y->place.source);
    if (order == 0)
        order = (x->place.line > y->place.line) - (x->place.line < y->place.line);
    return order != 0 ? order : (x->place.column > y->place.column) - (x->place.column < y->place.column);
}

static void check_listens(struct kdnetd_config *config, struct config_report *report)
{
    if (config->listen_count > 1)
        qsort(config->listens, config->listen_count, sizeof *config->listens, compare_listens);
    for (size_t i = 1; i < config->listen_count; ++i) {
        char text[CONFIG_PLACE_SIZE];
        const struct config_listen *listen = &config->listens[i], *other = &config->listens[i - 1];
        if (!same_address(&listen->address, &other->address))
            continue;
        struct config_spot spot = spot_of(config, &listen->place, "listen");
        config_report_add(report, &spot, "is listened on through %s already; write it once",
                          config_store_place(config, &other->place, text));
    }
}

static bool add_default_listens(struct kdnetd_config *config)
{
    struct config_listen any = {.address = {.port = CONFIG_DEFAULT_PORT}};
    struct config_listen any_v4 = {.address = {.ip = {[10] = 0xff, [11] = 0xff}, .port = CONFIG_DEFAULT_PORT}};
    return config_store_listen(config, &any_v4) && config_store_listen(config, &any);
}

static void check_ports(const struct kdnetd_config *config, struct config_report *report)
{
    bool is_open[UINT16_MAX + 1] = {false};
    for (size_t i = 0; i < config->listen_count; ++i)
        is_open[config->listens[i].address.port] = true;
    for (size_t i = 0; i < config->target_count; ++i) {
        const struct config_target *target = &config->targets[i];
        if (target->port == 0 || is_open[target->port])
            continue;
        struct config_spot spot = spot_of(config, &target->place, "port");
        config_report_add(report, &spot,
                          "%s belongs to port %u, on which nothing listens; add it to listen, or take it out",
                          target->name, target->port);
    }
}

static int compare_rva_names(const struct config_rva *a, const struct config_rva *b)
{
    int order = strcmp(a->guidage, b->guidage);
    return order != 0 ? order : strcmp(a->symbol, b->symbol);
}

static int compare_rvas(const void *a, const void *b)
{
    const struct config_rva *x = a, *y = b;
    int order = compare_rva_names(x, y);
    if (order == 0)
        order = (x->place.source > y->place.source) - (x->place.source < y->place.source);
    return order != 0 ? order : (x->place.line > y->place.line) - (x->place.line < y->place.line);
}

static void check_rvas(struct kdnetd_config *config, struct config_report *report)
{
    if (config->rva_count > 1)
        qsort(config->rvas, config->rva_count, sizeof *config->rvas, compare_rvas);
    for (size_t i = 1; i < config->rva_count; ++i) {
        char text[CONFIG_PLACE_SIZE];
        const struct config_rva *rva = &config->rvas[i], *other = &config->rvas[i - 1];
        if (compare_rva_names(rva, other) != 0 || rva->rva == other->rva)
            continue;
        struct config_spot spot = spot_of(config, &rva->place, "rva");
        config_report_add(report, &spot, "%s of %s is 0x%X here and 0x%X at %s; keep the right one", rva->symbol,
                          rva->guidage, rva->rva, other->rva, config_store_place(config, &other->place, text));
    }
}

static bool is_new_module(const struct kdnetd_config *config, size_t i)
{
    const char *module = config->reads[i].read.module;
    if (strcmp(module, "nt") == 0)
        return false;
    for (size_t before = 0; before < i; ++before)
        if (strcmp(config->reads[before].read.module, module) == 0)
            return false;
    return true;
}

static void check_reads(const struct kdnetd_config *config, struct config_report *report)
{
    size_t modules = 0;
    for (size_t i = 0; i < config->read_count && i <= CONFIG_READS_MAX; ++i) {
        const struct config_read *read = &config->reads[i];
        struct config_spot spot = spot_of(config, &read->place, "reads");
        char text[CONFIG_PLACE_SIZE];
        if (i == CONFIG_READS_MAX)
            config_report_add(report, &spot,
                              "has more than %d entries, and each may cost a round trip while a machine "
                              "stands still; leave out the least telling",
                              CONFIG_READS_MAX);
        modules += is_new_module(config, i);
        if (modules == CONFIG_MODULES_MAX + 1 && is_new_module(config, i))
            config_report_add(report, &spot, "%s is of one image more than the %d that are looked for; take it out",
                              read->read.name, CONFIG_MODULES_MAX);
        for (size_t before = 0; before < i; ++before)
            if (strcmp(config->reads[before].read.name, read->read.name) == 0)
                config_report_add(report, &spot, "%s is the name of the read at %s already; give each its own",
                                  read->read.name, config_store_place(config, &config->reads[before].place, text));
    }
}

static void check_sinks(const struct kdnetd_config *config, struct config_report *report)
{
    for (size_t i = 0; i < config->sink_count; ++i) {
        const struct config_sink *sink = &config->sinks[i];
        struct config_spot spot = spot_of(config, &sink->place, "sinks");
        char text[CONFIG_PLACE_SIZE];
        if (i == CONFIG_SINKS_MAX)
            config_report_add(report, &spot, "has more than %d entries; leave out what is needed least",
                              CONFIG_SINKS_MAX);
        for (size_t before = 0; before < i && before < CONFIG_SINKS_MAX; ++before)
            if (strcmp(config->sinks[before].name, sink->name) == 0)
                config_report_add(report, &spot, "%s is the name of the sink at %s already; give each its own",
                                  sink->name, config_store_place(config, &config->sinks[before].place, text));
    }
}

bool config_check(struct kdnetd_config *config, struct config_report *report)
{
    size_t before = report->count;
    struct config_spot nowhere = {.file = "configuration"};
    config_set_text_defaults(config);
    bool good = config->listen_count > 0 || add_default_listens(config);
    check_listens(config, report);
    check_ports(config, report);
    check_rvas(config, report);
    check_reads(config, report);
    check_sinks(config, report);
    good = config_check_nats(config, report) && good;
    if (!good || !check_targets(config, report))
        config_report_add(report, &nowhere, "out of memory");
    config_report_sort(report);
    return report->count == before;
}

const struct config_target *config_find_target(const struct kdnetd_config *config, const char *name)
{
    struct config_target wanted;
    size_t length = strlen(name);
    if (!config->names || length >= sizeof wanted.name)
        return NULL;
    memcpy(wanted.name, name, length + 1);
    const struct index names = {config->names, config->name_slots};
    uint32_t slot = *index_slot(&names, &by_name, config->targets, &wanted);
    return slot != 0 ? &config->targets[slot - 1] : NULL;
}

bool config_find_rva(const struct kdnetd_config *config, const char *guidage, const char *symbol, uint32_t *rva)
{
    char error[CONFIG_ERROR_SIZE];
    struct config_rva wanted;
    size_t low = 0, high = config->rva_count;
    if (!config_parse_guidage(guidage, wanted.guidage, error) || !config_parse_symbol(symbol, wanted.symbol, error))
        return false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_rva_names(&config->rvas[middle], &wanted);
        if (order == 0) {
            *rva = config->rvas[middle].rva;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}
