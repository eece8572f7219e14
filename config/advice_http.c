/* SPDX-License-Identifier: Apache-2.0 */
/* Warns of `http` settings that are legal, and leave the API closed, or more open than meant. */
#include "config/advice.h"

#include <string.h>

static bool is_loopback(const struct config_address *address)
{
    static const uint8_t v4[13] = {[10] = 0xff, [11] = 0xff, [12] = 127}, v6[16] = {[15] = 1};
    return memcmp(address->ip, v4, sizeof v4) == 0 || memcmp(address->ip, v6, sizeof v6) == 0;
}

static void advise(const struct kdnetd_config *config, enum config_setting setting, const char *field, const char *text,
                   struct config_report *report)
{
    const struct config_place *place = &config->set_at[setting];
    struct config_spot spot = {advice_file(config, place), place->source, place->line, place->column, field};
    config_report_add(report, &spot, "warning: %s", text);
}

/* Warns of what a reachable address lacks. */
static void advise_reachable(const struct kdnetd_config *config, struct config_report *report)
{
    if (!config->http_tls_cert && !config->http_tls_key)
        advise(config, CONFIG_SET_http, "http",
               "is no loopback address and there is no certificate: nothing is served there; set http_tls_cert and "
               "http_tls_key, or listen on 127.0.0.1",
               report);
    if (config->was_set[CONFIG_SET_http_read] && config->http_read == CONFIG_HTTP_READ_OPEN && !config->http_client_ca)
        advise(config, CONFIG_SET_http_read, "http_read",
               "is open and the address of http is no loopback address: whoever reaches it reads results, which hold "
               "kernel addresses; use token, or set http_client_ca",
               report);
}

static bool needs_token(const struct kdnetd_config *config)
{
    return config->was_set[CONFIG_SET_http_read] ? config->http_read == CONFIG_HTTP_READ_TOKEN
                                                 : !is_loopback(&config->http);
}

void advise_http(const struct kdnetd_config *config, struct config_report *report)
{
    if (config->http.port == 0)
        return;
    if (!is_loopback(&config->http))
        advise_reachable(config, report);
    if (config->http_tls_cert && !config->http_tls_key)
        advise(config, CONFIG_SET_http_tls_cert, "http_tls_cert",
               "is of no use without its private key: nothing is served by TCP; set http_tls_key", report);
    if (config->http_tls_key && !config->http_tls_cert)
        advise(config, CONFIG_SET_http_tls_key, "http_tls_key",
               "is of no use without its certificate: nothing is served by TCP; set http_tls_cert", report);
    if (config->http_client_ca && !config->http_tls_cert && !config->http_tls_key)
        advise(
            config, CONFIG_SET_http_client_ca, "http_client_ca",
            "is of no use without a certificate of kdnetd's own: clients are not asked for theirs; set http_tls_cert "
            "and http_tls_key",
            report);
    if (needs_token(config) && !config->http_tokens)
        advise(config, config->was_set[CONFIG_SET_http_read] ? CONFIG_SET_http_read : CONFIG_SET_http,
               config->was_set[CONFIG_SET_http_read] ? "http_read" : "http",
               "wants a token of whoever reads, and there are none: nobody can read by TCP; set http_tokens", report);
}
