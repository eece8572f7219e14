/* SPDX-License-Identifier: Apache-2.0 */
/* The option nats: syntax of its servers, stream and subjects; its files; the sink that it makes. */
#include "config/characters.h"
#include "config/file.h"
#include "config/option.h"
#include "config/value.h"

#include <stdio.h>
#include <string.h>

#define LONGEST_WORD    128
#define LONGEST_SUBJECT 512
#define LONGEST_FILE    ((size_t)1 << 20)
#define SINK_NAME       "nats"

static const char word_characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

static bool wrong(char *error, const char *text)
{
    (void)snprintf(error, CONFIG_ERROR_SIZE, "%s", text);
    return false;
}

/* HOST, HOST:PORT, [IPv6], [IPv6]:PORT. */
static bool is_host(const char *text)
{
    char error[CONFIG_ERROR_SIZE];
    uint16_t port = 0;
    const char *end = text + strcspn(text, text[0] == '[' ? "]" : ":");
    if (end == text || (text[0] == '[' && (*end != ']' || end == text + 1)))
        return false;
    end += *end == ']';
    return *end == '\0' || (*end == ':' && config_parse_port(end + 1, &port, error));
}

/* No message shows the server: it may hold a password. */
bool config_check_nats_server(const char *text, char *error)
{
    const char *mark = strstr(text, "://");
    bool is_known = !mark || strncmp(text, "nats://", 7) == 0 || strncmp(text, "tls://", 6) == 0;
    const char *host = mark ? mark + 3 : text, *at = strrchr(host, '@');
    if (at)
        host = at + 1;
    if (is_known && is_host(host) && !strpbrk(text, " \t\r\n") && !strpbrk(host, "/?#,"))
        return true;
    return wrong(error, "is no address of a NATS server; write nats://HOST:4222 or tls://HOST:4222");
}

bool config_check_nats_word(const char *text, char *error)
{
    size_t length = strlen(text);
    if (length <= LONGEST_WORD && strspn(text, word_characters) == length)
        return true;
    return wrong(error, "is no name of a stream or bucket; write 1 to 128 of A-Z a-z 0-9 _ -");
}

/* Returns the position behind the placeholder or character at `at`; NULL: invalid. */
static const char *next_of_subject(const char *at, char *error)
{
    static const char *const names[] = {"{collector}", "{target}"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i)
        if (strncmp(at, names[i], strlen(names[i])) == 0)
            return at + strlen(names[i]);
    if (*at == '{' || *at == '}') {
        (void)snprintf(error, CONFIG_ERROR_SIZE, "has an unknown placeholder; write {collector} or {target}");
        return NULL;
    }
    if ((unsigned char)*at > ' ' && (unsigned char)*at < 0x7f && *at != '*' && *at != '>')
        return at + 1;
    (void)snprintf(error, CONFIG_ERROR_SIZE,
                   "has a blank, a wildcard or another character that no subject has; write one as "
                   "kdnet.crash.{collector}.{target}");
    return NULL;
}

bool config_check_nats_subject(const char *text, char *error)
{
    if (strlen(text) > LONGEST_SUBJECT)
        return wrong(error, "is longer than the 512 bytes that a subject may have here; write a shorter one");
    for (const char *at = text; *at != '\0';)
        if (!(at = next_of_subject(at, error)))
            return false;
    if (text[0] == '$' || memchr(text, '{', strcspn(text, ".")))
        return wrong(error, "begins with a placeholder or $; write a word of your own before the first dot, as kdnet");
    if (text[0] != '.' && text[strlen(text) - 1] != '.' && !strstr(text, ".."))
        return true;
    return wrong(error, "has nothing between two dots, or before or behind one; write a word there");
}

const char *config_nats_hints(const struct config_nats *nats)
{
    return nats->hints && strcmp(nats->hints, "none") != 0 ? nats->hints : NULL;
}

static struct config_spot spot_at(const struct kdnetd_config *config, const struct config_place *place,
                                  const char *field)
{
    bool is_option = place->source == CONFIG_SOURCE_OPTIONS || place->source >= config->source_count;
    return (struct config_spot){is_option ? "command line" : config->sources[place->source], place->source, place->line,
                                place->column, field};
}

static struct config_spot spot_of(const struct kdnetd_config *config, enum config_setting setting, const char *field)
{
    return spot_at(config, &config->set_at[setting], field);
}

/* Returns the first field that is set; CONFIG_SETTINGS: none. */
static enum config_setting first_set(const struct kdnetd_config *config)
{
    for (unsigned setting = 0; setting < CONFIG_SETTINGS; ++setting)
        if (setting >= CONFIG_SET_nats_servers && setting <= CONFIG_SET_nats_tls_key && config->was_set[setting])
            return (enum config_setting)setting;
    return CONFIG_SETTINGS;
}

static void check_whole(const struct kdnetd_config *config, struct config_report *report)
{
    const struct config_nats *nats = &config->nats;
    enum config_setting first = first_set(config);
    if (nats->servers.count == 0 && first != CONFIG_SETTINGS) {
        struct config_spot spot = spot_of(config, first, "nats");
        config_report_add(report, &spot, "has no servers; add servers: [\"nats://HOST:4222\"]");
    }
    if (!nats->tls_cert != !nats->tls_key) {
        struct config_spot spot = spot_of(config, nats->tls_cert ? CONFIG_SET_nats_tls_cert : CONFIG_SET_nats_tls_key,
                                          nats->tls_cert ? "nats.tls.cert" : "nats.tls.key");
        config_report_add(report, &spot, "is alone; add %s",
                          nats->tls_cert ? "its key" : "the cert that it belongs to");
    }
}

static bool add_sink(struct kdnetd_config *config)
{
    struct config_sink sink = {.type = CONFIG_SINK_NATS, .nats = config->nats};
    config_set_entry_defaults(config_group_of(CONFIG_TYPE_SINKS), &sink);
    (void)snprintf(sink.name, sizeof sink.name, SINK_NAME);
    sink.type = CONFIG_SINK_NATS;
    if (!config_copy_fields(config_group_of(CONFIG_TYPE_NATS), &config->nats, &sink.nats))
        return false;
    if (config_store_sink(config, &sink))
        return true;
    config_clear_sink(&sink);
    return false;
}

bool config_check_nats(struct kdnetd_config *config, struct config_report *report)
{
    check_whole(config, report);
    for (size_t i = 0; i < config->sink_count && config->nats.servers.count > 0; ++i) {
        if (strcmp(config->sinks[i].name, SINK_NAME) != 0)
            continue;
        struct config_spot spot = spot_at(config, &config->sinks[i].place, "sinks");
        config_report_add(report, &spot, SINK_NAME " is the name of the sink that the option nats makes; take another");
        return true;
    }
    return config->nats.servers.count == 0 || add_sink(config);
}

/* Files */

static bool check_file(const struct kdnetd_config *config, const char *path, enum config_setting setting,
                       const char *field, bool is_secret, struct config_report *report)
{
    char error[CONFIG_ERROR_SIZE];
    struct config_file file;
    struct config_spot spot = spot_of(config, setting, field);
    if (!path || config->nats.servers.count == 0)
        return true;
    if (!config_file_read(path, LONGEST_FILE, &file, error)) {
        config_report_add(report, &spot, "%.*s %s", CHARACTERS(path, 300), error);
        return false;
    }
    bool is_open = is_secret && file.open_to_others;
    if (is_open) {
        config_file_tell_open(&file, path, error);
        config_report_add(report, &spot, "%.*s holds a key and is open to every user of this machine %s",
                          CHARACTERS(path, 300), error);
    }
    config_file_clear(&file);
    return !is_open;
}

bool config_check_nats_files(const struct kdnetd_config *config, struct config_report *report)
{
    const struct config_nats *nats = &config->nats;
    bool good = check_file(config, nats->credentials, CONFIG_SET_nats_credentials, "nats.credentials", true, report);
    good &= check_file(config, nats->tls_ca, CONFIG_SET_nats_tls_ca, "nats.tls.ca", false, report);
    good &= check_file(config, nats->tls_cert, CONFIG_SET_nats_tls_cert, "nats.tls.cert", false, report);
    good &= check_file(config, nats->tls_key, CONFIG_SET_nats_tls_key, "nats.tls.key", true, report);
    return good;
}
