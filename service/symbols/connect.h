/* SPDX-License-Identifier: Apache-2.0 */
/* connect: symbol servers (server.h) as sources of a path (path.h). Uses both. */
#ifndef SERVICE_SYMBOLS_CONNECT_H
#define SERVICE_SYMBOLS_CONNECT_H

#include "service/symbols/path.h"
#include "service/symbols/server.h"

/*
 * Nothing of the disk is touched before the first fetch.
 *
 * The open_server of struct symbol_path_options.
 *
 * user   const struct symbol_server *: settings for all servers, whose directory and URL do not count; NULL: the
 * defaults.
 */
bool symbol_connect_server(void *user, const char *directory, const char *url, struct symbol_source *out,
                           char reason[static SYMBOL_REASON_SIZE]);

#endif
