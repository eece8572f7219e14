/* SPDX-License-Identifier: Apache-2.0 */
#include "config/clean.h"
#include "config/labels.h"
#include "config/value.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define FIELD_SIZE  128
#define MOST_FIELDS 32 /* of one mapping in the schema */
#define CLEAN_LIMIT ((size_t)256 << 20)
#define CLEAN_START ((size_t)1 << 20) /* and CLEAN_EACH for each byte of the text: a value carries its place */
#define CLEAN_EACH  64
#define STEP_START  65536 /* fields and entries looked at, and two for each byte; more can only be aliases */

struct cleaner {
    yaml_document_t document;
    const struct config_spot *file;
    struct config_report *report;
    char *text;
    size_t length, capacity, steps;
    size_t capacity_limit, step_limit;
    yaml_mark_t looked_at; /* the last node */
    bool failed;           /* reported; nothing more is to be done */
    char field[FIELD_SIZE];
};

static struct config_spot spot_at(const struct cleaner *c, yaml_mark_t mark)
{
    struct config_spot spot = *c->file;
    spot.line = (uint32_t)mark.line + 1;
    spot.column = (uint32_t)mark.column + 1;
    spot.field = c->field;
    return spot;
}

static void give_up(struct cleaner *c, const char *why)
{
    struct config_spot spot = spot_at(c, c->looked_at);
    spot.field = NULL;
    if (!c->failed)
        config_report_add(c->report, &spot, "%s", why);
    c->failed = true;
}

static bool reserve(struct cleaner *c, size_t more)
{
    if (c->failed || c->capacity - c->length > more)
        return !c->failed;
    size_t capacity = (c->capacity + more) * 2;
    char *text = capacity <= c->capacity_limit ? malloc(capacity) : NULL;
    if (!text) {
        give_up(c, capacity > c->capacity_limit ? "unfolds to too much; use fewer aliases (*name)" : "out of memory");
        return false;
    }
    if (c->text) {
        memcpy(text, c->text, c->length);
        OPENSSL_cleanse(c->text, c->length);
        free(c->text);
    }
    c->text = text;
    c->capacity = capacity;
    return true;
}

static void put(struct cleaner *c, const char *text)
{
    size_t length = strlen(text);
    if (!reserve(c, length))
        return;
    memcpy(c->text + c->length, text, length);
    c->length += length;
}

/* The inside of a double-quoted scalar. */
static void put_escaped(struct cleaner *c, const char *text, size_t length)
{
    static const char hex[] = "0123456789ABCDEF";
    if (!reserve(c, length * 4))
        return;
    for (size_t i = 0; i < length; ++i) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < ' ' || byte == 0x7f || byte == '"' || byte == '\\') {
            char escape[4] = {'\\', 'x', hex[byte >> 4], hex[byte & 15]};
            memcpy(c->text + c->length, escape, sizeof escape);
            c->length += sizeof escape;
        } else {
            c->text[c->length++] = (char)byte;
        }
    }
}

static void put_value(struct cleaner *c, yaml_mark_t mark, const char *text, size_t length)
{
    char prefix[48];
    (void)snprintf(prefix, sizeof prefix, "\"%zu:%zu:", mark.line + 1, mark.column + 1);
    put(c, prefix);
    put(c, c->field);
    put(c, ":");
    put_escaped(c, text, length);
    put(c, "\"");
}

static bool is_null(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    const char *text = (const char *)node->data.scalar.value;
    return text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

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

static bool scalar_fits(struct cleaner *c, const yaml_node_t *node)
{
    struct config_spot spot = spot_at(c, node->start_mark);
    if (node->type != YAML_SCALAR_NODE)
        config_report_add(c->report, &spot, "is %s; write a single value", shape_name(node));
    else if (is_null(node))
        config_report_add(c->report, &spot, "has no value; write one, or take the line out");
    else if (memchr(node->data.scalar.value, '\0', node->data.scalar.length))
        config_report_add(c->report, &spot, "has a NUL character in it; take it out");
    else
        return true;
    return false;
}

static bool is_free_mapping(const cyaml_schema_value_t *schema)
{
    const cyaml_schema_value_t *entry = schema->type == CYAML_SEQUENCE ? schema->sequence.entry : NULL;
    return entry && entry->type == CYAML_MAPPING && strcmp(entry->mapping.fields[0].key, CONFIG_CLEAN_KEY) == 0;
}

/* Is the node of a shape that can become `schema`? If not, that is reported. */
static bool fits(struct cleaner *c, const cyaml_schema_value_t *schema, const yaml_node_t *node)
{
    struct config_spot spot = spot_at(c, node->start_mark);
    c->looked_at = node->start_mark;
    switch (is_free_mapping(schema) ? CYAML_MAPPING : schema->type) {
    case CYAML_SEQUENCE:
        if (node->type == YAML_SEQUENCE_NODE || is_null(node))
            return true;
        if (schema->sequence.entry->type == CYAML_STRING)
            return scalar_fits(c, node);
        config_report_add(c->report, &spot, "is %s; write a list, each entry after a dash", shape_name(node));
        return false;
    case CYAML_MAPPING:
        if (node->type == YAML_MAPPING_NODE || is_null(node))
            return true;
        config_report_add(c->report, &spot, "is %s; write fields with their values (name: value)", shape_name(node));
        return false;
    default:
        return scalar_fits(c, node);
    }
}

static void put_node(struct cleaner *c, const cyaml_schema_value_t *schema, const yaml_node_t *node);

static bool count_step(struct cleaner *c)
{
    if (++c->steps > c->step_limit)
        give_up(c, "unfolds to too much; use fewer aliases (*name)");
    return !c->failed;
}

static void put_sequence(struct cleaner *c, const cyaml_schema_value_t *entry, const yaml_node_t *node)
{
    size_t outer = strlen(c->field);
    put(c, "[");
    if (node->type == YAML_SCALAR_NODE && !is_null(node))
        put_node(c, entry, node);
    if (node->type == YAML_SEQUENCE_NODE) {
        const char *comma = "";
        ptrdiff_t count = node->data.sequence.items.top - node->data.sequence.items.start;
        for (ptrdiff_t i = 0; i < count && count_step(c); ++i) {
            const yaml_node_t *item = yaml_document_get_node(&c->document, node->data.sequence.items.start[i]);
            (void)snprintf(c->field + outer, FIELD_SIZE - outer, "[%td]", i);
            if (item && fits(c, entry, item)) {
                put(c, comma);
                put_node(c, entry, item);
                comma = ",\n";
            }
        }
    }
    c->field[outer] = '\0';
    put(c, "]");
}

static int find_field(const cyaml_schema_field_t *fields, const char *name)
{
    for (int i = 0; fields[i].key; ++i)
        if (strcmp(fields[i].key, name) == 0 && strcmp(name, CONFIG_CLEAN_PLACE) != 0)
            return i;
    return -1;
}

static void report_unknown(struct cleaner *c, const cyaml_schema_field_t *fields, const yaml_node_t *key,
                               const char *name)
{
    const char *words[MOST_FIELDS];
    size_t count = 0;
    for (int i = 0; fields[i].key && count < MOST_FIELDS; ++i)
        if (strcmp(fields[i].key, CONFIG_CLEAN_PLACE) != 0)
            words[count++] = fields[i].key;
    struct config_spot spot = spot_at(c, key->start_mark);
    const char *likely = config_suggest(name, words, count);
    if (likely)
        config_report_add(c->report, &spot, "unknown field; did you mean %s?", likely);
    else
        config_report_add(c->report, &spot,
                          "unknown field; take it out, or see the example configuration for all fields");
}

/* The schema's field for a key, or -1 after a report; a field may come once. */
static int accept_key(struct cleaner *c, const cyaml_schema_field_t *fields, const yaml_node_t *key,
                      size_t seen[static MOST_FIELDS])
{
    struct config_spot spot = spot_at(c, key->start_mark);
    if (key->type != YAML_SCALAR_NODE) {
        config_report_add(c->report, &spot, "has %s for a field's name; write name: value", shape_name(key));
        return -1;
    }
    size_t outer = strlen(c->field);
    const char *name = (const char *)key->data.scalar.value;
    (void)snprintf(c->field + outer, FIELD_SIZE - outer, "%s%.64s", outer > 0 ? "." : "", name);
    int found = find_field(fields, name);
    if (found < 0 || found >= MOST_FIELDS) {
        report_unknown(c, fields, key, name);
        return -1;
    }
    if (seen[found] > 0) {
        config_report_add(c->report, &spot, "is in line %zu already; write it once", seen[found]);
        return -1;
    }
    seen[found] = key->start_mark.line + 1;
    return found;
}

static void put_mapping(struct cleaner *c, const cyaml_schema_field_t *fields, const yaml_node_t *node)
{
    size_t outer = strlen(c->field), seen[MOST_FIELDS] = {0};
    bool has_place = strcmp(fields[0].key, CONFIG_CLEAN_PLACE) == 0;
    const char *comma = has_place ? ",\n" : "";
    put(c, has_place ? "{\"" CONFIG_CLEAN_PLACE "\":" : "{");
    if (has_place)
        put_value(c, node->start_mark, "", 0);
    ptrdiff_t count = node->type == YAML_MAPPING_NODE ? node->data.mapping.pairs.top - node->data.mapping.pairs.start
                                                      : 0;
    for (ptrdiff_t i = 0; i < count && count_step(c); ++i) {
        const yaml_node_pair_t *pair = node->data.mapping.pairs.start + i;
        const yaml_node_t *key = yaml_document_get_node(&c->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(&c->document, pair->value);
        int found = key && value ? accept_key(c, fields, key, seen) : -1;
        if (found >= 0 && fits(c, &fields[found].value, value)) {
            put(c, comma);
            put(c, "\"");
            put(c, fields[found].key);
            put(c, "\": ");
            put_node(c, &fields[found].value, value);
            comma = ",\n";
        }
        c->field[outer] = '\0';
    }
    put(c, "}");
}

/* Whether a label's name is one; only such a one comes into the field of a place. */
static bool accept_label(struct cleaner *c, const yaml_node_t *key)
{
    char error[CONFIG_ERROR_SIZE];
    struct config_spot spot = spot_at(c, key->start_mark);
    if (key->type != YAML_SCALAR_NODE) {
        config_report_add(c->report, &spot, "has %s for a label's name; write name: value", shape_name(key));
        return false;
    }
    if (config_label_is_key((const char *)key->data.scalar.value, key->data.scalar.length, error))
        return true;
    config_report_add(c->report, &spot, "%s", error);
    return false;
}

static void put_free_mapping(struct cleaner *c, const yaml_node_t *node)
{
    static const cyaml_schema_value_t scalar = {.type = CYAML_STRING};
    size_t outer = strlen(c->field);
    const char *comma = "";
    put(c, "[");
    ptrdiff_t count = node->type == YAML_MAPPING_NODE ? node->data.mapping.pairs.top - node->data.mapping.pairs.start
                                                      : 0;
    for (ptrdiff_t i = 0; i < count && count_step(c); ++i) {
        const yaml_node_pair_t *pair = node->data.mapping.pairs.start + i;
        const yaml_node_t *key = yaml_document_get_node(&c->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(&c->document, pair->value);
        if (!key || !value || !accept_label(c, key))
            continue;
        (void)snprintf(c->field + outer, FIELD_SIZE - outer, ".%s", (const char *)key->data.scalar.value);
        if (fits(c, &scalar, value)) {
            put(c, comma);
            put(c, "{\"" CONFIG_CLEAN_KEY "\": ");
            put_value(c, key->start_mark, (const char *)key->data.scalar.value, key->data.scalar.length);
            put(c, ",\n\"" CONFIG_CLEAN_VALUE "\": ");
            put_value(c, value->start_mark, (const char *)value->data.scalar.value, value->data.scalar.length);
            put(c, "}");
            comma = ",\n";
        }
        c->field[outer] = '\0';
    }
    put(c, "]");
}

/* The schema is no deeper than four, so this is not either. */
static void put_node(struct cleaner *c, const cyaml_schema_value_t *schema, const yaml_node_t *node)
{
    if (is_free_mapping(schema))
        put_free_mapping(c, node);
    else if (schema->type == CYAML_SEQUENCE)
        put_sequence(c, schema->sequence.entry, node);
    else if (schema->type == CYAML_MAPPING)
        put_mapping(c, schema->mapping.fields, node);
    else
        put_value(c, node->start_mark, (const char *)node->data.scalar.value, node->data.scalar.length);
}

/* A reader's complaint has an offset in bytes and no mark. */
static void find_offset(const char *text, size_t length, size_t offset, struct config_spot *spot)
{
    spot->line = 1;
    spot->column = 1;
    for (size_t i = 0; i < length && i < offset; ++i) {
        spot->column = text[i] == '\n' ? 1 : spot->column + 1;
        spot->line += text[i] == '\n';
    }
}

/* Does white space with a tab in it stand before the place? */
static bool follows_tab(const char *text, size_t length, yaml_mark_t mark)
{
    bool has_tab = false;
    size_t at = mark.index < length ? mark.index : length;
    if (at < length && text[at] == '\t')
        return true;
    for (; at > 0 && (text[at - 1] == ' ' || text[at - 1] == '\t'); --at)
        has_tab = has_tab || text[at - 1] == '\t';
    return has_tab;
}

static void report_parser(struct cleaner *c, const yaml_parser_t *parser, const char *text, size_t length)
{
    struct config_spot spot = spot_at(c, parser->problem_mark);
    const char *problem = parser->problem ? parser->problem : "cannot be read";
    const char *context = parser->context ? parser->context : "";
    if (parser->error == YAML_READER_ERROR) {
        find_offset(text, length, parser->problem_offset, &spot);
        config_report_add(c->report, &spot, "is not UTF-8 text: %s; save it as UTF-8", problem);
        return;
    }
    if (parser->error == YAML_MEMORY_ERROR) {
        config_report_add(c->report, c->file, "out of memory");
        return;
    }
    const char *remedy = "check the indentation, dashes, colons and quotes here and in the line above";
    if (parser->error == YAML_COMPOSER_ERROR)
        remedy = "define each anchor (&name) once, before its alias (*name)";
    else if (follows_tab(text, length, parser->problem_mark))
        remedy = "indent with spaces, not tabs";
    config_report_add(c->report, &spot, "is not YAML: %s%s%s; %s", problem, context[0] ? " " : "", context, remedy);
}

static void wipe_document(yaml_document_t *document)
{
    for (yaml_node_t *node = document->nodes.start; node < document->nodes.top; ++node)
        if (node->type == YAML_SCALAR_NODE)
            OPENSSL_cleanse(node->data.scalar.value, node->data.scalar.length);
    yaml_document_delete(document);
}

static void report_second_document(struct cleaner *c, yaml_parser_t *parser, const char *text, size_t length)
{
    yaml_document_t second;
    if (!yaml_parser_load(parser, &second)) {
        report_parser(c, parser, text, length);
        c->failed = true;
        return;
    }
    const yaml_node_t *root = yaml_document_get_root_node(&second);
    struct config_spot spot = root ? spot_at(c, root->start_mark) : *c->file;
    if (root)
        config_report_add(c->report, &spot, "a second document starts here; take the line --- out");
    wipe_document(&second);
}

static void clean_document(struct cleaner *c, const cyaml_schema_value_t *schema)
{
    const yaml_node_t *root = yaml_document_get_root_node(&c->document);
    if (!root || is_null(root))
        return;
    if (fits(c, schema, root))
        put_node(c, schema, root);
    else
        c->failed = true;
    put(c, "\n");
}

bool config_clean_yaml(const char *text, size_t length, const cyaml_schema_value_t *schema,
                       const struct config_spot *file, struct config_report *report, struct config_clean *out)
{
    size_t room = CLEAN_START + length * CLEAN_EACH;
    struct cleaner c = {.file = file,
                        .report = report,
                        .capacity_limit = room < CLEAN_LIMIT ? room : CLEAN_LIMIT,
                        .step_limit = STEP_START + 2 * length};
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        config_report_add(report, file, "out of memory");
        return false;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    if (yaml_parser_load(&parser, &c.document)) {
        clean_document(&c, schema);
        if (yaml_document_get_root_node(&c.document))
            report_second_document(&c, &parser, text, length);
        wipe_document(&c.document);
    } else {
        report_parser(&c, &parser, text, length);
        c.failed = true;
    }
    yaml_parser_delete(&parser);
    *out = (struct config_clean){c.text, c.length};
    if (c.failed)
        config_clean_clear(out);
    return !c.failed;
}

void config_clean_clear(struct config_clean *clean)
{
    if (clean->text)
        OPENSSL_cleanse(clean->text, clean->length);
    free(clean->text);
    *clean = (struct config_clean){.text = NULL};
}
