/* SPDX-License-Identifier: Apache-2.0 */
/* remove_tree: removes a folder that a test made, and all in it. Returns whether nothing of it is left. */
#ifndef TESTS_SUPPORT_REMOVE_TREE_H
#define TESTS_SUPPORT_REMOVE_TREE_H

#include <ftw.h>
#include <stdbool.h>
#include <unistd.h>

static inline int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)walk;
    return kind == FTW_DP ? rmdir(path) : unlink(path);
}

static inline bool remove_tree(const char *folder)
{
    return nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0;
}

#endif
