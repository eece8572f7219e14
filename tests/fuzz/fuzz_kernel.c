/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a crashed machine, read as each structure that it could be. */
#include "kdnet/error.h"
#include "kdnet/kernel/loaded_image.h"
#include "kdnet/session/evidence.h"
#include "kdnet/kernel/debugger_data.h"
#include "kdnet/kernel/bugcheck.h"
#include "kdnet/kernel/pe.h"
#include "kdnet/kernel/pdb.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void read_lists_and_texts(const uint8_t *data, size_t size)
{
    struct kdnet_loaded_image image;
    struct kdnet_evidence evidence = {.texts_length = 0};
    if (size >= KDNET_LOADED_IMAGE_SIZE) {
        kdnet_loaded_image_decode(kdnet_machine_layout(KDNET_MACHINE_X64), data, &image);
        kdnet_loaded_image_decode(kdnet_machine_layout(KDNET_MACHINE_X86), data, &image);
    }
    (void)kdnet_loaded_image_is("crashdmp", data, size);
    for (size_t i = 0; i < KDNET_READS_MAX; ++i) {
        const struct kdnet_value *value = &evidence.value[i];
        size_t length = size < KDNET_TEXT_MAX ? size : KDNET_TEXT_MAX;
        kdnet_evidence_text(&evidence, i, data, length, i % 2 == 0, i % 3 == 0);
        FUZZ_CHECK(value->text_at + (size_t)value->text_length <= evidence.texts_length);
        FUZZ_CHECK(evidence.texts_length <= sizeof evidence.texts);
    }
}

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
    read_lists_and_texts(data, size);
    return 0;
}
