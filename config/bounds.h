/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bounds: checks that a YAML text is cheap to load. Private to config/.
 *
 * libyaml's time grows with the square of a text's nesting depth, and of its number of anchors and tags: 200 KB of [
 * keep libyaml busy for half a minute. A configuration needs a handful of each.
 */
#ifndef CONFIG_BOUNDS_H
#define CONFIG_BOUNDS_H

#include "config/config.h"

#define CONFIG_DEPTH_MAX     32        /* nesting depth of lists and mappings */
#define CONFIG_ANCHORS_MAX   256       /* &name */
#define CONFIG_ALIAS_WORK    100000000 /* anchors times aliases (*name): each alias is looked for among all anchors */
#define CONFIG_TAGS_MAX      16        /* %TAG */
#define CONFIG_DOCUMENTS_MAX 16        /* begun with --- */

/*
 * Checks a text's tokens. False, after a report, when a bound is exceeded. Invalid YAML is left to the parser, which
 * stops at the same place. Cost: one pass, no memory.
 */
bool config_bounds_check(const char *text, size_t length, const struct config_spot *file, struct config_report *report);

#endif
