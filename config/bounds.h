/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bounds: is a YAML text cheap to load? Private to config/.
 *
 * libyaml's time grows with the square of how deep a text nests, and of how many anchors and tags it defines: 200 KB of
 * [ keep it busy for half a minute. A configuration needs a handful of each.
 */
#ifndef CONFIG_BOUNDS_H
#define CONFIG_BOUNDS_H

#include "config/config.h"

#define CONFIG_DEPTH_MAX     32        /* lists and groups of fields inside one another */
#define CONFIG_ANCHORS_MAX   256       /* &name */
#define CONFIG_ALIAS_WORK    100000000 /* anchors times aliases (*name): each alias is looked for among all anchors */
#define CONFIG_TAGS_MAX      16        /* %TAG */
#define CONFIG_DOCUMENTS_MAX 16        /* begun with --- */

/*
 * Looks at the tokens of a text. False, after a report, when one of the bounds is exceeded. What is no YAML is left to
 * the parser, which stops at the same place. Cost: one pass, no memory.
 */
bool config_bounds_check(const char *text, size_t length, const struct config_spot *file, struct config_report *report);

#endif
