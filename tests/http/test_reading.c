/* SPDX-License-Identifier: Apache-2.0 */
/* What HTTP reads from people and files, and what is wrong with it: heads of requests, queries, tokens, certificates;
 * and the JSON that it writes of any text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "service/http/head.h"
#include "service/http/json_out.h"
#include "service/http/query.h"
#include "service/http/tls.h"
#include "service/http/tokens.h"

#include <cmocka.h>
#include <unistd.h>

/* --- heads -------------------------------------------------------------------------------------------------------- */

static bool parse(const char *text, struct http_head *head, struct head_error *error)
{
    static char copy[HEAD_SIZE];
    size_t length = strlen(text);
    assert_true(length < sizeof copy);
    memcpy(copy, text, length + 1);
    *error = (struct head_error){.detail = NULL};
    return head_parse(copy, length, head, error);
}

static void what_is_wrong_with_a_head_is_said(void **state)
{
    static const struct {
        const char *text, *field, *detail;
    } wrong[] = {
        {"GET / HTTP/1.1", "line", "a line end of its own"},
        {"GET /\r HTTP/1.1\r\n\r\n", "line", "a line end of its own"},
        {"GET /\r\n\r\n", "line", "is this an HTTP client?"},
        {"G@T / HTTP/1.1\r\n\r\n", "method", "no word of letters"},
        {"GETGETGETGETGETGETGETGETGET / HTTP/1.1\r\n\r\n", "method", "no word of letters"},
        {"GET / HTTP/2.0\r\n\r\n", "version", "only HTTP/1.1"},
        {"GET /\x80 HTTP/1.1\r\n\r\n", "target", "percent-encoded"},
        {"GET ftp://a/ HTTP/1.1\r\n\r\n", "target", "start it with a slash"},
        {"GET http:///a HTTP/1.1\r\n\r\n", "target", "no host or no path"},
        {"GET http://a?b HTTP/1.1\r\n\r\n", "target", "no host or no path"},
        {"GET /#a HTTP/1.1\r\n\r\n", "target", "no fragment"},
        {"GET /?a#b HTTP/1.1\r\n\r\n", "target", "no fragment"},
        {"GET / HTTP/1.1\r\nHost: a\r\nAccept: \x7f\r\n\r\n", "headers", "control characters"},
        {"GET / HTTP/1.1\r\nHost: a\r\nAccept: a\x01\r\n\r\n", "headers", "control characters"},
        {"GET / HTTP/1.1\r\nHost: a\r\nAccept\r\n\r\n", "headers", "no colon"},
        {"GET / HTTP/1.1\r\nHost: a\r\n folded: a\r\n\r\n", "headers", "is folded"},
        {"GET / HTTP/1.1\r\nHost: a\r\nA: b\rc\r\n\r\n", "headers", "a line end of its own"},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "Host", "is there twice"},
        {"GET / HTTP/1.1\r\n\r\n", "Host", "is missing"},
        {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1x\r\n\r\n", "Content-Length", "no decimal number"},
        {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "Content-Length", "twice"},
        {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "Transfer-Encoding", "only `chunked`"},
        {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", "Content-Length",
         "beside Transfer-Encoding"},
    };
    struct http_head head;
    struct head_error error;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; ++i) {
        if (parse(wrong[i].text, &head, &error))
            fail_msg("taken: %s", wrong[i].text);
        assert_string_equal(error.field, wrong[i].field);
        if (!strstr(error.detail, wrong[i].detail))
            fail_msg("%s: %s", wrong[i].text, error.detail);
    }
}

static void a_head_says_what_it_wants(void **state)
{
    struct http_head head;
    struct head_error error;
    (void)state;
    assert_true(parse("GET http://box:9/a?b=c HTTP/1.0\r\nConnection: x, Keep-Alive\r\nAccept: \t a/b \t\r\n\r\n",
                      &head, &error));
    assert_string_equal(head.host, "box:9");
    assert_string_equal(head.path, "/a");
    assert_string_equal(head.query, "b=c");
    assert_string_equal(head.accept, "a/b");
    assert_true(head.http_1_0 && head.keep_alive);
    assert_true(parse("GET / HTTP/1.0\r\nConnection: x\r\n\r\n", &head, &error));
    assert_false(head.keep_alive);
    assert_true(parse("GET * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &head, &error));
    assert_false(head.keep_alive);
}

static void a_head_ends_at_an_empty_line(void **state)
{
    (void)state;
    assert_int_equal(head_length("GET / HTTP/1.1\r\n\r\nrest", 22), 18);
    assert_int_equal(head_length("GET / HTTP/1.1\n\nrest", 20), 16);
    assert_int_equal(head_length("GET / HTTP/1.1\r\n\r", 17), 0);
    assert_int_equal(head_length("GET / HTTP/1.1", 14), 0);
}

/* --- queries ------------------------------------------------------------------------------------------------------ */

static void a_query_is_decoded_or_refused(void **state)
{
    struct query query;
    char many[QUERY_MAX * 2 + 8] = "";
    (void)state;
    assert_null(query_parse("a=b+c&&d&a=%C3%A9", &query));
    assert_int_equal(query_count(&query, "a"), 2);
    assert_string_equal(query_get(&query, "a", 0), "b c");
    assert_string_equal(query_get(&query, "a", 1), "\xc3\xa9");
    assert_string_equal(query_get(&query, "d", 0), "");
    assert_null(query_get(&query, "a", 2));
    query_clear(&query);
    static const char *const broken[] = {"a=%",         "a=%4",     "a=%zz",       "a=%00",    "a=%01",
                                         "a=%C3",       "a=%C3x",   "a=%ED%A0%80", "a=%C0%80", "a=%F4%90%80%80",
                                         "a=%E0%80%80", "a=%C2%80", "%=a"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; ++i)
        assert_non_null(strstr(query_parse(broken[i], &query), "broken percent escape"));
    for (size_t i = 0; i <= QUERY_MAX; ++i)
        (void)strcat(many, "a&");
    assert_non_null(strstr(query_parse(many, &query), "more than 64 parameters"));
    assert_null(query_parse(NULL, &query));
    assert_int_equal(query.count, 0);
}

static void times_and_durations_are_taken_as_people_write_them(void **state)
{
    static const struct {
        const char *text;
        uint64_t us;
    } good[] = {{"1970-01-01T00:00:01Z", 1000000},
                {"1970-01-02 00:00:00.5z", UINT64_C(86400500000)},
                {"2000-02-29t12:00:00+01:00", UINT64_C(951822000000000)},
                {"2000-02-29T12:00:00 01:00", UINT64_C(951822000000000)},
                {"2000-02-29T10:00:00-01:00", UINT64_C(951822000000000)},
                {"1s", 99000000},
                {"2m", 0},
                {"9w", 0}};
    static const char *const wrong[] = {"",
                                        "now",
                                        "1",
                                        "1y",
                                        "99999999999s",
                                        "1970-01-01T00:00:00+01:00",
                                        "1969-12-31T23:59:59Z",
                                        "1971-02-29T00:00:00Z",
                                        "1900-02-29T00:00:00Z",
                                        "1971-13-01T00:00:00Z",
                                        "1971-01-01T24:00:00Z",
                                        "1971-01-01T00:00:00",
                                        "1971-01-01T00:00:00.Z",
                                        "1971-01-01T00:00:00Zx",
                                        "1971-01-01T00:00:00*01:00",
                                        "1971-01-01T00:00:00+1:00",
                                        "1971-01-01T00:00:00+24:00",
                                        "1971-1-01T00:00:00Z",
                                        "1971-01-01X00:00:00Z"};
    uint64_t us;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; ++i) {
        if (!query_time(good[i].text, 100000000, &us))
            fail_msg("%s", good[i].text);
        assert_int_equal(us, good[i].us);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; ++i)
        if (query_time(wrong[i], 100000000, &us))
            fail_msg("%s", wrong[i]);
    assert_true(query_number("10", 1, 10, &us) && us == 10);
    assert_false(query_number("11", 1, 10, &us) || query_number("0", 1, 10, &us) || query_number("1x", 1, 10, &us));
}

/* --- tokens ------------------------------------------------------------------------------------------------------- */

#define SECRET "0123456789abcdef0123456789abcdef"

static const char *refused(const char *text)
{
    static char error[TOKENS_ERROR_SIZE];
    struct tokens tokens = {.of = NULL};
    assert_false(tokens_parse(text, strlen(text), &tokens, error));
    assert_null(tokens.of);
    return error;
}

static void what_is_wrong_with_a_file_of_tokens_is_said_by_line(void **state)
{
    (void)state;
    assert_string_equal(refused("anna read"), "line 1: is not NAME ROLE TOKEN");
    assert_non_null(strstr(refused("# ours\n\nan@na read " SECRET), "line 3: the name has 1 to 64 letters"));
    assert_non_null(strstr(refused("anna write " SECRET), "line 1: the second word is the role"));
    assert_non_null(strstr(refused("anna read 0123456789"), "the token has 32 to 512 visible characters"));
    assert_non_null(strstr(refused("anna read 0123456789abcdef0123456789abcde\x7f"), "visible characters"));
    assert_non_null(strstr(refused("anna read " SECRET "\nanna act " SECRET "0"), "line 2: this name or this token"));
    assert_non_null(strstr(refused("anna read " SECRET "\r\nbert act " SECRET), "line 2: this name or this token"));
}

static void a_thousand_tokens_are_enough(void **state)
{
    static char text[1026 * 64], error[TOKENS_ERROR_SIZE];
    char name[CALL_BY_SIZE];
    struct tokens tokens = {.of = NULL};
    size_t length = 0;
    (void)state;
    for (unsigned i = 0; i < 1024; ++i)
        length += (size_t)snprintf(text + length, sizeof text - length, "t%u act " SECRET "%u\n", i, i);
    assert_true(tokens_parse(text, length, &tokens, error));
    assert_int_equal(tokens_find(&tokens, SECRET "1023", name), CALL_ROLE_ACT);
    assert_string_equal(name, "t1023");
    assert_int_equal(tokens_find(&tokens, SECRET, name), CALL_ROLE_NONE);
    length += (size_t)snprintf(text + length, sizeof text - length, "more read " SECRET "more\n");
    assert_false(tokens_parse(text, length, &tokens, error));
    assert_string_equal(error, "line 1025: there are more than 1,024 tokens; take some out");
    assert_int_equal(tokens_find(&tokens, SECRET "1023", name), CALL_ROLE_ACT); /* those until now stay */
    tokens_clear(&tokens);
}

/* --- certificates ------------------------------------------------------------------------------------------------- */

enum { CERTIFICATE, KEY, OTHER_KEY, OLD, LOCKED_KEY, FILES };
static char folder[64], paths[FILES][96];

static void write_certificate(const char *path, EVP_PKEY *key, long until_s)
{
    X509 *made = X509_new();
    assert_non_null(made);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(made), 1), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(made), -1000));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(made), until_s));
    assert_int_equal(X509_set_pubkey(made, key), 1);
    assert_true(X509_sign(made, key, EVP_sha256()) > 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, made), 1);
    assert_int_equal(fclose(file), 0);
    X509_free(made);
}

/* password: NULL for none. */
static void write_key(const char *path, EVP_PKEY *key, const char *password)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    const EVP_CIPHER *cipher = password ? EVP_aes_256_cbc() : NULL;
    assert_int_equal(PEM_write_PrivateKey(file, key, cipher, (const unsigned char *)password,
                                          password ? (int)strlen(password) : 0, NULL, NULL),
                     1);
    assert_int_equal(fclose(file), 0);
}

static int make_files(void **state)
{
    static const char *const names[] = {"certificate.pem", "key.pem", "other.pem", "old.pem", "locked.pem"};
    EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    (void)state;
    assert_true(key && other);
    (void)snprintf(folder, sizeof folder, "/tmp/kdnetd-reading-XXXXXX");
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < FILES; ++i)
        (void)snprintf(paths[i], sizeof paths[i], "%s/%s", folder, names[i]);
    write_certificate(paths[CERTIFICATE], key, 100000);
    write_certificate(paths[OLD], key, -500);
    write_key(paths[KEY], key, NULL);
    write_key(paths[OTHER_KEY], other, NULL);
    write_key(paths[LOCKED_KEY], key, "secret");
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < FILES; ++i)
        (void)unlink(paths[i]);
    return rmdir(folder);
}

static void a_certificate_that_cannot_serve_is_told_and_the_one_until_now_stays(void **state)
{
    char error[TLS_ERROR_SIZE] = "";
    struct tls tls = {.context = NULL};
    struct tls_files files = {.certificate = paths[CERTIFICATE], .key = paths[KEY]};
    (void)state;
    assert_false(tls_is_expired(&tls));
    assert_true(tls_read(&tls, &files, error));
    assert_false(tls_is_expired(&tls));
    assert_false(tls_has_changed(&tls, &files));
    const SSL_CTX *before = tls.context;
    files.key = paths[OTHER_KEY];
    assert_true(tls_has_changed(&tls, &files));
    assert_false(tls_read(&tls, &files, error));
    assert_non_null(strstr(error, "other.pem does not fit the certificate"));
    files.key = paths[CERTIFICATE];
    assert_false(tls_read(&tls, &files, error));
    assert_non_null(strstr(error, "is no key in PEM"));
    files.key = paths[LOCKED_KEY]; /* nobody is asked for its password */
    assert_false(tls_read(&tls, &files, error));
    assert_non_null(strstr(error, "locked.pem is no key in PEM without a password"));
    files = (struct tls_files){.certificate = paths[KEY], .key = paths[KEY]};
    assert_false(tls_read(&tls, &files, error));
    assert_non_null(strstr(error, "is no certificate in PEM"));
    files = (struct tls_files){.certificate = paths[OLD], .key = paths[KEY]};
    assert_false(tls_read(&tls, &files, error));
    assert_non_null(strstr(error, "old.pem has expired; renew it"));
    files = (struct tls_files){.certificate = paths[CERTIFICATE], .key = paths[KEY], .client_ca = paths[KEY]};
    assert_false(tls_read(&tls, &files, error));
    assert_non_null(strstr(error, "has no certificates in PEM"));
    assert_ptr_equal(tls.context, before);
    files.client_ca = paths[CERTIFICATE];
    assert_true(tls_read(&tls, &files, error));
    tls_clear(&tls);
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

static const char *json_of(const char *text)
{
    static char out[2 * JSON_OUT_SIZE];
    struct json_out json;
    struct evbuffer *buffer = evbuffer_new();
    assert_non_null(buffer);
    out_begin(&json, buffer);
    out_text(&json, text);
    out_end(&json);
    assert_false(json.failed);
    int length = evbuffer_remove(buffer, out, sizeof out - 1);
    assert_true(length >= 0);
    out[length] = '\0';
    evbuffer_free(buffer);
    return out;
}

static void any_text_is_written_as_json(void **state)
{
    static char longest[JSON_OUT_SIZE + 100];
    (void)state;
    assert_string_equal(json_of(NULL), "null");
    assert_string_equal(json_of("a\"b\\c\n\x01\x7f"), "\"a\\\"b\\\\c\\n\\u0001\\u007f\"");
    assert_string_equal(json_of("\xc3\xa9\xff!"), "\"\xc3\xa9\xEF\xBF\xBD!\"");
    memset(longest, 'x', sizeof longest - 1);
    const char *text = json_of(longest);
    assert_int_equal(strlen(text), sizeof longest - 1 + 2);
    assert_memory_equal(text + 1, longest, sizeof longest - 1);
}

/* A buffer that takes nothing more, as when memory is out. */
static void what_cannot_be_written_is_known(void **state)
{
    static char longest[JSON_OUT_SIZE + 100];
    struct json_out json;
    struct evbuffer *buffer = evbuffer_new();
    (void)state;
    assert_non_null(buffer);
    assert_int_equal(evbuffer_freeze(buffer, 0), 0);
    out_begin(&json, buffer);
    out_text(&json, "a");
    out_end(&json);
    assert_true(json.failed);
    out_begin(&json, buffer);
    assert_false(json.failed);
    out_raw(&json, longest, sizeof longest);
    assert_true(json.failed);
    evbuffer_free(buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_with_a_head_is_said),
        cmocka_unit_test(a_head_says_what_it_wants),
        cmocka_unit_test(a_head_ends_at_an_empty_line),
        cmocka_unit_test(a_query_is_decoded_or_refused),
        cmocka_unit_test(times_and_durations_are_taken_as_people_write_them),
        cmocka_unit_test(what_is_wrong_with_a_file_of_tokens_is_said_by_line),
        cmocka_unit_test(a_thousand_tokens_are_enough),
        cmocka_unit_test(a_certificate_that_cannot_serve_is_told_and_the_one_until_now_stays),
        cmocka_unit_test(any_text_is_written_as_json),
        cmocka_unit_test(what_cannot_be_written_is_known),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
