/* SPDX-License-Identifier: Apache-2.0 */
#include "config/labels.h"
#include "config/option.h"
#include "config/value.h"
#include "kdnet/error.h"

#include <openssl/crypto.h>
#include <string.h>

/* Most words of a line: name, key, address, FIELD=VALUE of three kinds, labels, and one too many. */
#define MOST_WORDS      (7 + CONFIG_LABELS_MAX)
#define LONGEST_ADDRESS 64
#define KEY_FILE_LIMIT  65536

struct word {
    const char *text;
    size_t length;
};

struct lines {
    struct kdnetd_config *config;
    struct config_report *report;
    struct config_spot spot;
    const char *line;                /* start of the line: columns count from here */
    size_t found;                    /* lines with something in them */
    struct config_label_list labels; /* of the line */
};

static void complain(struct lines *l, const struct word *word, const char *field, const char *error)
{
    struct config_spot spot = l->spot;
    spot.column = (uint32_t)(word->text - l->line) + 1;
    spot.field = field;
    config_report_add(l->report, &spot, "%s", error);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* A comment starts at a # at the start of a word. */
static size_t split_words(const char *line, const char *end, struct word words[static MOST_WORDS])
{
    size_t count = 0;
    while (count < MOST_WORDS) {
        while (line < end && is_blank(*line))
            ++line;
        if (line == end || *line == '#')
            break;
        const char *start = line;
        while (line < end && !is_blank(*line))
            ++line;
        words[count++] = (struct word){start, (size_t)(line - start)};
    }
    return count;
}

static bool is_key(const struct word *word)
{
    struct kdnet_key key;
    bool good = kdnet_key_parse(word->text, word->length, &key, NULL, NULL) == KDNET_OK;
    OPENSSL_cleanse(&key, sizeof key);
    return good;
}

static bool parse_address(const struct word *word, struct config_address *out, char *error)
{
    char text[LONGEST_ADDRESS];
    if (memchr(word->text, '\0', word->length)) {
        (void)snprintf(error, CONFIG_ERROR_SIZE, "has a NUL character in it; take it out");
        return false;
    }
    size_t length = word->length < sizeof text ? word->length : sizeof text - 1;
    memcpy(text, word->text, length);
    text[length] = '\0';
    return config_parse_machine(text, out, error);
}

static bool copy_word(const struct word *word, size_t from, char text[static LONGEST_ADDRESS])
{
    size_t length = word->length - from;
    if (length >= LONGEST_ADDRESS || memchr(word->text, '\0', word->length))
        return false;
    memcpy(text, word->text + from, length);
    text[length] = '\0';
    return true;
}

/* K[,K]... */
static void parse_old_keys(struct lines *l, const struct word *word, size_t from, struct config_new_target *target)
{
    char error[CONFIG_ERROR_SIZE];
    while (from <= word->length) {
        const char *comma = memchr(word->text + from, ',', word->length - from);
        size_t end = comma ? (size_t)(comma - word->text) : word->length;
        if (target->old_count == CONFIG_OLD_KEYS_MAX) {
            complain(l, word, "key_old", "has more than 4 keys; leave out the oldest");
            return;
        }
        struct config_old_key *old = &target->old[target->old_count];
        old->place = (struct config_place){l->spot.source, l->spot.line, (uint32_t)(word->text - l->line) + 1};
        if (config_parse_key(word->text + from, end - from, &old->key, error))
            ++target->old_count;
        else
            complain(l, word, "key_old", error);
        from = end + 1;
    }
}

/* KEY=VALUE: a label. */
static void parse_label(struct lines *l, const struct word *word, size_t mark)
{
    char error[CONFIG_ERROR_SIZE], field[CONFIG_LABEL_KEY_SIZE + 8] = "labels";
    if (config_label_is_key(word->text, mark, error))
        (void)snprintf(field, sizeof field, "labels.%.*s", (int)mark, word->text);
    if (!config_label_add(&l->labels, word->text, mark, word->text + mark + 1, word->length - mark - 1, error))
        complain(l, word, field, error);
}

/* Returns the field's name for messages; only a name that could be a label's is shown. */
static const char *show_name(const struct word *word, size_t length, char out[static CONFIG_LABEL_KEY_SIZE])
{
    char error[CONFIG_ERROR_SIZE];
    (void)snprintf(out, CONFIG_LABEL_KEY_SIZE, "%.*s", (int)(length < CONFIG_LABEL_KEY_SIZE ? length : 0), word->text);
    return config_label_is_key(word->text, length, error) ? out : "labels";
}

/* Reports a name that no field of a line has. */
static void parse_other(struct lines *l, const struct word *word, size_t mark)
{
    char error[CONFIG_ERROR_SIZE], name[CONFIG_LABEL_KEY_SIZE];
    const char *field = config_reserved_label(word->text, mark, word->text + mark + 1, word->length - mark - 1);
    if (!field) {
        parse_label(l, word, mark);
        return;
    }
    if (strlen(field) == mark && memcmp(word->text, field, mark) == 0)
        (void)snprintf(error, sizeof error,
                       "is not written so in a line; write: name key [address] [key_old=KEY] "
                       "[strict=true] [port=N] [LABEL=VALUE]");
    else
        (void)snprintf(error, sizeof error,
                       "unknown field; did you mean %s? A label of this name is written in targets", field);
    complain(l, word, show_name(word, mark, name), error);
}

/* Returns the field for a word NAME=VALUE; NULL: none. */
static const struct config_option *find_field(const struct word *word, size_t length)
{
    const struct config_group *group = config_group_of(CONFIG_TYPE_TARGETS);
    for (size_t i = 0; i < group->count; ++i)
        if (group->options[i].in_line && strlen(group->options[i].name) == length &&
            memcmp(word->text, group->options[i].name, length) == 0)
            return &group->options[i];
    return NULL;
}

/* Parses NAME=VALUE. False: the word has another form. */
static bool parse_named(struct lines *l, const struct word *word, struct config_new_target *target)
{
    char error[CONFIG_ERROR_SIZE], text[LONGEST_ADDRESS];
    const char *mark = memchr(word->text, '=', word->length);
    if (!mark)
        return false;
    size_t length = (size_t)(mark - word->text);
    const struct config_option *field = find_field(word, length);
    if (!field) {
        parse_other(l, word, length);
    } else if (field->type == CONFIG_TYPE_OLD_KEYS) {
        parse_old_keys(l, word, length + 1, target);
    } else if (!copy_word(word, length + 1, text)) {
        (void)snprintf(error, sizeof error, "is too long; write %s=%s", field->name, field->sample);
        complain(l, word, field->name, error);
    } else if (!config_parse_option(field, text, (char *)target + field->offset, error)) {
        complain(l, word, field->name, error);
    }
    return true;
}

/* Parses the words behind the name. */
static void parse_rest(struct lines *l, const struct word *words, size_t count, struct config_new_target *target)
{
    char error[CONFIG_ERROR_SIZE];
    const struct word *too_much = NULL;
    l->labels.count = 0;
    if (!config_parse_key(words[0].text, words[0].length, &target->target.key, error))
        complain(l, &words[0], "key", error);
    for (size_t i = 1; i < count; ++i) {
        if (parse_named(l, &words[i], target))
            continue;
        if (target->target.has_address)
            too_much = too_much ? too_much : &words[i];
        else if (!parse_address(&words[i], &target->target.address, error))
            complain(l, &words[i], "address", error);
        target->target.has_address = true;
    }
    if (too_much)
        complain(l, too_much, "address", "is too much; write: name key [address], and # before a comment");
    if (target->target.strict && !target->target.has_address)
        complain(l, &words[0], "strict", "needs an address that it is strict about; add it, or take strict out");
    if (!config_labels_share(l->config, &l->labels, &target->target.labels))
        config_report_add(l->report, &l->spot, "out of memory");
}

static bool parse_words(struct lines *l, const struct word *words, size_t count, struct config_new_target *target)
{
    char error[CONFIG_ERROR_SIZE];
    size_t before = l->report->count;
    if (count < 2) {
        complain(l, &words[0], "key", "has no key; write: name key [address]");
        return false;
    }
    /* Reported before the name is checked: the name's message would show the key. */
    if (is_key(&words[0]) && !is_key(&words[1])) {
        complain(l, &words[0], "name", "is a key; write the name before the key: name key [address]");
        return false;
    }
    if (!config_parse_name(words[0].text, words[0].length, target->target.name, error))
        complain(l, &words[0], "name", error);
    parse_rest(l, words + 1, count - 1, target);
    return l->report->count == before;
}

static void read_line(struct lines *l, const char *line, const char *end)
{
    struct word words[MOST_WORDS];
    struct config_new_target target;
    size_t count = split_words(line, end, words);
    if (count == 0)
        return;
    ++l->found;
    memset(&target, 0, sizeof target);
    if (parse_words(l, words, count, &target)) {
        target.target.place = (struct config_place){l->spot.source, l->spot.line, (uint32_t)(words[0].text - line) + 1};
        if (!config_store_target(l->config, &target))
            config_report_add(l->report, &l->spot, "out of memory");
    }
    OPENSSL_cleanse(&target, sizeof target);
}

static bool is_utf16(const char *text, size_t length)
{
    return length >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0);
}

static void read_targets(struct kdnetd_config *config, const char *text, size_t length, const struct config_spot *file,
                         struct config_report *report)
{
    struct lines l = {.config = config, .report = report, .spot = *file, .line = text};
    const char *end = text + length;
    if (is_utf16(text, length)) {
        config_report_add(report, file, "is UTF-16 text; save it as UTF-8");
        return;
    }
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline ? newline : end;
        ++l.spot.line;
        l.line = text;
        read_line(&l, text, stop);
        text = newline ? newline + 1 : end;
    }
    /* A fleet that is suddenly empty means a truncated file: a reload must not apply it. */
    if (l.found == 0)
        config_report_add(report, file, "has no targets in it; write one a line: name key [address]");
}

bool config_load_targets_text(const char *text, size_t length, const char *name, struct kdnetd_config *config,
                              struct config_report *report)
{
    static const struct config_file_id none;
    struct config_spot spot = {.file = name};
    size_t before = report->count;
    if (length > CONFIG_TARGETS_LIMIT)
        config_report_add(report, &spot, "is larger than %zu MiB; divide it into several files",
                          CONFIG_TARGETS_LIMIT >> 20);
    else if (!config_store_source(config, name, &none, &spot.source))
        config_report_add(report, &spot, "out of memory");
    else
        read_targets(config, text, length, &spot, report);
    return report->count == before;
}

void config_store_targets_file(struct kdnetd_config *config, const char *path, const struct config_spot *from,
                               struct config_report *report)
{
    struct config_file file;
    struct config_spot spot;
    if (!config_store_open(config, path, CONFIG_TARGETS_LIMIT, from, report, &file, &spot))
        return;
    config_store_check_access(config, path, &file, &spot, report);
    read_targets(config, file.text, file.length, &spot, report);
    config_file_clear(&file);
}

/* `line` is the one line with content; a second one is a mistake. */
static bool parse_key_file(struct lines *l, const char *text, size_t length, struct config_new_target *target)
{
    struct word words[MOST_WORDS];
    const char *end = text + length;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline ? newline : end;
        size_t count = split_words(text, stop, words);
        ++l->spot.line;
        l->line = text;
        if (count > 0 && l->found++ > 0)
            complain(l, &words[0], "key", "is in a second line; a key file has one: key [address]");
        else if (count > 0)
            parse_rest(l, words, count, target);
        text = newline ? newline + 1 : end;
    }
    l->spot.line = 0; /* of the whole file */
    if (l->found == 0)
        config_report_add(l->report, &l->spot, "has no key in it; write: key [address]");
    return l->report->count == 0;
}

bool config_read_key_file(struct kdnetd_config *config, const char *path, struct config_new_target *target, char *error)
{
    struct config_file file;
    struct config_report report;
    config_store_opening(config, path);
    if (!config_file_read(path, KEY_FILE_LIMIT, &file, error))
        return false;
    config_report_init(&report);
    struct lines l = {.config = config, .report = &report, .spot = {.file = path}, .line = file.text};
    config_store_check_access(config, path, &file, &l.spot, &report);
    bool good = parse_key_file(&l, file.text, file.length, target);
    if (!good)
        (void)snprintf(error, CONFIG_ERROR_SIZE, "%s", config_report_line(&report, 0));
    config_report_clear(&report);
    config_file_clear(&file);
    return good;
}
