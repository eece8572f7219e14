/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls: the certificate of the TCP address, reloaded when its files change.
 *
 * A half-written or expired file, or one that does not fit its key, does not replace a good one.
 */
#ifndef SERVICE_HTTP_TLS_H
#define SERVICE_HTTP_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#define TLS_ERROR_SIZE 512
#define TLS_FILES      3

struct tls_stamp {
    int64_t changed_ns, size;
    uint64_t inode;
};

struct tls {
    SSL_CTX *context; /* owned; NULL: none is good */
    struct tls_stamp stamps[TLS_FILES];
};

/* Certificate with its chain, key, and the CA of clients' certificates (NULL: clients need none). */
struct tls_files {
    const char *certificate, *key, *client_ca;
};

/* Reads the files. False: the fault and its remedy are in `error`; the context is unchanged. */
bool tls_read(struct tls *tls, const struct tls_files *files, char error[static TLS_ERROR_SIZE]);

/* Whether a file has changed since tls_read. */
bool tls_has_changed(const struct tls *tls, const struct tls_files *files);

/* The certificate in use has expired. */
bool tls_is_expired(const struct tls *tls);

void tls_clear(struct tls *tls);

#endif
