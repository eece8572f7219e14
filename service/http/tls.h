/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls: the certificate of the TCP address, read again when its files change.
 *
 * Uses OpenSSL. A file that is half-written, does not fit its key, or is expired does not replace one that is good.
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

/* Certificate (with its chain), its key, and whom clients' certificates must be of (NULL: they need none). */
struct tls_files {
    const char *certificate, *key, *client_ca;
};

/* Reads the files. False: what is wrong and its remedy is in `error`; the context stays as it was. */
bool tls_read(struct tls *tls, const struct tls_files *files, char error[static TLS_ERROR_SIZE]);

/* Whether a file is another one than tls_read found. */
bool tls_has_changed(const struct tls *tls, const struct tls_files *files);

/* The certificate in use has expired. */
bool tls_is_expired(const struct tls *tls);

void tls_clear(struct tls *tls);

#endif
