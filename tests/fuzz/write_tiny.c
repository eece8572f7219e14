/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the corpora of fuzz_pdb and fuzz_cab: write_tiny CORPUS-FOLDER. */
#include "tests/symbols/tiny.h"

#include <stdio.h>

static const struct tiny_symbol publics[] = {{"IopFinalCrashDumpStatus", 0x110e, 1, 0x10}, {NULL, 0, 0, 0}};
static const struct tiny_symbol decorated[] = {{"_Decorated", 0x110e, 1, 0x10}, {NULL, 0, 0, 0}};
static const struct tiny_symbol globals[] = {{"Hidden", 0x110c, 1, 0x20}, {NULL, 0, 0, 0}};
static const uint32_t omap[][2] = {{0x5000, 0x70000}, {0x5018, 0}, {0, 0}};

static uint8_t image[TINY_SIZE], cabinet[TINY_SIZE];

static int put(const char *folder, const char *name, const uint8_t *bytes, size_t length)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file)
        return 1;
    int wrong = fwrite(bytes, 1, length, file) != length;
    return fclose(file) != 0 || wrong;
}

int main(int argc, char **argv)
{
    struct tiny_pdb pdb = {.guid = {1}, .info_age = 1, .dbi_age = 1, .machine = 0x8664, .sections = {0x1000}};
    if (argc != 2)
        return 2;
    pdb.publics = publics;
    pdb.globals = globals;
    int wrong = put(argv[1], "pdb/x64", image, tiny_pdb_build(&pdb, image, NULL));
    pdb.omap = omap;
    pdb.sections_before[0] = 0x5000;
    wrong |= put(argv[1], "pdb/moved", image, tiny_pdb_build(&pdb, image, NULL));
    pdb.omap = NULL;
    pdb.machine = 0x14c;
    pdb.publics = decorated;
    size_t length = tiny_pdb_build(&pdb, image, NULL);
    wrong |= put(argv[1], "pdb/x86", image, length);
    wrong |= put(argv[1], "cab/stored", cabinet, tiny_cab_build("ntkrnlmp.pdb", image, 4096, cabinet));
    wrong |= put(argv[1], "cab/other_name", cabinet, tiny_cab_build("x", image, 64, cabinet));
    return wrong;
}
