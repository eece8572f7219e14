/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "config/walk.h"
#include "config/value.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#define BYTES_LIMIT ((size_t)256 << 20)
#define BYTES_START ((size_t)1 << 20) /* and BYTES_EACH for each byte of the text: short values cost memory, too */
#define BYTES_EACH  64
#define STEP_START  65536 /* and two for each byte of the text; more can only be aliases */

static struct config_spot spot_at(const struct config_walk *w, yaml_mark_t mark)
{
    struct config_spot spot = *w->file;
    spot.line = (uint32_t)mark.line + 1;
    spot.column = (uint32_t)mark.column + 1;
    spot.field = w->field;
    return spot;
}

static struct config_place place_at(const struct config_walk *w, yaml_mark_t mark)
{
    return (struct config_place){w->file->source, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

void config_walk_complain(struct config_walk *walk, const char *field, const struct config_seen *seen,
                          const char *error)
{
    char name[2 * CONFIG_FIELD_SIZE];
    struct config_spot spot = *walk->file;
    (void)snprintf(name, sizeof name, "%s.%s", walk->field, field);
    spot.line = seen->line;
    spot.column = seen->column;
    spot.field = name;
    config_report_add(walk->report, &spot, "%s", error);
}

/* Counts visited bytes; false after a report: too many. */
static bool count(struct config_walk *w, size_t bytes)
{
    w->bytes += bytes;
    if (++w->steps <= w->step_limit && w->bytes <= w->byte_limit)
        return !w->failed;
    struct config_spot spot = spot_at(w, w->looked_at);
    spot.field = NULL;
    if (!w->failed)
        config_report_add(w->report, &spot, "unfolds to too much; use fewer aliases (*name)");
    w->failed = true;
    return false;
}

/* Shapes */

static const char *shape_name(const yaml_node_t *node)
{
    switch (node->type) {
    case YAML_SEQUENCE_NODE:
        return "a list";
    case YAML_MAPPING_NODE:
        return "a group of fields";
    default:
        return "a single value";
    }
}

static bool is_value(struct config_walk *w, const yaml_node_t *node)
{
    struct config_spot spot = spot_at(w, node->start_mark);
    w->looked_at = node->start_mark;
    if (node->type != YAML_SCALAR_NODE)
        config_report_add(w->report, &spot, "is %s; write a single value", shape_name(node));
    else if (config_yaml_is_null(node))
        config_report_add(w->report, &spot, "has no value; write one, or take the line out");
    else if (memchr(node->data.scalar.value, '\0', node->data.scalar.length))
        config_report_add(w->report, &spot, "has a NUL character in it; take it out");
    else
        return count(w, node->data.scalar.length + BYTES_EACH);
    return false;
}

/* Returns the number of pairs of a mapping; 0 for an empty field; -1 after a report: another kind of node. */
static ptrdiff_t count_pairs(struct config_walk *w, const yaml_node_t *node)
{
    struct config_spot spot = spot_at(w, node->start_mark);
    w->looked_at = node->start_mark;
    if (config_yaml_is_null(node))
        return 0;
    if (node->type == YAML_MAPPING_NODE)
        return node->data.mapping.pairs.top - node->data.mapping.pairs.start;
    config_report_add(w->report, &spot, "is %s; write fields with their values (name: value)", shape_name(node));
    return -1;
}

/* A pair of a mapping; false: there is none, or too much was looked at. */
static bool get_pair(struct config_walk *w, const yaml_node_t *node, ptrdiff_t i, const yaml_node_t **key,
                     const yaml_node_t **value)
{
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start + i;
    *key = yaml_document_get_node(&w->yaml->document, pair->key);
    *value = yaml_document_get_node(&w->yaml->document, pair->value);
    return count(w, 0) && *key && *value;
}

/* Fields of groups */

static void report_unknown(struct config_walk *w, const struct config_group *group, const yaml_node_t *key)
{
    const char *words[CONFIG_MOST_FIELDS];
    for (size_t i = 0; i < group->count; ++i)
        words[i] = group->options[i].name;
    struct config_spot spot = spot_at(w, key->start_mark);
    const char *likely = config_suggest((const char *)key->data.scalar.value, words, group->count);
    if (likely)
        config_report_add(w->report, &spot, "unknown field; did you mean %s?", likely);
    else
        config_report_add(w->report, &spot,
                          "unknown field; take it out, or see the example configuration for all fields");
}

/* Returns the row of a key, or NULL after a report; a field may come once. Appends the key's name to the current
 * field. */
static const struct config_option *accept_key(struct config_walk *w, const struct config_group *group,
                                              const yaml_node_t *key, struct config_seen *seen)
{
    struct config_spot spot = spot_at(w, key->start_mark);
    if (key->type != YAML_SCALAR_NODE) {
        config_report_add(w->report, &spot, "has %s for a field's name; write name: value", shape_name(key));
        return NULL;
    }
    size_t outer = strlen(w->field);
    const char *name = (const char *)key->data.scalar.value;
    (void)snprintf(w->field + outer, sizeof w->field - outer, "%s%.*s", outer > 0 ? "." : "", CHARACTERS(name, 64));
    const struct config_option *option = config_find_option(group, name);
    if (!option) {
        report_unknown(w, group, key);
        return NULL;
    }
    seen += option - group->options;
    if (seen->key_line > 0) {
        config_report_add(w->report, &spot, "is in line %u already; write it once", seen->key_line);
        return NULL;
    }
    seen->key_line = spot.line;
    return option;
}

static void walk_field(struct config_walk *w, const struct config_option *option, const yaml_node_t *node, void *base);

static void walk_group(struct config_walk *w, const struct config_group *group, const yaml_node_t *node, void *base,
                       struct config_seen *seen)
{
    size_t outer = strlen(w->field);
    ptrdiff_t pairs = count_pairs(w, node);
    const yaml_node_t *key = NULL, *value = NULL;
    for (ptrdiff_t i = 0; i < pairs && get_pair(w, node, i, &key, &value); ++i) {
        const struct config_option *option = accept_key(w, group, key, seen);
        if (option) {
            seen[option - group->options].line = (uint32_t)value->start_mark.line + 1;
            seen[option - group->options].column = (uint32_t)value->start_mark.column + 1;
            walk_field(w, option, value, base);
        }
        w->field[outer] = '\0';
    }
}

/* Entries of lists */

static void check_needed(struct config_walk *w, const struct config_group *group, const yaml_node_t *node,
                         const struct config_seen *seen)
{
    struct config_spot spot = spot_at(w, node->start_mark);
    for (size_t i = 0; i < group->count; ++i)
        if (group->options[i].needed && seen[i].key_line == 0)
            config_report_add(w->report, &spot, "has no %s; add one", group->options[i].name);
}

static void walk_entry(struct config_walk *w, enum config_type type, const yaml_node_t *node)
{
    union {
        struct config_new_target target;
        struct config_rva rva;
        struct config_read read;
        struct config_sink sink;
    } entry;
    const struct config_group *group = config_group_of(type);
    struct config_seen seen[CONFIG_MOST_FIELDS];
    struct config_place place = place_at(w, node->start_mark);
    size_t before = w->report->count;
    if (count_pairs(w, node) < 0)
        return;
    memset(&entry, 0, group->size);
    memset(seen, 0, group->count * sizeof *seen);
    config_entry_begin(w, type, &entry);
    w->in_entry = true;
    walk_group(w, group, node, &entry, seen);
    w->in_entry = false;
    check_needed(w, group, node, seen);
    for (size_t i = 0; i < group->count; ++i)
        if (group->options[i].gives_place && seen[i].line > 0)
            place = (struct config_place){w->file->source, seen[i].line, seen[i].column};
    config_entry_end(w, type, &entry, seen, &place, w->report->count == before && !w->failed);
    OPENSSL_cleanse(&entry, group->size);
}

static void walk_entries(struct config_walk *w, enum config_type type, const yaml_node_t *node)
{
    struct config_spot spot = spot_at(w, node->start_mark);
    size_t outer = strlen(w->field);
    w->looked_at = node->start_mark;
    if (config_yaml_is_null(node))
        return;
    if (node->type != YAML_SEQUENCE_NODE) {
        config_report_add(w->report, &spot, "is %s; write a list, each entry after a dash", shape_name(node));
        return;
    }
    ptrdiff_t items = node->data.sequence.items.top - node->data.sequence.items.start;
    for (ptrdiff_t i = 0; i < items && count(w, 0); ++i) {
        const yaml_node_t *item = yaml_document_get_node(&w->yaml->document, node->data.sequence.items.start[i]);
        (void)snprintf(w->field + outer, sizeof w->field - outer, "[%td]", i);
        if (item)
            walk_entry(w, type, item);
        w->field[outer] = '\0';
    }
}

/* Values */

static void take_value(struct config_walk *w, const struct config_option *option, const yaml_node_t *node, void *base)
{
    char error[CONFIG_ERROR_SIZE];
    w->has_keys = w->has_keys || option->type == CONFIG_TYPE_KEY;
    if (!is_value(w, node))
        return;
    struct config_spot spot = spot_at(w, node->start_mark);
    const char *text = config_yaml_text(w->yaml, node);
    bool good = w->in_entry ? config_parse_option(option, text, (char *)base + option->offset, error)
                            : config_make_setting(w->config, option, base, text, &spot, w->report, error);
    if (!good)
        config_report_add(w->report, &spot, "%s", error);
}

static void take_listed(struct config_walk *w, const struct config_option *option, const yaml_node_t *node, void *base)
{
    char error[CONFIG_ERROR_SIZE] = "";
    if (!is_value(w, node))
        return;
    struct config_spot spot = spot_at(w, node->start_mark);
    if (!config_take_listed(w, option, base, config_yaml_text(w->yaml, node), &spot, error) && error[0] != '\0')
        config_report_add(w->report, &spot, "%s", error);
}

void config_walk_values(struct config_walk *w, const struct config_option *option, const yaml_node_t *node, void *base)
{
    size_t outer = strlen(w->field);
    if (config_yaml_is_null(node))
        return;
    if (node->type != YAML_SEQUENCE_NODE) {
        take_listed(w, option, node, base);
        return;
    }
    ptrdiff_t items = node->data.sequence.items.top - node->data.sequence.items.start;
    for (ptrdiff_t i = 0; i < items && count(w, 0); ++i) {
        const yaml_node_t *item = yaml_document_get_node(&w->yaml->document, node->data.sequence.items.start[i]);
        (void)snprintf(w->field + outer, sizeof w->field - outer, "[%td]", i);
        if (item)
            take_listed(w, option, item, base);
        w->field[outer] = '\0';
    }
}

/* A label's name is added to the current field only when it is a valid one. */
static bool accept_label(struct config_walk *w, const yaml_node_t *key)
{
    char error[CONFIG_ERROR_SIZE];
    struct config_spot spot = spot_at(w, key->start_mark);
    if (key->type != YAML_SCALAR_NODE)
        config_report_add(w->report, &spot, "has %s for a label's name; write name: value", shape_name(key));
    else if (!config_label_is_key((const char *)key->data.scalar.value, key->data.scalar.length, error))
        config_report_add(w->report, &spot, "%s", error);
    else
        return true;
    return false;
}

static void walk_labels(struct config_walk *w, const yaml_node_t *node)
{
    char error[CONFIG_ERROR_SIZE];
    size_t outer = strlen(w->field);
    ptrdiff_t pairs = count_pairs(w, node);
    const yaml_node_t *key = NULL, *value = NULL;
    for (ptrdiff_t i = 0; i < pairs && get_pair(w, node, i, &key, &value); ++i) {
        if (!accept_label(w, key))
            continue;
        const char *name = (const char *)key->data.scalar.value;
        (void)snprintf(w->field + outer, sizeof w->field - outer, ".%s", name);
        struct config_spot spot = spot_at(w, value->start_mark);
        if (is_value(w, value)) {
            const char *text = config_yaml_text(w->yaml, value);
            if (!config_label_add(&w->labels, name, strlen(name), text, strlen(text), error))
                config_report_add(w->report, &spot, "%s", error);
        }
        w->field[outer] = '\0';
    }
}

/* The rows nest no deeper than three, so this does not either. */
static void walk_field(struct config_walk *w, const struct config_option *option, const yaml_node_t *node, void *base)
{
    struct config_seen seen[CONFIG_MOST_FIELDS] = {{0, 0, 0}};
    switch (config_shape(option->type)) {
    case CONFIG_VALUES:
        if (option->type == CONFIG_TYPE_FILES)
            w->targets_files = node;
        else if (option->type == CONFIG_TYPE_INCLUDES)
            w->includes = node;
        else
            config_walk_values(w, option, node, base);
        break;
    case CONFIG_GROUP:
        walk_group(w, config_group_of(option->type), node, config_group_base(option, base), seen);
        break;
    case CONFIG_ENTRIES:
        walk_entries(w, option->type, node);
        break;
    case CONFIG_MAP:
        walk_labels(w, node);
        break;
    case CONFIG_VALUE:
    default:
        take_value(w, option, node, base);
        break;
    }
}

bool config_walk(struct config_walk *walk)
{
    struct config_seen seen[CONFIG_MOST_FIELDS] = {{0, 0, 0}};
    size_t before = walk->report->count, length = walk->yaml->redaction.length;
    size_t bytes = BYTES_START + length * BYTES_EACH;
    walk->byte_limit = bytes < BYTES_LIMIT ? bytes : BYTES_LIMIT;
    walk->step_limit = STEP_START + 2 * length;
    walk_group(walk, &config_top, walk->yaml->root, walk->config, seen);
    return walk->report->count == before;
}
