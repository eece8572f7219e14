/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "service/http/tls.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

static bool fail(char *error, const char *path, const char *what)
{
    char reason[160] = "";
    unsigned long code = ERR_peek_last_error();
    if (code != 0)
        ERR_error_string_n(code, reason, sizeof reason);
    ERR_clear_error();
    (void)snprintf(error, TLS_ERROR_SIZE, "%.*s %s%s%.*s", CHARACTERS(path, 200), what, reason[0] != '\0' ? ": " : "",
                   CHARACTERS(reason, 100));
    return false;
}

static void stamp(const char *path, struct tls_stamp *out)
{
    uv_fs_t request;
    *out = (struct tls_stamp){.size = -1};
    if (!path)
        return;
    if (uv_fs_stat(NULL, &request, path, NULL) == 0) {
        const uv_stat_t *status = &request.statbuf;
        *out = (struct tls_stamp){(int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec,
                                  (int64_t)status->st_size, status->st_ino};
    }
    uv_fs_req_cleanup(&request);
}

static void stamp_all(const struct tls_files *files, struct tls_stamp out[static TLS_FILES])
{
    stamp(files->certificate, &out[0]);
    stamp(files->key, &out[1]);
    stamp(files->client_ca, &out[2]);
}

bool tls_has_changed(const struct tls *tls, const struct tls_files *files)
{
    struct tls_stamp now[TLS_FILES];
    stamp_all(files, now);
    for (int i = 0; i < TLS_FILES; ++i)
        if (now[i].changed_ns != tls->stamps[i].changed_ns || now[i].size != tls->stamps[i].size ||
            now[i].inode != tls->stamps[i].inode)
            return true;
    return false;
}

static bool has_expired(SSL_CTX *context)
{
    X509 *certificate = SSL_CTX_get0_certificate(context);
    return certificate && X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0;
}

bool tls_is_expired(const struct tls *tls)
{
    return tls->context && has_expired(tls->context);
}

static int no_password(char *buffer, int size, int writing, void *user)
{
    (void)buffer, (void)size, (void)writing, (void)user;
    return 0; /* OpenSSL would ask at the terminal */
}

static bool take_files(SSL_CTX *context, const struct tls_files *files, char *error)
{
    SSL_CTX_set_default_passwd_cb(context, no_password);
    if (SSL_CTX_use_certificate_chain_file(context, files->certificate) != 1)
        return fail(error, files->certificate, "is no certificate in PEM, or is not whole; write it anew");
    if (SSL_CTX_use_PrivateKey_file(context, files->key, SSL_FILETYPE_PEM) != 1)
        return fail(error, files->key, "is no key in PEM without a password, or does not fit the certificate");
    if (SSL_CTX_check_private_key(context) != 1)
        return fail(error, files->key, "does not fit the certificate; write both anew");
    if (has_expired(context))
        return fail(error, files->certificate, "has expired; renew it");
    if (files->client_ca) {
        if (SSL_CTX_load_verify_locations(context, files->client_ca, NULL) != 1)
            return fail(error, files->client_ca, "has no certificates in PEM");
        SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(files->client_ca));
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    return true;
}

bool tls_read(struct tls *tls, const struct tls_files *files, char error[static TLS_ERROR_SIZE])
{
    ERR_clear_error();
    stamp_all(files, tls->stamps); /* later writes will be noticed */
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        return fail(error, "TLS", "is out of memory");
    (void)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_session_id_context(context, (const unsigned char *)"kdnetd", 6);
    if (!take_files(context, files, error)) {
        SSL_CTX_free(context);
        return false;
    }
    SSL_CTX_free(tls->context);
    tls->context = context;
    return true;
}

void tls_clear(struct tls *tls)
{
    SSL_CTX_free(tls->context);
    *tls = (struct tls){.context = NULL};
}
