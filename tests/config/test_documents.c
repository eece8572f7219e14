/* SPDX-License-Identifier: Apache-2.0 */
/* --help, the manuals and the example say what config/options.def says. */
#include "setup.h"

#include "config/option.h"
#include "documents_text.h"

static const char *tree(void)
{
    const char *source = getenv("KDNETD_SOURCE");
    return source ? source : ".";
}

static void the_documents_are_those_of_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < DOCUMENTS; ++i) {
        char path[DOCUMENT_PATH_SIZE];
        char *now = document_read(tree(), &documents[i], path);
        assert_non_null(now);
        char *wanted = document_make(&documents[i], now);
        if (!wanted || strcmp(now, wanted) != 0)
            fail_msg("%s is not what config/options.def makes: run ./dev options", path);
        free(now);
        free(wanted);
    }
}

/* What a writer writes. */
static char *written(void (*write)(FILE *))
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    (*write)(out);
    (void)fclose(out);
    return text;
}

static void expect_text(const char *document, const char *before, const char *name, const char *after, const char *what)
{
    char line[256];
    (void)snprintf(line, sizeof line, "%s%s%s", before, name, after);
    if (!strstr(document, line))
        fail_msg("%s does not name %s", what, name);
}

static void each_option_is_in_each_document(void **state)
{
    (void)state;
    char *help = written(config_write_help), *manual = written(config_write_file_manual);
    char *command_manual = written(config_write_command_manual), *example = written(config_write_example);
    for (size_t i = 0; i < config_top.count; ++i) {
        const char *name = config_top.options[i].name;
        char off[CONFIG_NAME_SIZE];
        expect_text(manual, ".It Va ", name, "", "kdnetd.yaml(5)");
        (void)snprintf(off, sizeof off, "\n#%s:", name);
        if (!strstr(example, off))
            expect_text(example, "\n", name, ":", "the example");
    }
    struct config_command command;
    for (size_t i = 0; config_command(i, &command); ++i) {
        expect_text(help, "  --", command.name, "", "--help");
        expect_text(command_manual, ".It Fl -", command.name, "", "kdnetd(8)");
    }
    free(help);
    free(manual);
    free(command_manual);
    free(example);
}

/* Rows whose limits or defaults could not be read would be taken for none. */
static void each_row_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_top.count; ++i) {
        const struct config_option *option = &config_top.options[i];
        char error[CONFIG_ERROR_SIZE] = "";
        union config_any value;
        bool is_text = option->type == CONFIG_TYPE_TEXT || option->type == CONFIG_TYPE_TEXTS;
        assert_true(i < 64 && option->help[0] != '\0' && option->help[strlen(option->help) - 1] != '.');
        assert_true(!is_text || option->remedy);
        assert_true(option->type != CONFIG_TYPE_WORD || (option->words && option->kind));
        if (config_shape(option->type) != CONFIG_VALUE)
            continue;
        assert_true(option->standard || option->sample);
        const char *texts[] = {option->standard, option->sample, option->least, option->most};
        for (size_t j = 0; j < 4; ++j) {
            if (texts[j] && !config_parse_option(option, texts[j], &value, error))
                fail_msg("%s: %s: %s", option->name, texts[j], error);
            if (texts[j] && option->type == CONFIG_TYPE_TEXT)
                free(value.text);
        }
    }
}

static void the_words_of_log_levels_are_their_names(void **state)
{
    (void)state;
    for (int level = CONFIG_LOG_ERROR; level <= CONFIG_LOG_DEBUG; ++level) {
        unsigned found = 99;
        char error[CONFIG_ERROR_SIZE];
        const struct config_option *option = config_find_option(&config_top, "log_level");
        assert_true(config_parse_option(option, config_log_level_name((enum config_log_level)level), &found, error));
        assert_int_equal(found, level);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documents_are_those_of_the_table),
        cmocka_unit_test(each_option_is_in_each_document),
        cmocka_unit_test(each_row_is_whole),
        cmocka_unit_test(the_words_of_log_levels_are_their_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
