/* SPDX-License-Identifier: Apache-2.0 */
/* Sinks: the fields that each type needs; copies of sinks. */
#include "config/characters.h"
#include "config/labels.h"
#include "config/option.h"
#include "config/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *lacks(const char *field, const char *text, char *error)
{
    (void)snprintf(error, CONFIG_ERROR_SIZE, "%s", text);
    return field;
}

static bool is_url(const char *url)
{
    size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
    return scheme > 0 && strcspn(url + scheme, "/?#") > 0 && strpbrk(url, " \t\r\n") == NULL;
}

/* HOST:PORT, a name or an address; IPv6 in brackets. */
static bool is_address(const char *text)
{
    char error[CONFIG_ERROR_SIZE];
    uint16_t port = 0;
    const char *colon = strrchr(text, ':');
    bool is_v6 = text[0] == '[';
    if (!colon || colon == text || !config_parse_port(colon + 1, &port, error) || strpbrk(text, " \t\r\n/"))
        return false;
    return is_v6 ? colon[-1] == ']' : strchr(text, ':') == colon;
}

/* One or more addresses, separated by commas. */
static bool are_addresses(const char *text)
{
    char one[CONFIG_ERROR_SIZE];
    while (true) {
        size_t length = strcspn(text, ",");
        if (length == 0 || length >= sizeof one)
            return false;
        memcpy(one, text, length);
        one[length] = '\0';
        if (!is_address(one))
            return false;
        if (text[length] == '\0')
            return true;
        text += length + 1;
    }
}

static const char *check_kafka(const struct config_sink *sink, char *error)
{
    if (!sink->address)
        return lacks("address", "is missing, and kafka needs one; write HOST:PORT[,HOST:PORT]...", error);
    if (!are_addresses(sink->address))
        return lacks("address", "is no list of addresses; write HOST:PORT[,HOST:PORT]...", error);
    if (sink->transport == CONFIG_TRANSPORT_UDP)
        return lacks("transport", "is udp, by which kafka is not reached; write tcp or tls", error);
    return NULL;
}

static bool are_labels(const struct config_texts *labels, char *error)
{
    for (size_t i = 0; i < labels->count; ++i) {
        struct config_label_list list = {.count = 0};
        const char *text = labels->text[i], *mark = strchr(text, '=');
        if (!mark) {
            (void)snprintf(error, CONFIG_ERROR_SIZE, "\"%.*s\" is not LABEL=VALUE; write as rack=b4",
                           CHARACTERS(text, 60));
            return false;
        }
        if (!config_label_add(&list, text, (size_t)(mark - text), mark + 1, strlen(mark + 1), error))
            return false;
    }
    return true;
}

const char *config_check_sink(const struct config_sink *sink, char *error)
{
    if (!are_labels(&sink->labels, error))
        return "label";
    if (sink->type == CONFIG_SINK_HTTP && !sink->url)
        return lacks("url", "is missing, and http needs one; write an address with https:// or http://", error);
    if (sink->type == CONFIG_SINK_HTTP && !is_url(sink->url))
        return lacks("url", "is no address; write one with https:// or http://", error);
    if (sink->type == CONFIG_SINK_SYSLOG && !sink->address)
        return lacks("address", "is missing, and syslog needs one; write HOST:PORT", error);
    if (sink->type == CONFIG_SINK_SYSLOG && !is_address(sink->address))
        return lacks("address", "is no address; write HOST:PORT, an IPv6 address in brackets", error);
    return sink->type == CONFIG_SINK_KAFKA ? check_kafka(sink, error) : NULL;
}

bool config_copy_sink(const struct config_sink *sink, struct config_sink *out)
{
    *out = *sink;
    if (!config_copy_fields(config_group_of(CONFIG_TYPE_SINKS), sink, out))
        return false;
    if (config_copy_fields(config_group_of(CONFIG_TYPE_NATS), &sink->nats, &out->nats))
        return true;
    config_clear_fields(config_group_of(CONFIG_TYPE_SINKS), out);
    return false;
}

void config_clear_sink(struct config_sink *sink)
{
    config_clear_fields(config_group_of(CONFIG_TYPE_SINKS), sink);
    config_clear_fields(config_group_of(CONFIG_TYPE_NATS), &sink->nats);
}

bool config_same_sink(const struct config_sink *a, const struct config_sink *b)
{
    return a->type == b->type && config_same_fields(config_group_of(CONFIG_TYPE_SINKS), a, b) &&
           config_same_fields(config_group_of(CONFIG_TYPE_NATS), &a->nats, &b->nats);
}
