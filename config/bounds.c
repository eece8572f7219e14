/* SPDX-License-Identifier: Apache-2.0 */
#include "config/bounds.h"

#include <yaml.h>

struct tally {
    size_t depth, anchors, aliases, tags, documents;
};

/* Counts a token. Returns the mistake and its remedy when a bound is exceeded, else NULL. */
static const char *count_token(struct tally *tally, yaml_token_type_t type)
{
    switch (type) {
    case YAML_BLOCK_SEQUENCE_START_TOKEN:
    case YAML_BLOCK_MAPPING_START_TOKEN:
    case YAML_FLOW_SEQUENCE_START_TOKEN:
    case YAML_FLOW_MAPPING_START_TOKEN:
        if (++tally->depth > CONFIG_DEPTH_MAX)
            return "is nested more than 32 deep; no field needs that: look for a bracket [ or { that is not closed";
        break;
    case YAML_BLOCK_END_TOKEN:
    case YAML_FLOW_SEQUENCE_END_TOKEN:
    case YAML_FLOW_MAPPING_END_TOKEN:
        tally->depth -= tally->depth > 0;
        break;
    case YAML_ANCHOR_TOKEN:
        if (++tally->anchors > CONFIG_ANCHORS_MAX)
            return "is one anchor (&name) more than the 256 that a file may have; write the value itself";
        break;
    case YAML_ALIAS_TOKEN:
        if (++tally->aliases > CONFIG_ALIAS_WORK / (tally->anchors + 1))
            return "is one alias (*name) too many for so many anchors; write the value itself";
        break;
    case YAML_TAG_DIRECTIVE_TOKEN:
        if (++tally->tags > CONFIG_TAGS_MAX)
            return "is one %TAG too many; take them out, nothing here needs one";
        break;
    case YAML_DOCUMENT_START_TOKEN:
        if (++tally->documents > CONFIG_DOCUMENTS_MAX)
            return "is one document more than can be; take the lines --- out";
        break;
    default:
        break;
    }
    return NULL;
}

bool config_bounds_check(const char *text, size_t length, const struct config_spot *file, struct config_report *report)
{
    struct tally tally = {.depth = 0};
    yaml_parser_t parser;
    yaml_token_t token;
    const char *mistake = NULL;
    if (!yaml_parser_initialize(&parser)) {
        config_report_add(report, file, "out of memory");
        return false;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    for (bool more = true; more && !mistake;) {
        more = yaml_parser_scan(&parser, &token) && token.type != YAML_STREAM_END_TOKEN && token.type != YAML_NO_TOKEN;
        mistake = more ? count_token(&tally, token.type) : NULL;
        if (mistake) {
            struct config_spot spot = *file;
            spot.line = (uint32_t)token.start_mark.line + 1;
            spot.column = (uint32_t)token.start_mark.column + 1;
            config_report_add(report, &spot, "%s", mistake);
        }
        if (more)
            yaml_token_delete(&token);
    }
    yaml_parser_delete(&parser);
    return !mistake;
}
