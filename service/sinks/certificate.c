/* SPDX-License-Identifier: Apache-2.0 */
#include "service/sinks/certificate.h"

#include <stdio.h>
#include <string.h>

/* Why the receiver's certificate was not accepted: by the words of OpenSSL, or of Windows. */
static const char *remedy_of_theirs(const char *error)
{
    if (strstr(error, "expired") || strstr(error, "EXPIRED"))
        return "the receiver needs a new certificate, or this computer's clock is wrong";
    if (strstr(error, "not yet valid"))
        return "look at the clocks of this computer and of the receiver";
    if (strstr(error, "match") || strstr(error, "WRONG_PRINCIPAL") || strstr(error, "SNI or certificate check"))
        return "its certificate is for another name: name the receiver as its certificate does, or give it one for "
               "this name";
    return "name the file of the authority that made its certificate: ca_file";
}

static const char *remedy_of(CURLcode code, const char *error)
{
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        return remedy_of_theirs(error);
    if (code == CURLE_SSL_CACERT_BADFILE)
        return "ca_file has no certificate that can be read";
    if (strstr(error, "certificate required") || strstr(error, "bad certificate") || strstr(error, "handshake failure"))
        return "the receiver may want a certificate of its client, which a sink cannot show: let it accept a token, or "
               "this address";
    return NULL;
}

void certificate_explain(CURLcode code, const char *error, char *out, size_t size)
{
    const char *fault = error[0] ? error : curl_easy_strerror(code), *remedy = remedy_of(code, fault);
    (void)snprintf(out, size, remedy ? "%.110s; %s" : "%s", fault, remedy);
}

void certificate_forget(CURL *curl)
{
    (void)curl_easy_setopt(curl, CURLOPT_SSL_SESSIONID_CACHE, 0L);
#if LIBCURL_VERSION_NUM >= 0x075700
    (void)curl_easy_setopt(curl, CURLOPT_CA_CACHE_TIMEOUT, 0L);
#else
    (void)curl;
#endif
}
