/* SPDX-License-Identifier: Apache-2.0 */
/* systemd's journal, by its native protocol: one datagram an event, one KEY=VALUE a line. The journal does not
 * acknowledge. */
#include "config/characters.h"
#include "service/sinks/sink.h"
#include "service/sinks/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define SEND_BUFFER    (8 << 20)

struct sink_link {
    int socket;
    struct sockaddr_un to;
};

static void close_link(struct sink_link *link)
{
    if (link->socket >= 0)
        (void)close(link->socket);
    free(link);
}

static struct sink_link *open_link(const struct config_sink *config, const char *collector, const atomic_bool *stop)
{
    struct sink_link *link = calloc(1, sizeof *link);
    const char *path = config->address ? config->address : JOURNAL_SOCKET;
    int size = SEND_BUFFER;
    (void)collector;
    (void)stop;
    if (!link)
        return NULL;
    link->to.sun_family = AF_UNIX;
    (void)snprintf(link->to.sun_path, sizeof link->to.sun_path, "%s", path);
    link->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (link->socket < 0) {
        close_link(link);
        return NULL;
    }
    (void)setsockopt(link->socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return link;
}

/* Values contain no line end: they are names, words and JSON on one line. */
static void add_field(struct text *text, const char *name, const char *value)
{
    if (!value || strchr(value, '\n'))
        return;
    text_string(text, name);
    text_string(text, "=");
    text_string(text, value);
    text_string(text, "\n");
}

static void make(struct text *text, const struct sink_event *event, bool with_json)
{
    char words[SINK_WORDS_SIZE], priority[4];
    (void)snprintf(priority, sizeof priority, "%d", (int)sink_severity(event));
    add_field(text, "MESSAGE", sink_words(event, words));
    add_field(text, "PRIORITY", priority);
    add_field(text, "SYSLOG_IDENTIFIER", "kdnetd");
    add_field(text, "KDNETD_EVENT", event->type);
    add_field(text, "KDNETD_ID", event->id);
    add_field(text, "KDNETD_TARGET", event->target);
    add_field(text, "KDNETD_CRASH", event->crash);
    add_field(text, "KDNETD_VERDICT", event->verdict);
    add_field(text, "KDNETD_PHASE", event->phase);
    if (with_json)
        add_field(text, "KDNETD_JSON", event->line);
}

/* Returns 0 or an errno. An event that is too large for a datagram is sent without its JSON. */
static int send_event(const struct sink_link *link, const struct sink_event *event)
{
    for (int with_json = 1; with_json >= 0; --with_json) {
        struct text text = {.bytes = NULL};
        make(&text, event, with_json);
        ssize_t sent = text.failed ? -1
                                   : sendto(link->socket, text.bytes, text.length, MSG_NOSIGNAL,
                                            (const struct sockaddr *)&link->to, sizeof link->to);
        int error = text.failed ? ENOMEM : sent >= 0 ? 0 : errno;
        text_clear(&text);
        if (error != EMSGSIZE)
            return error;
    }
    return 0;
}

static void deliver(struct sink_link *link, struct sink_event *const *events, size_t count, struct sink_answer *answer)
{
    answer->outcome = SINK_PARTLY;
    for (size_t i = 0; i < count; ++i) {
        int error = send_event(link, events[i]);
        if (error != 0) {
            (void)snprintf(answer->text, sizeof answer->text, "%.*s: %s", CHARACTERS(link->to.sun_path, 120),
                           strerror(error)); // NOLINT(concurrency-mt-unsafe)
            return;
        }
        events[i]->done = true;
    }
    answer->outcome = SINK_DONE;
}

const struct sink_type sink_journal = {.open = open_link, .deliver = deliver, .close = close_link};
