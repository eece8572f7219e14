/* SPDX-License-Identifier: Apache-2.0 */
#include "service/lookup.h"
#include "service/log.h"
#include "service/rva.h"
#include "service/server_internal.h"
#include "service/symbols/connect.h"
#include "service/symbols/symbols.h"

#include <stdio.h>
#include <stdlib.h>

#define PATH_SIZE 4096

/* A file or folder in the folder that the service manager keeps for us; NULL when there is none, or the name is too
 * long. */
static const char *state_path(const char *name, char out[static PATH_SIZE])
{
    const char *folder = getenv("STATE_DIRECTORY"); // NOLINT(concurrency-mt-unsafe)
    if (!folder || folder[0] != '/')
        return NULL;
    int length = snprintf(out, PATH_SIZE, "%s/%s", folder, name);
    return length > 0 && length < PATH_SIZE ? out : NULL;
}

/* The machines that wait ask again; the others do not mind. */
static void ask_again(struct server *server)
{
    uint64_t now_us = server_now_us();
    for (uint32_t id = 0; id < server->targets.ids && server->totals.halted > 0; ++id) {
        struct target *target = targets_row(&server->targets, id);
        if (!target || !target->halted || !target->session)
            continue;
        kdnet_session_symbols_came(target->session, now_us);
        dispatch_pump(server, target, NULL, NULL, now_us);
    }
}

static void on_ended(void *user, const struct kdnet_pdb *pdb, const char *symbol, enum symbols_answer answer,
                     const char *trail)
{
    struct server *server = user;
    char guidage[KDNET_GUIDAGE_SIZE];
    struct log_line line;
    static const char *const texts[] = {
        [SYMBOLS_FOUND] = "symbol found",
        [SYMBOLS_ABSENT] = "symbol is not in this kernel's symbols; Microsoft's public ones do not have it",
        [SYMBOLS_NO_SYMBOLS] = "no symbols of this kernel; what was tried is in `tried`",
        [SYMBOLS_PENDING] = "symbol is looked up",
    };
    kdnet_pdb_guidage(pdb, guidage);
    log_begin(&line, answer == SYMBOLS_NO_SYMBOLS ? CONFIG_LOG_WARNING : CONFIG_LOG_NOTICE, texts[answer]);
    log_text(&line, "symbol", symbol);
    log_text(&line, "pdb", pdb->name);
    log_text(&line, "guidage", guidage);
    log_text(&line, "tried", trail);
    log_end(&line);
    ask_again(server);
}

static bool fill_path(const struct kdnetd_config *config, struct symbol_path *path)
{
    char folder[PATH_SIZE];
    const struct symbol_path_options options = {.cache_directory = state_path("symbols", folder),
                                                .open_server = symbol_connect_server};
    bool good = true;
    for (size_t i = 0; i < config->symbol_count; ++i) {
        char reason[SYMBOL_REASON_SIZE];
        struct log_line line;
        if (symbol_path_add(path, config->symbols[i], &options, reason))
            continue;
        good = false;
        log_begin(&line, CONFIG_LOG_ERROR, "symbols: a place cannot be used; the others are");
        log_text(&line, "place", config->symbols[i]);
        log_text(&line, "reason", reason);
        log_end(&line);
    }
    return good;
}

bool lookup_open(struct server *server)
{
    char cache[PATH_SIZE];
    struct symbol_path path;
    const struct symbols_options options = {
        .cache_file = state_path("symbols.cache", cache), .ended = on_ended, .user = server};
    lookup_close(server);
    if (server->config.symbol_count == 0)
        return true;
    symbol_path_init(&path);
    (void)fill_path(&server->config, &path);
    int error = symbols_open(&server->symbols, &server->loop, &path, &options);
    if (error != 0)
        log_plain(CONFIG_LOG_ERROR, "symbols: out of memory; kernels have no symbols until kdnetd is reloaded");
    ask_again(server); /* of the look-ups that were closed, nobody hears */
    return error == 0;
}

void lookup_close(struct server *server)
{
    symbols_close(server->symbols);
    server->symbols = NULL;
}

enum kdnet_rva_answer lookup_find(void *user, const struct kdnet_pdb *pdb, const char *symbol, uint32_t *rva,
                                  enum kdnet_source *source)
{
    struct server *server = user;
    enum kdnet_rva_answer told = rva_find(&server->config, pdb, symbol, rva, source);
    if (told == KDNET_RVA_FOUND || !server->symbols || server->stopping)
        return told;
    switch (symbols_find(server->symbols, pdb, symbol, rva, source)) {
    case SYMBOLS_FOUND:
        return KDNET_RVA_FOUND;
    case SYMBOLS_ABSENT:
        return KDNET_RVA_ABSENT;
    case SYMBOLS_PENDING:
        return KDNET_RVA_PENDING;
    case SYMBOLS_NO_SYMBOLS:
        break;
    }
    return KDNET_RVA_NO_SYMBOLS;
}
