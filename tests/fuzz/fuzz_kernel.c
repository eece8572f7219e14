/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a crashed machine, read as each structure that it could be. */
#include "kdnet/error.h"
#include "kdnet/kernel.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t rva, length;
    struct kdnet_pdb pdb;
    struct kdnet_debugger_data block;
    struct kdnet_bugcheck bugcheck;
    char text[KDNET_GUIDAGE_SIZE];
    if (kdnet_pe_debug_directory(data, size, &rva, &length) == KDNET_OK)
        FUZZ_CHECK(rva != 0 && length >= 28);
    if (kdnet_pe_codeview(data, size, &rva, &length) == KDNET_OK)
        FUZZ_CHECK(rva != 0 && length > 24);
    if (kdnet_pdb_decode(data, size, &pdb) == KDNET_OK) {
        kdnet_pdb_guidage(&pdb, text);
        FUZZ_CHECK(strlen(text) > 32 && memchr(pdb.name, 0, sizeof pdb.name) != NULL);
    }
    (void)kdnet_debugger_data_decode(data, size, &block);
    (void)kdnet_bugcheck_decode(kdnet_machine_layout(KDNET_MACHINE_X64), data, size, &bugcheck);
    (void)kdnet_bugcheck_decode(kdnet_machine_layout(KDNET_MACHINE_X86), data, size, &bugcheck);
    (void)kdnet_bugcheck_from_text((const char *)data, size, &bugcheck);
    return 0;
}
