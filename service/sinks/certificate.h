/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certificate: what an operator does about a TLS connection of a sink that failed.
 *
 * Thread: any.
 */
#ifndef SERVICE_SINKS_CERTIFICATE_H
#define SERVICE_SINKS_CERTIFICATE_H

#include <curl/curl.h>
#include <stddef.h>

/* Writes libcurl's fault, and the remedy when it is one of certificates. `error`: CURLOPT_ERRORBUFFER's text. */
void certificate_explain(CURLcode code, const char *error, char *out, size_t size);

/* Lets a replaced ca_file, and a receiver's replaced certificate, count at the next connection. libcurl would keep the
 * file for a day; and a TLS session that is taken up again has the certificate that was refused, whatever the receiver
 * has now. Costs a whole handshake for each connection; a sink keeps its connection. */
void certificate_forget(CURL *curl);

#endif
