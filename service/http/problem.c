/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/problem.h"

static const struct {
    const char *name, *title;
    unsigned status;
} problems[HTTP_PROBLEM_COUNT] = {
#define HTTP_PROBLEM_ROW(constant, name, status, title) [HTTP_PROBLEM_##constant] = {name, title, status},
    HTTP_PROBLEMS(HTTP_PROBLEM_ROW)
#undef HTTP_PROBLEM_ROW
};

const char *problem_name(enum http_problem kind)
{
    return problems[kind].name;
}

const char *problem_title(enum http_problem kind)
{
    return problems[kind].title;
}

unsigned problem_status(enum http_problem kind)
{
    return problems[kind].status;
}
