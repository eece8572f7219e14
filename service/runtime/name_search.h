/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_search: what becomes of libcurl's thread that searches for a name when a request is over before it.
 *
 * libcurl waits for that thread, which waits until each name server has been silent twice: half a minute, and whoever
 * ends waits, too. Leaving it behind (CURLOPT_QUICK_EXIT, of libcurl 7.87) costs a thread while the search lasts. A
 * program that runs for years leaves only NAME_SEARCH_LEFT of them in a row behind, then waits for one: where searches
 * never end, it has lost so many threads and no more.
 *
 * `curl` is a handle of libcurl's easy interface. Thread: any.
 */
#ifndef SERVICE_NAME_SEARCH_H
#define SERVICE_NAME_SEARCH_H

#include <stdatomic.h>
#include <stdbool.h>

#define NAME_SEARCH_LEFT 4U

/* Of the requests for one name. All zero at first. */
struct name_search {
    atomic_uint left; /* threads left behind since a search has ended */
};

/* Leaves the thread of the request under way, or of the next one, behind: the program ends. Also from a callback. */
void name_search_leave(void *curl);

/* Before a request. Returns whether it leaves its thread behind, for name_search_end. */
bool name_search_begin(const struct name_search *search, void *curl);

/* After the request. */
void name_search_end(struct name_search *search, void *curl, bool leaves);

#endif
