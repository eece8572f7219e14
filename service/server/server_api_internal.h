/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_api_internal: shared by the files of the API. server_api.c has start, end, loops and counters, api_status.c
 * the status, api_targets.c the targets, api_unknown.c the unknown sources.
 */
#ifndef SERVICE_SERVER_SERVER_API_INTERNAL_H
#define SERVICE_SERVER_SERVER_API_INTERNAL_H

#include "service/server/api.h"
#include "service/server/server_internal.h"

/* Microseconds since 1970. */
uint64_t api_wall_us(void);

/* Converts a time on the workers' clock to wall-clock time; 0 stays 0. */
uint64_t api_people_us(uint64_t us);

/* NULL for an empty text. */
const char *api_text_or_null(const char *text);

/* A loop has gone round: the server's is 0. */
void api_turned(struct api *api, unsigned loop, uint64_t lag_us);

/* With the lock held: copies the server's rows of unknown sources; how many there are. */
void api_renew_unknowns(struct api *api);
uint64_t api_count_unknown(const struct api *api);

/* Members of struct http_ops. */
void api_get_status(void *user, struct http_status *out);
size_t api_get_targets(void *user, const struct http_target_query *query, http_target_fn *each, void *each_user);
size_t api_get_unknown(void *user, http_unknown_fn *each, void *each_user);

#endif
