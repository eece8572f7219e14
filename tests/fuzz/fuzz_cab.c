/* SPDX-License-Identifier: Apache-2.0 */
/* A cabinet: what comes out is bounded, whatever it says. */
#include "service/symbols/cab.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct symbol_file file, out;
    char reason[SYMBOL_REASON_SIZE] = "";
    symbol_file_memory(&file, data, size);
    bool good = cab_extract(&file, "ntkrnlmp.pdb", &out, reason);
    FUZZ_CHECK(good == (reason[0] == 0));
    FUZZ_CHECK(out.size <= CAB_MAX);
    symbol_file_close(&out);
    return 0;
}
