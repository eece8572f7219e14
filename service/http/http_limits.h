/* SPDX-License-Identifier: Apache-2.0 */
/* http_limits: how much of everything HTTP allows, and how long. */
#ifndef SERVICE_HTTP_LIMITS_H
#define SERVICE_HTTP_LIMITS_H

#include <stddef.h>

#define HTTP_CONNECTIONS_MAX   1024U /* by TCP */
#define HTTP_LOCAL_MAX         64U   /* by the Unix socket */
#define HTTP_STREAMS_MAX       800U  /* streams over TCP among the connections */
#define HTTP_LOCAL_STREAMS_MAX 48U
#define HTTP_REQUEST_MS        30000U /* from accept, or from the last response, to the end of a request */
#define HTTP_IDLE_MS           60000U /* limit between two requests, and of a response that its reader does not take */
#define HTTP_LATE_MS           10000U /* limit of a request that begins late in HTTP_IDLE_MS */
#define HTTP_CALL_MS           30000U /* until a question to the store is given up */
#define HTTP_LINGER_MS         2000U  /* for a refused request to be read away */
#define HTTP_RETRY_MS          30000U /* delay until a socket that cannot be opened is retried */
#define HTTP_PING_MS           15000U /* comments on streams */
#define HTTP_PATH_SIZE         108    /* of the Unix socket: sun_path */
#define HTTP_BODY_MAX          ((size_t)64 << 10)
#define HTTP_REQUESTS_MAX      1000U              /* over TCP, a second; more wait for their turn */
#define HTTP_ACCEPTS_MAX       1000U              /* connections over TCP, a second; more wait in the kernel */
#define HTTP_ANSWERS_MAX       ((size_t)64 << 20) /* bytes of all answers that wait for their readers */

/* The times, places and paces above, for tests to make them small; all zero: as above. */
struct http_limits {
    unsigned connections, local, streams, request_ms, idle_ms, late_ms, call_ms, retry_ms, ping_ms, requests, accepts;
};

#endif
