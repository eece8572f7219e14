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
    for (uint32_t rva = 0; !mistake && rva < 0x3000; rva += 0x7f0) {
        char reason[SYMBOL_REASON_SIZE] = "";
        struct symbol_address address = {.rva = rva};
        pdb_find_address(&pdb, &address, reason);
        FUZZ_CHECK(address.rva == rva && (address.answer == SYMBOL_NONE) == (reason[0] != 0));
        FUZZ_CHECK(address.answer != SYMBOL_FOUND ||
                   (address.offset < SYMBOL_REACH && memchr(address.name, 0, sizeof address.name)));
    }
    pdb_close(&pdb);
    return 0;
}
