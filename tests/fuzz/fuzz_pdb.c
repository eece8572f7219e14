/* SPDX-License-Identifier: Apache-2.0 */
/* A PDB: identity, and names that it has and has not. */
#include "service/symbols/pdb.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"IopFinalCrashDumpStatus", "Hidden", "NotThere", "Decorated"};
    struct symbol_file file;
    struct pdb pdb;
    symbol_file_memory(&file, data, size);
    const char *mistake = pdb_open(&pdb, &file);
    for (size_t i = 0; !mistake && i < sizeof names / sizeof names[0]; ++i) {
        char reason[SYMBOL_REASON_SIZE] = "";
        uint32_t rva = 0xdead;
        enum symbol_answer answer = pdb_find(&pdb, names[i], &rva, reason);
        FUZZ_CHECK(answer == SYMBOL_FOUND || rva == 0xdead);
        FUZZ_CHECK((answer == SYMBOL_NONE) == (reason[0] != 0));
        FUZZ_CHECK(memchr(reason, 0, sizeof reason) != NULL);
    }
    pdb_close(&pdb);
    return 0;
}
