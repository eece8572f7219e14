/* SPDX-License-Identifier: Apache-2.0 */
/* Incoming webhooks of Slack and compatible receivers: a message for people, at most one a second. */
#include "service/sinks/format.h"

#include <stdio.h>
#include <string.h>

#define LINES_MAX 10U
#define PAUSE_MS  1000U

static void add_escaped(struct text *text, const char *words)
{
    for (; *words != '\0'; ++words) {
        if (*words == '&')
            text_string(text, "&amp;");
        else if (*words == '<')
            text_string(text, "&lt;");
        else if (*words == '>')
            text_string(text, "&gt;");
        else
            text_add(text, words, 1);
    }
}

static void make(struct text *body, const struct format_source *source, struct sink_event *const *events, size_t count)
{
    struct text message = {.bytes = NULL};
    char words[SINK_WORDS_SIZE];
    (void)source;
    for (size_t i = 0; i < count && i < LINES_MAX; ++i) {
        text_string(&message, i > 0 ? "\n" : "");
        add_escaped(&message, sink_words(events[i], words));
    }
    if (count > LINES_MAX) {
        (void)snprintf(words, sizeof words, "\nand %zu more", count - LINES_MAX);
        text_string(&message, words);
    }
    body->failed = body->failed || message.failed;
    if (!body->failed)
        text_json(body, json_pack("{s:s}", "text", message.bytes));
    text_clear(&message);
}

const struct sink_format format_slack = {
    .path = "/", .content_type = "application/json", .scheme = "Bearer", .pause_ms = PAUSE_MS, .make = make};
