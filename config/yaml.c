/* SPDX-License-Identifier: Apache-2.0 */
#include "config/yaml.h"
#include "config/bounds.h"

#include <openssl/crypto.h>
#include <string.h>

struct source {
    const char *text;
    size_t length;
    const struct config_spot *file;
    struct config_report *report;
};

static struct config_spot spot_at(const struct source *source, yaml_mark_t mark)
{
    struct config_spot spot = *source->file;
    spot.line = (uint32_t)mark.line + 1;
    spot.column = (uint32_t)mark.column + 1;
    return spot;
}

bool config_yaml_is_null(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    const char *text = (const char *)node->data.scalar.value;
    return text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

const char *config_yaml_text(const struct config_yaml *yaml, const yaml_node_t *node)
{
    char *text = (char *)node->data.scalar.value;
    config_redact_restore(&yaml->redaction, text);
    return text;
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

/* Whether the white space before the place contains a tab. */
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

static void report_parser(const struct source *source, const yaml_parser_t *parser)
{
    struct config_spot spot = spot_at(source, parser->problem_mark);
    const char *problem = parser->problem ? parser->problem : "cannot be read";
    const char *context = parser->context ? parser->context : "";
    if (parser->error == YAML_READER_ERROR) {
        find_offset(source->text, source->length, parser->problem_offset, &spot);
        config_report_add(source->report, &spot, "is not UTF-8 text: %s; save it as UTF-8", problem);
        return;
    }
    if (parser->error == YAML_MEMORY_ERROR) {
        config_report_add(source->report, source->file, "out of memory");
        return;
    }
    const char *remedy = "check the indentation, dashes, colons and quotes here and in the line above";
    if (parser->error == YAML_COMPOSER_ERROR)
        remedy = "define each anchor (&name) once, before its alias (*name)";
    else if (follows_tab(source->text, source->length, parser->problem_mark))
        remedy = "indent with spaces, not tabs";
    config_report_add(source->report, &spot, "is not YAML: %s%s%s; %s", problem, context[0] ? " " : "", context,
                      remedy);
}

static void wipe_document(yaml_document_t *document)
{
    for (yaml_node_t *node = document->nodes.start; node < document->nodes.top; ++node)
        if (node->type == YAML_SCALAR_NODE)
            OPENSSL_cleanse(node->data.scalar.value, node->data.scalar.length);
    yaml_document_delete(document);
}

/* A second document is a mistake. False after a report: the rest is not YAML. */
static bool check_rest(const struct source *source, yaml_parser_t *parser)
{
    yaml_document_t second;
    if (!yaml_parser_load(parser, &second)) {
        report_parser(source, parser);
        return false;
    }
    const yaml_node_t *root = yaml_document_get_root_node(&second);
    struct config_spot spot = root ? spot_at(source, root->start_mark) : *source->file;
    if (root)
        config_report_add(source->report, &spot, "a second document starts here; take the line --- out");
    wipe_document(&second);
    return true;
}

static bool load(struct config_yaml *yaml, const struct source *source)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        config_report_add(source->report, source->file, "out of memory");
        return false;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)source->text, source->length);
    bool good = yaml_parser_load(&parser, &yaml->document) != 0;
    if (!good)
        report_parser(source, &parser);
    yaml->root = good ? yaml_document_get_root_node(&yaml->document) : NULL;
    if (yaml->root && !check_rest(source, &parser)) {
        wipe_document(&yaml->document);
        good = false;
    }
    yaml_parser_delete(&parser);
    return good;
}

bool config_yaml_open(struct config_yaml *yaml, const char *text, size_t length, const struct config_spot *file,
                      struct config_report *report)
{
    if (!config_redact(text, length, &yaml->redaction)) {
        config_report_add(report, file, "out of memory");
        return false;
    }
    struct source source = {yaml->redaction.text, length, file, report};
    if (config_bounds_check(source.text, length, file, report) && load(yaml, &source)) {
        if (yaml->root && config_yaml_is_null(yaml->root))
            yaml->root = NULL;
        return true;
    }
    config_redact_clear(&yaml->redaction);
    return false;
}

void config_yaml_close(struct config_yaml *yaml)
{
    wipe_document(&yaml->document);
    config_redact_clear(&yaml->redaction);
}
