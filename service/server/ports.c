/* SPDX-License-Identifier: Apache-2.0 */
/* The listening addresses: which are open, which are retried, and their log messages. */
#include "config/remedies.h"
#include "service/runtime/log.h"
#include "service/platform/platform.h"
#include "service/output/event_json.h"
#include "service/server/server_internal.h"

#include <stdlib.h>

#define DEAF_EVERY_US UINT64_C(60000000) /* between two log lines on a port that cannot receive */

struct trouble_message {
    struct message message;
    uint32_t port_id;
    enum worker_trouble trouble;
    int error;
};

/* The log. */

static const char *not_opened_message(int error)
{
    switch (error) {
    case UV_EADDRINUSE:
        return "cannot listen: another program has this port; `" REMEDY_PORTS
               "` names it (another kdnetd? a debugger?); stop "
               "it, or listen on another port; it is tried again every 30 s";
    case UV_EADDRNOTAVAIL:
        return "cannot listen: this machine has no such address; `" REMEDY_ADDRESSES
               "` lists those it has; with `freebind: true` it need not be there yet; it is tried again every 30 s";
    case UV_EACCES:
        return "cannot listen: not allowed; " REMEDY_PORT_RIGHT "; it is tried again every 30 s";
    case UV_EAFNOSUPPORT:
        return "cannot listen: this kernel has no such kind of address (no IPv6?); take it out of listen; it is tried "
               "again every 30 s";
    case UV_EMFILE:
    case UV_ENFILE:
        return "cannot listen: no more files can be opened; " REMEDY_MORE_FILES "; it is tried again every 30 s";
    default:
        return "cannot listen; it is tried again every 30 s";
    }
}

static void say(enum config_log_level level, const char *message, const struct port *port, int error)
{
    struct log_line line;
    char text[ADDRESS_TEXT_SIZE];
    address_format(&port->local, text);
    log_begin(&line, level, message);
    log_text(&line, "listen", text);
    log_text(&line, "error", error != 0 ? uv_strerror(error) : NULL);
    log_end(&line);
}

/* Which there are. */

static struct port *port_at(const struct server *server, const struct config_address *address)
{
    struct port *port = server->ports;
    while (port && (port->closing || port->local.port != address->port || !address_same_ip(&port->local, address->ip)))
        port = port->next;
    return port;
}

static struct port *port_add(struct server *server, const struct config_address *address)
{
    struct port *port = calloc(1, sizeof *port);
    if (!port) {
        log_plain(CONFIG_LOG_ERROR, "out of memory: a listener is not opened; reload when there is more");
        return NULL;
    }
    port->local = address_from_config(address);
    port->next = server->ports;
    server->ports = port;
    return port;
}

size_t ports_open(const struct server *server)
{
    size_t count = 0;
    for (const struct port *port = server->ports; port; port = port->next)
        count += port->open && port->wanted;
    return count;
}

size_t ports_wanted(const struct server *server)
{
    size_t count = 0;
    for (const struct port *port = server->ports; port; port = port->next)
        count += port->wanted;
    return count;
}

size_t ports_deaf(const struct server *server)
{
    size_t count = 0;
    for (const struct port *port = server->ports; port; port = port->next)
        count += port->open && port->deaf > 0;
    return count;
}

/* `log_error`: log also a repeated failure; otherwise only a new reason is logged. */
static void try_to_open(struct server *server, struct port *port, bool log_error)
{
    int error = opening_open(server, port), before = port->error;
    uint64_t wait_us = error == UV_EALREADY ? SERVER_PORT_SOON_US : SERVER_PORT_AGAIN_US;
    port->error = error;
    port->open = error == 0;
    port->deaf = 0;
    port->opened_us = worker_now_us();
    port->again_us = port->opened_us + wait_us;
    if (port->open)
        say(CONFIG_LOG_NOTICE, "listening", port, 0);
    else if ((log_error || error != before) && error != UV_EALREADY)
        say(CONFIG_LOG_ERROR, not_opened_message(error), port, error);
}

static void close_port(struct server *server, struct port *port)
{
    say(CONFIG_LOG_NOTICE, "no longer listening", port, 0);
    opening_close(server, port);
}

static bool is_wanted(const struct kdnetd_config *config, const struct port *port)
{
    for (size_t i = 0; i < config->listen_count; ++i)
        if (config->listens[i].address.port == port->local.port &&
            address_same_ip(&port->local, config->listens[i].address.ip))
            return true;
    return false;
}

void ports_configure(struct server *server, const struct kdnetd_config *config)
{
    for (struct port *port = server->ports; port; port = port->next)
        port->wanted = !port->closing && is_wanted(config, port);
    for (size_t i = 0; i < config->listen_count; ++i) {
        struct port *port = port_at(server, &config->listens[i].address);
        if (!port)
            port = port_add(server, &config->listens[i].address);
        if (!port)
            continue;
        port->wanted = true;
        if (!port->open)
            try_to_open(server, port, true);
    }
}

static void forget_unopened(struct server *server)
{
    for (struct port **at = &server->ports; *at;) {
        struct port *port = *at;
        if (port->wanted || port->open || port->closing) {
            at = &port->next;
            continue;
        }
        *at = port->next;
        free(port);
    }
}

/* Keeps the last port: an old address is better than none. */
void ports_close_unwanted(struct server *server)
{
    bool some = ports_open(server) > 0;
    forget_unopened(server);
    for (struct port *port = server->ports; port; port = port->next) {
        if (port->wanted || !port->open)
            continue;
        if (some)
            close_port(server, port);
        else
            say(CONFIG_LOG_WARNING, "none of the new listeners can be opened: this one stays until one can", port, 0);
    }
}

/* A second record takes the port's place while the workers close it. */
static void open_anew(struct server *server, struct port *port)
{
    if (worker_now_us() - port->opened_us < SERVER_PORT_AGAIN_US)
        return; /* reopening did not help */
    struct port *next = calloc(1, sizeof *next);
    if (!next)
        return;
    *next = *port;
    next->next = server->ports;
    next->open = false;
    next->deaf = 0;
    next->before = port->counts;
    next->again_us = worker_now_us() + SERVER_PORT_SOON_US;
    server->ports = next;
    port->wanted = false;
    opening_close(server, port);
}

void ports_look(struct server *server, uint64_t now_us)
{
    bool opened = false;
    for (struct port *port = server->ports; port; port = port->next) {
        if (port->open || !port->wanted || port->closing || now_us < port->again_us)
            continue;
        try_to_open(server, port, false);
        opened = opened || port->open;
    }
    if (opened && !server->reload)
        ports_close_unwanted(server);
}

void ports_clear(struct server *server)
{
    while (server->ports) {
        struct port *port = server->ports;
        server->ports = port->next;
        free(port);
    }
}

/* Listeners at which no machine is heard. */

static bool another_hears(const struct server *server, const struct port *port)
{
    uint64_t now_us = worker_now_us();
    for (const struct port *other = server->ports; other; other = other->next)
        if (other != port && other->open && other->facts.heard_us != 0 &&
            now_us - other->facts.heard_us < HEARING_GAP_US)
            return true;
    return false;
}

static void publish(struct server *server, const struct port *port, bool silent)
{
    uv_timeval64_t now = {0};
    (void)uv_gettimeofday(&now);
    struct event_json_listener listener = {.time_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_usec,
                                           .collector = server->config.collector,
                                           .local = port->local,
                                           .silent = silent,
                                           .machines = port->hearing.machines};
    if (publisher_listener(&server->publisher, &listener) > 0)
        event_log_ring(&server->event_log);
}

static void say_silent(const struct server *server, const struct port *port)
{
    struct log_line line;
    char text[ADDRESS_TEXT_SIZE];
    address_format(&port->local, text);
    log_begin(
        &line, CONFIG_LOG_WARNING,
        another_hears(server, port)
            ? "no machine is heard at this listener any more, while others hear theirs: look at this address, its "
              "network and its firewall; its machines are not told as lost one by one"
            : "no machine is heard at this listener any more: look at the network of this computer; its machines "
              "are not told as lost one by one");
    log_text(&line, "listen", text);
    log_number(&line, "machines", port->hearing.machines);
    log_end(&line);
}

void ports_judge(struct server *server)
{
    uint64_t now_us = worker_now_us();
    for (struct port *port = server->ports; port; port = port->next) {
        if (!port->open)
            continue;
        enum hearing_news news = hearing_judge(&port->hearing, &port->facts, server->config.lost_after_ms * 1000,
                                               now_us);
        if (news == HEARING_NO_NEWS)
            continue;
        publish(server, port, news == HEARING_FELL_SILENT);
        if (news == HEARING_FELL_SILENT)
            say_silent(server, port);
        else
            say(CONFIG_LOG_NOTICE, "machines are heard at this listener again", port, 0);
    }
}

/* Sockets in trouble. */

static void went_deaf(struct port *port, int error)
{
    uint64_t now_us = worker_now_us();
    ++port->deaf;
    if (port->deaf_logged_us != 0 && now_us - port->deaf_logged_us < DEAF_EVERY_US)
        return;
    port->deaf_logged_us = now_us;
    say(CONFIG_LOG_ERROR,
        "datagrams cannot be received here; it is tried again every second, and the socket is opened anew; look for a "
        "filter of system calls (SystemCallFilter=, seccomp)",
        port, error);
}

static void hears_again(struct port *port)
{
    if (port->deaf == 0 || --port->deaf > 0)
        return;
    say(CONFIG_LOG_NOTICE, "datagrams are received again", port, 0);
}

static void is_slow(struct port *port)
{
    if (port->logged_slow)
        return;
    port->logged_slow = true;
    say(CONFIG_LOG_WARNING,
        "the system refuses to take or send many datagrams at a time (recvmmsg, sendmmsg); they go one by one, which "
        "costs time; look for a filter of system calls (SystemCallFilter=, seccomp)",
        port, 0);
}

static void handle_trouble(struct message *message, void *owner)
{
    struct trouble_message *trouble = (struct trouble_message *)message;
    struct server *server = owner;
    struct port *port = server->ports;
    while (port && (port->id != trouble->port_id || !port->open))
        port = port->next;
    if (port && trouble->trouble == WORKER_TROUBLE_SLOW)
        is_slow(port);
    else if (port && trouble->trouble == WORKER_TROUBLE_DEAF)
        went_deaf(port, trouble->error);
    else if (port && trouble->trouble == WORKER_TROUBLE_OVER)
        hears_again(port);
    else if (port && trouble->trouble == WORKER_TROUBLE_STAYS && !server->stopping)
        open_anew(server, port);
    free(trouble);
}

/* Without memory for the message only its line is lost. */
void ports_trouble(void *user, uint32_t port_id, enum worker_trouble trouble, int error)
{
    struct server *server = user;
    struct trouble_message *message = malloc(sizeof *message);
    if (!message)
        return;
    *message = (struct trouble_message){
        .message.handle = handle_trouble, .port_id = port_id, .trouble = trouble, .error = error};
    mailbox_post(&server->mailbox, &message->message);
}

static void log_lost(const struct port *port, const struct listener_counts *now, const struct listener_counts *then)
{
    struct log_line line;
    char source[ADDRESS_TEXT_SIZE];
    if (now->shed != then->shed) {
        address_format(&port->shed_source, source);
        log_begin(&line, CONFIG_LOG_WARNING,
                  "more datagrams came than can be handled, and sources that sent too many were shed; `address` is one "
                  "of them: look at what it sends");
        log_number(&line, "port", port->local.port);
        log_number(&line, "shed", now->shed - then->shed);
        log_text(&line, "address", source);
        log_end(&line);
    }
    if (now->pass_dropped != then->pass_dropped) {
        log_begin(&line, CONFIG_LOG_WARNING,
                  "datagrams that another worker should have had were dropped, because it has too much to do; machines "
                  "send them again");
        log_number(&line, "port", port->local.port);
        log_number(&line, "dropped", now->pass_dropped - then->pass_dropped);
        log_end(&line);
    }
    if (now->overflowed != then->overflowed) {
        log_begin(&line, CONFIG_LOG_WARNING,
                  "the kernel dropped datagrams, because more came than were taken; machines send them again; when it "
                  "goes on: a larger net.core.rmem_max, or fewer machines on this port");
        log_number(&line, "port", port->local.port);
        log_number(&line, "dropped", now->overflowed - then->overflowed);
        log_end(&line);
    }
}

static void log_received(const struct port *port, const struct listener_counts *now, const struct listener_counts *then)
{
    struct log_line line;
    if (now->malformed == then->malformed && now->forged == then->forged && now->unknown == then->unknown &&
        now->unknown_data == then->unknown_data && now->refused == then->refused)
        return;
    log_begin(&line, CONFIG_LOG_WARNING, "datagrams were ignored in the last minute");
    log_number(&line, "port", port->local.port);
    log_number(&line, "not_kdnet", now->malformed - then->malformed);
    log_number(&line, "wrong_key", now->forged - then->forged);
    log_number(&line, "unknown_pokes", now->unknown - then->unknown);
    log_number(&line, "unknown_data", now->unknown_data - then->unknown_data);
    log_number(&line, "too_many", now->refused - then->refused);
    log_number(&line, "of", now->received - then->received);
    log_end(&line);
}

void port_log_drops(struct port *port)
{
    const struct listener_counts *now = &port->counts, *then = &port->logged;
    struct log_line line;
    log_lost(port, now, then);
    log_received(port, now, then);
    if (now->send_failed != then->send_failed || now->send_dropped != then->send_dropped) {
        log_begin(&line, CONFIG_LOG_WARNING,
                  "datagrams could not be sent; their sessions send them again; look at the "
                  "routes and the firewall of this machine");
        log_number(&line, "port", port->local.port);
        log_number(&line, "failed", now->send_failed - then->send_failed);
        log_number(&line, "no_room", now->send_dropped - then->send_dropped);
        log_text(&line, "error", port->send_error != 0 ? uv_strerror(port->send_error) : NULL);
        log_end(&line);
    }
    port->logged = *now;
}
