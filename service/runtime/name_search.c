/* SPDX-License-Identifier: Apache-2.0 */
#include "service/runtime/name_search.h"

#include <curl/curl.h>

static void set(void *curl, bool leaves)
{
#if LIBCURL_VERSION_NUM >= 0x075700
    (void)curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, leaves ? 1L : 0L);
#else
    (void)curl, (void)leaves;
#endif
}

void name_search_leave(void *curl)
{
    set(curl, true);
}

bool name_search_begin(const struct name_search *search, void *curl)
{
    bool leaves = atomic_load(&search->left) < NAME_SEARCH_LEFT;
    set(curl, leaves);
    return leaves;
}

/* A connection that was there already needs no name. */
static bool has_found(void *curl)
{
    curl_off_t took_us = 0;
    long status = 0;
    return (curl_easy_getinfo(curl, CURLINFO_NAMELOOKUP_TIME_T, &took_us) == CURLE_OK && took_us > 0) ||
           (curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status > 0);
}

/* A search that was waited for has ended: so have those before it, which began earlier. */
void name_search_end(struct name_search *search, void *curl, bool leaves)
{
    if (has_found(curl) || !leaves)
        atomic_store(&search->left, 0);
    else
        atomic_fetch_add(&search->left, 1);
}
