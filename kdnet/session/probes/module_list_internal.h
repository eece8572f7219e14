/* SPDX-License-Identifier: Apache-2.0 */
/* module_list_internal: images other than the kernel that values refer to. Not for callers. */
#ifndef KDNET_MODULE_LIST_INTERNAL_H
#define KDNET_MODULE_LIST_INTERNAL_H

#include "kdnet/session/boot_cache_internal.h"
#include "kdnet/session/probes/probe_internal.h"

/* Requests the next unknown fact about the images that reads refer to; false: nothing is left to request. */
bool kdnet_module_list_next(struct kdnet_session *session);

/* A reply to a question of kdnet_module_list_next; length 0: unreadable. */
enum kdnet_probe_outcome kdnet_module_list_take(struct kdnet_session *session, const uint8_t *data, size_t length);

/* Returns the image of a read; NULL: not looked for. */
struct kdnet_module *kdnet_module_list_find(const struct kdnet_session *session, const char *name);

#endif
