/* SPDX-License-Identifier: Apache-2.0 */
#include "config/documents.h"
#include "config/option.h"
#include "config/remedies.h"

#include <ctype.h>
#include <string.h>

#define HELP_COLUMN   34
#define HELP_WIDTH    116
#define EXAMPLE_WIDTH 118
#define MANUAL_WIDTH  78
#define TEXT_SIZE     2048
#define FIELD_WIDTH   32 /* width of a field and its value in the example; the help follows */

/* Sentences */

static void add(char *text, const char *more)
{
    size_t length = strlen(text);
    (void)snprintf(text + length, TEXT_SIZE - length, "%s", more);
}

/* "error, warning or debug", with `last` in the place of "or". */
static void add_words(char *text, const char *words, const char *last)
{
    for (const char *word = words; word; word = strchr(word, ' ') ? strchr(word, ' ') + 1 : NULL) {
        size_t length = strlen(text);
        const char *before = word == words ? "" : strchr(word, ' ') ? ", " : last;
        (void)snprintf(text + length, TEXT_SIZE - length, "%s%.*s", before, (int)strcspn(word, " "), word);
    }
}

/* Adds the help as a sentence. Its first word gets a capital unless it is a literal value: "true: ...". */
static void add_help(char *text, const struct config_option *option)
{
    size_t start = strlen(text), word = strcspn(option->help, " ");
    add(text, option->help);
    if (option->help[word - 1] != ':')
        text[start] = (char)toupper((unsigned char)text[start]);
    add(text, ".");
}

static void add_limits(char *text, const struct config_option *option)
{
    if (option->least) {
        add(text, " From ");
        add(text, option->least);
        add(text, " to ");
        add(text, option->most);
        add(text, option->type == CONFIG_TYPE_HOLD ? ", or none." : ".");
    } else if (option->words && !strchr(option->value, '|')) {
        add(text, " One of ");
        add_words(text, option->words, " or ");
        add(text, ".");
    }
}

static void add_default(char *text, const struct config_option *option)
{
    const char *standard = option->standard ? option->standard : option->unsaid;
    if (!standard)
        return;
    add(text, " Default: ");
    add(text, standard);
    add(text, ".");
}

static void add_rest(char *text, const struct config_option *option)
{
    if (option->more) {
        add(text, " ");
        add(text, option->more);
    }
    if (option->reload == CONFIG_RESTARTED)
        add(text, " Changed by a restart, not by a reload.");
}

/* Lines */

/* Words in lines of at most `width`; each line but the first begins with `indent`, and the first is at `column`. */
static void write_wrapped(FILE *out, const char *text, const char *indent, size_t column, size_t width)
{
    const char *gap = "";
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column + strlen(gap) + word > width && gap[0] != '\0') {
            (void)fprintf(out, "\n%s", indent);
            column = strlen(indent);
            gap = "";
        }
        (void)fprintf(out, "%s%.*s", gap, (int)word, text);
        column += strlen(gap) + word;
        gap = " ";
        text += word + (text[word] == ' ');
    }
    (void)fputs("\n", out);
}

/* --help */

static void write_help_of(FILE *out, const struct config_option *option)
{
    char name[CONFIG_NAME_SIZE], head[TEXT_SIZE], text[TEXT_SIZE] = "";
    const char *standard = option->standard ? option->standard : option->unsaid;
    bool is_switch = option->type == CONFIG_TYPE_BOOL;
    config_command_name(option, name);
    (void)snprintf(head, sizeof head, "  --%s%s%s%s", name, is_switch ? "[=" : " ", option->value,
                   is_switch ? "]" : "");
    add(text, option->command_help ? option->command_help : option->help);
    if (option->words && !strchr(option->value, '|')) {
        add(text, ": ");
        add_words(text, option->words, ", ");
    }
    if (standard) {
        add(text, " (");
        add(text, standard);
        add(text, ")");
    }
    if (strlen(head) + 1 < HELP_COLUMN)
        (void)fprintf(out, "%-*s", HELP_COLUMN, head);
    else
        (void)fprintf(out, "%s\n%*s", head, HELP_COLUMN, "");
    write_wrapped(out, text, "                                  ", HELP_COLUMN, HELP_WIDTH);
}

void config_write_help(FILE *out)
{
    const struct config_option *option = NULL;
    for (size_t i = 0; (option = config_command_at(i)); ++i)
        write_help_of(out, option);
}

/* Manuals */

/* Writes a word of mdoc so that nothing in it is read as a macro or an escape. */
static void write_mdoc_word(FILE *out, const char *word, size_t length, bool at_start, bool *is_quoted)
{
    if (at_start && (word[0] == '.' || word[0] == '\''))
        (void)fputs("\\&", out);
    for (size_t i = 0; i < length; ++i) {
        if (word[i] == '\\')
            (void)fputs("\\e", out);
        else if (word[i] == '`')
            (void)fputs((*is_quoted = !*is_quoted) ? "\\(oq" : "\\(cq", out);
        else
            (void)fputc(word[i], out);
    }
}

/* mdoc: each sentence begins a line. */
static void write_sentences(FILE *out, const char *text)
{
    bool is_quoted = false;
    for (size_t column = 0; *text != '\0';) {
        size_t length = strcspn(text, " ");
        bool starts = column == 0 || column + 1 + length > MANUAL_WIDTH;
        if (column > 0)
            (void)fputc(starts ? '\n' : ' ', out);
        write_mdoc_word(out, text, length, starts, &is_quoted);
        column = starts ? length : column + 1 + length;
        bool ends = length > 0 && text[length - 1] == '.' && text[length] == ' ' &&
                    (isupper((unsigned char)text[length + 1]) || text[length + 1] == '`');
        text += length + (text[length] == ' ');
        if (ends && *text != '\0') {
            (void)fputc('\n', out);
            column = 0;
        }
    }
    (void)fputc('\n', out);
}

static void write_fields(FILE *out, const struct config_group *group);

static void write_item(FILE *out, const struct config_option *option, bool is_field)
{
    char text[TEXT_SIZE] = "";
    (void)fprintf(out, ".It Va %s%s%s\n", option->name, option->value[0] != '\0' ? " : Ar " : "", option->value);
    if (!is_field && config_shape(option->type) == CONFIG_ENTRIES)
        (void)fprintf(out, ".Pq a list of groups\n");
    add_help(text, option);
    add_limits(text, option);
    add_default(text, option);
    add_rest(text, option);
    write_sentences(out, text);
    if (!is_field && config_group_of(option->type))
        write_fields(out, config_group_of(option->type));
}

static void write_fields(FILE *out, const struct config_group *group)
{
    (void)fputs(".Bl -tag -width Ds -compact\n", out);
    for (size_t i = 0; i < group->count; ++i)
        write_item(out, &group->options[i], true);
    (void)fputs(".El\n", out);
}

void config_write_file_manual(FILE *out)
{
    for (size_t i = 0; i < config_top.count; ++i)
        write_item(out, &config_top.options[i], false);
}

void config_write_command_manual(FILE *out)
{
    const struct config_option *option = NULL;
    for (size_t i = 0; (option = config_command_at(i)); ++i) {
        char name[CONFIG_NAME_SIZE], text[TEXT_SIZE] = "";
        struct config_option said = *option;
        said.help = option->command_help ? option->command_help : option->help;
        config_command_name(option, name);
        if (option->type == CONFIG_TYPE_BOOL)
            (void)fprintf(out, ".It Fl -%s Ns Op = Ns Ar %s\n", name, option->value);
        else
            (void)fprintf(out, ".It Fl -%s Ar %s\n", name, option->value);
        add_help(text, &said);
        add_limits(text, option);
        add_default(text, option);
        write_sentences(out, text);
    }
}

/* The example */

static const char example_head[] =
    "# SPDX-License-Identifier: Apache-2.0\n"
    "# kdnetd's configuration: every option, explained. Lines with # and one space explain; other lines with # are "
    "options\n"
    "# that are off: take the # away. What is on has its default. Written by `./dev options` from config/options.def.\n"
    "#\n# ";
static const char example_check[] = "After a change, `kdnetd --check " REMEDY_CONFIGURATION
                                    "` names every mistake, with its line and remedy, and `" REMEDY_RELOAD
                                    "` takes up keys and targets; live sessions are not touched.";
static const char example_values[] =
    "#\n"
    "# Durations are a number and ms, s, m, h or d; a bare number is seconds. Relative paths start at the folder of "
    "this file.\n"
    "# Options of the command line have the same names: those that are lists (listen, targets, symbols, rva) are added "
    "to\n"
    "# what is written here, the others go before it.\n";

static bool needs_quotes(const struct config_option *option)
{
    return option->type == CONFIG_TYPE_TEXT || option->type == CONFIG_TYPE_ADDRESS_OR_NONE ||
           option->type == CONFIG_TYPE_READ_PLACE || config_shape(option->type) == CONFIG_VALUES;
}

/* Between double quotes YAML reads a backslash as the beginning of an escape. */
static const char *quote_of(const char *value)
{
    return strchr(value, '\\') ? "'" : "\"";
}

static void write_list(FILE *out, const struct config_option *option, const char *off)
{
    (void)fprintf(out, "%s%s:\n", off, option->name);
    for (const char *item = option->sample; *item != '\0';) {
        size_t length = strcspn(item, "\n");
        const char *quote = quote_of(option->sample);
        (void)fprintf(out, "%s  - %s%.*s%s\n", off, quote, (int)length, item, quote);
        item += length + (item[length] == '\n');
    }
}

/* `lead` is the text before the name. */
static void write_field(FILE *out, const struct config_option *option, const char *lead, const char *value)
{
    char text[TEXT_SIZE];
    const char *quote = option->type == CONFIG_TYPE_READ_PLACE ? "\"" : "";
    int length = snprintf(text, sizeof text, "%s%s: %s%s%s", lead, option->name, quote, value, quote);
    (void)fprintf(out, "%s%*s# %s\n", text, length < FIELD_WIDTH - 1 ? FIELD_WIDTH - length : 2, "", option->help);
}

static void write_group(FILE *out, const struct config_option *option, const char *off)
{
    const struct config_group *group = config_group_of(option->type);
    bool is_list = config_shape(option->type) == CONFIG_ENTRIES;
    char lead[16];
    (void)fprintf(out, "%s%s:\n", off, option->name);
    (void)snprintf(lead, sizeof lead, "%s%s", off, is_list ? "  - " : "  ");
    for (size_t i = 0; i < group->count; ++i) {
        const struct config_option *field = &group->options[i];
        const char *value = !is_list && field->standard ? field->standard : field->sample;
        if (!value)
            continue;
        write_field(out, field, lead, value);
        (void)snprintf(lead, sizeof lead, "%s%s", off, is_list ? "    " : "  ");
    }
}

static void write_example_of(FILE *out, const struct config_option *option)
{
    char text[TEXT_SIZE] = "";
    const char *value = option->standard ? option->standard : option->sample;
    bool is_default = option->standard || option->type == CONFIG_TYPE_LISTENERS || option->type == CONFIG_TYPE_POLICY;
    const char *off = option->is_on || (is_default && !option->is_off) ? "" : "#";
    const char *quote = needs_quotes(option) ? quote_of(value) : "";
    add_help(text, option);
    add_limits(text, option);
    if (!option->standard)
        add_default(text, option);
    add_rest(text, option);
    (void)fputs("\n# ", out);
    write_wrapped(out, text, "# ", 2, EXAMPLE_WIDTH);
    if (config_group_of(option->type))
        write_group(out, option, off);
    else if (config_shape(option->type) == CONFIG_VALUES)
        write_list(out, option, off);
    else
        (void)fprintf(out, "%s%s: %s%s%s\n", off, option->name, quote, value, quote);
}

void config_write_example(FILE *out)
{
    (void)fputs(example_head, out);
    write_wrapped(out, example_check, "# ", 2, EXAMPLE_WIDTH);
    (void)fputs(example_values, out);
    for (size_t i = 0; i < config_top.count; ++i)
        write_example_of(out, &config_top.options[i]);
}
