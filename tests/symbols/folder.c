/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/remove_tree.h"
#include "tests/support/wait_for.h"
#include "tests/symbols/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];

const char *folder_make(void)
{
    (void)snprintf(root, sizeof root, "/tmp/kdnetd-test-XXXXXX");
    assert_non_null(mkdtemp(root));
    return root;
}

void folder_remove(void)
{
    WAIT_FOR(remove_tree(root)); /* Windows removes no file that a look-up which was given up has open yet */
}

const char *folder_path(const char *path)
{
    static char buffers[4][FOLDER_PATH];
    static unsigned next;
    char *buffer = buffers[next++ % 4];
    (void)snprintf(buffer, FOLDER_PATH, "%s/%s", root, path);
    return buffer;
}

void folder_write(const char *path, const void *bytes, size_t length)
{
    char whole[FOLDER_PATH];
    (void)snprintf(whole, sizeof whole, "%s/%s", root, path);
    for (char *slash = strchr(whole + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        (void)mkdir(whole, 0755);
        *slash = '/';
    }
    FILE *file = fopen(whole, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

const char *folder_read(const char *path)
{
    static char text[65536];
    text[0] = 0;
    FILE *file = fopen(folder_path(path), "rb");
    if (!file)
        return text;
    size_t length = fread(text, 1, sizeof text - 1, file);
    text[length] = 0;
    (void)fclose(file);
    return text;
}
