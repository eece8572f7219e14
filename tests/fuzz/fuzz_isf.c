/* SPDX-License-Identifier: Apache-2.0 */
/* A symbol table of Volatility, as it is or compressed: of a certain image, and of any. */
#include "service/symbols/isf.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static enum symbol_answer find(const struct symbol_file *file, const struct kdnet_pdb *wanted, const char *name)
{
    struct isf isf;
    char reason[SYMBOL_REASON_SIZE] = "";
    uint32_t rva = 0xdead;
    enum symbol_answer answer = isf_find(file, wanted, name, &rva, &isf, reason);
    FUZZ_CHECK(answer == SYMBOL_FOUND || rva == 0xdead);
    FUZZ_CHECK((answer == SYMBOL_NONE) == (reason[0] != 0));
    FUZZ_CHECK(memchr(isf.pdb.name, 0, sizeof isf.pdb.name) != NULL);
    return answer;
}

/* Several names at once say what each says alone. */
static void find_together(const struct symbol_file *file)
{
    struct symbol_name names[] = {{.name = "KiBugCheckData"},
                                  {.name = "NotThere"},
                                  {.name = "_KiBugCheckData"},
                                  {.name = "Other"},
                                  {.name = "Other"}};
    char reason[SYMBOL_REASON_SIZE] = "", alone_reason[SYMBOL_REASON_SIZE] = "";
    struct isf isf;
    bool read = isf_find_all(file, NULL, names, sizeof names / sizeof names[0], &isf, reason);
    FUZZ_CHECK(read == (reason[0] == 0));
    for (size_t i = 0; read && i < sizeof names / sizeof names[0]; ++i) {
        uint32_t rva = 0;
        enum symbol_answer alone = isf_find(file, NULL, names[i].name, &rva, &isf, alone_reason);
        FUZZ_CHECK(alone == names[i].answer && (alone != SYMBOL_FOUND || rva == names[i].rva));
    }
}

/* Each address has the nearest symbol, whatever the order in the file. */
static void find_addresses(const struct symbol_file *file)
{
    struct symbol_address addresses[] = {{.rva = 0}, {.rva = 0x2cc940}, {.rva = UINT32_MAX}};
    char reason[SYMBOL_REASON_SIZE] = "";
    struct isf isf;
    bool read = isf_find_addresses(file, NULL, addresses, sizeof addresses / sizeof addresses[0], &isf, reason);
    FUZZ_CHECK(read == (reason[0] == 0));
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; ++i) {
        FUZZ_CHECK((addresses[i].answer == SYMBOL_NONE) == !read);
        FUZZ_CHECK(addresses[i].answer != SYMBOL_FOUND || addresses[i].offset < SYMBOL_REACH);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct kdnet_pdb wanted = {.guid = {0x11, 0x11, 0x11, 0x11}, .age = 1};
    struct symbol_file file;
    symbol_file_memory(&file, data, size);
    enum symbol_answer any = find(&file, NULL, "KiBugCheckData");
    enum symbol_answer certain = find(&file, &wanted, "KiBugCheckData");
    FUZZ_CHECK(certain == any || certain == SYMBOL_NONE);
    (void)find(&file, NULL, "NotThere");
    find_together(&file);
    find_addresses(&file);
    return 0;
}
