/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contains: whether one text is a part of another, in either case: names and addresses are ASCII, values of labels
 * UTF-8. Letters of the Latin, Greek, Cyrillic and Armenian scripts have a case; the locale does not matter.
 */
#ifndef SERVICE_SERVER_CONTAINS_H
#define SERVICE_SERVER_CONTAINS_H

#include <stdbool.h>

bool contains(const char *text, const char *part);

#endif
