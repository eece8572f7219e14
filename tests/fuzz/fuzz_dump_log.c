/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for the dump log in a machine whose memory is the input, again and again: byte 0 says the machine, whether
 * there is a driver, and whether a way to a log is remembered, which bytes 1 to 8 describe. The search ends within its
 * bounds, stays in the kernel's half, and proves nothing that the memory does not say in so many words.
 */
#include "kdnet/base/wire.h"
#include "kdnet/crash/dump_log.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define HEAD   9U
#define BLOCK  0xfffff80000001000U
#define DRIVER 0xfffff80000004000U
#define END    0xfffff80000010000U
#define FINAL  "Dump completed successfully."
#define NAME   "#BugCheckCode"

static const struct kdnet_bugcheck crash = {0xd1, {0xfffff80012345678U, 2, 0, 0xfffff88000001234U}};
static struct kdnet_dump_log_search search;

/* What the machine has at an address; 0: it is not there. */
static size_t read_memory(const uint8_t *memory, size_t size, uint64_t at, uint8_t *out, size_t length)
{
    if (size == 0 || at < BLOCK || at >= END)
        return 0;
    for (size_t i = 0; i < length; ++i)
        out[i] = memory[(at - BLOCK + i) % size];
    return length;
}

/* Whether the memory, which begins again at its end, says a text in ASCII or UTF-16. */
static bool says(const uint8_t *memory, size_t size, const char *text, size_t step)
{
    for (size_t i = 0; i < size; ++i) {
        size_t n = 0;
        while (text[n] != '\0' && memory[(i + n * step) % size] == (uint8_t)text[n])
            ++n;
        if (text[n] == '\0')
            return true;
    }
    return false;
}

static void run(const struct kdnet_dump_log_start *start, const uint8_t *memory, size_t size)
{
    uint8_t bytes[KDNET_DUMP_LOG_READ];
    uint64_t address;
    uint32_t length;
    unsigned asked = 0;
    kdnet_dump_log_begin(&search, start);
    while (kdnet_dump_log_next(&search, &address, &length)) {
        FUZZ_CHECK(++asked <= KDNET_DUMP_LOG_READS && length > 0 && length <= sizeof bytes);
        FUZZ_CHECK(!kdnet_machine_is_user_address(start->machine, address));
        kdnet_dump_log_take(&search, bytes, read_memory(memory, size, address, bytes, length));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD)
        return 0;
    const uint8_t *memory = data + HEAD;
    struct kdnet_dump_log_start start = {.machine = data[0] & 1 ? KDNET_MACHINE_X86 : KDNET_MACHINE_X64,
                                         .bugcheck = crash,
                                         .block = data[0] & 2 ? 0 : BLOCK,
                                         .driver = data[0] & 4 ? DRIVER : 0};
    start.path = (struct kdnet_dump_log_path){.known = data[0] & 8,
                                              .in_driver = data[0] & 16,
                                              .levels = data[1] % (KDNET_DUMP_LOG_LEVELS + 1),
                                              .offset = {data[2], kdnet_get_le16(data + 3), kdnet_get_le32(data + 5)}};
    run(&start, memory, size - HEAD);
    if (!search.found)
        return 0;
    size_t step = search.text.wide ? 2 : 1;
    FUZZ_CHECK(says(memory, size - HEAD, KDNET_DUMP_LOG_SIGNATURE, step) && says(memory, size - HEAD, NAME, step));
    FUZZ_CHECK(!kdnet_dump_log_text_completed(&search.text) || says(memory, size - HEAD, FINAL, step));
    return 0;
}
