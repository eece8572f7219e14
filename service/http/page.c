/* SPDX-License-Identifier: Apache-2.0 */
/* The page: compiled-in files. */
#include "service/http/page.h"
#include "service/http/state_internal.h"

#include <string.h>

static const struct page_file *find(const char *name)
{
    for (const struct page_file *file = page_files; file->name; ++file)
        if (strcmp(file->name, name) == 0)
            return file;
    return NULL;
}

void page_answer(struct call *call)
{
    bool is_root = strcmp(call->route->path, "/") == 0;
    const struct page_file *file = find(is_root ? "index.html" : call->argument);
    if (!file) {
        call_problem(call, HTTP_PROBLEM_NOT_FOUND, NULL, "there is no such file; the page is /");
        return;
    }
    struct evbuffer *body = call_answer(call, file->type);
    if (body && evbuffer_add_reference(body, file->data, file->length, NULL, NULL) != 0)
        call_problem(call, HTTP_PROBLEM_BUSY, NULL, "kdnetd is out of memory; try again later");
    else if (body)
        call->reply.page = true;
}
