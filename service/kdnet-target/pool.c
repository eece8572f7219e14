/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of a simulated machine: paged-out entries of further loaded images, and the dump log. */
#include "service/kdnet-target/machine_internal.h"
#include "kdnet/base/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PAGE       0x1000U
#define POOL       0xffffe000b5b50000U /* 64-bit machines; the low half on x86 */
#define LOG_PAGE   0U
#define LOG_AT     0x20U
#define IMAGE_PAGE 1U
#define ENTRY      0x100U /* bytes of an image's entry, with its name */
#define NAME_AT    0xc0U
#define IMAGE_SIZE 0x8000U

static uint64_t pool_address(const struct machine *m, uint64_t offset)
{
    uint64_t pool = m->layout->pointer_size == 8 ? POOL : kdnet_machine_address(KDNET_MACHINE_X86, (uint32_t)POOL);
    return pool + offset;
}

/* --- the log ------------------------------------------------------------------------------------------------------ */

static size_t begin_log(const struct machine *m, char *text, size_t size)
{
    size_t length = (size_t)snprintf(text, size, "DLOGFILE \r\nDump stack initialized at UTC: 2024/05/06 07:08:09\r\n");
    if (!m->crashed)
        return length;
    length += (size_t)snprintf(text + length, size - length, "#BugCheckCode 0x%016" PRIX64 "\r\n",
                               (uint64_t)m->bugcheck.code);
    for (size_t i = 0; i < 4; ++i)
        length += (size_t)snprintf(text + length, size - length, "#BugCheckP%zu 0x%016" PRIX64 "\r\n", i + 1,
                                   m->bugcheck.parameters[i]);
    return length;
}

/* As far as the dump has come. */
static void write_log(const struct machine *m, char *text, size_t size)
{
    static const char progress[] =
        "Dump Type: 5, Total Dump Size: 4294967296\r\nDumping physical memory to disk:  %u%%\r\n"
        "Total pages:1048576 Pages written:%u\r\n";
    static const char end[] = "Dump ended at UTC: 2024/05/06 07:09:09\r\nDump completed successfully.\r\n";
    size_t length = begin_log(m, text, size);
    if (m->dump_status == DUMP_NOT_STARTED)
        return;
    bool good = m->dump_status == 0;
    length += (size_t)snprintf(text + length, size - length, progress, good ? 100U : 45U, good ? 1048576U : 471859U);
    if (good)
        (void)snprintf(text + length, size - length, "%s", end);
}

static void fill_log(const struct machine *m, uint8_t *page)
{
    char text[PAGE / 2 - LOG_AT] = "";
    size_t step = m->layout->machine == KDNET_MACHINE_ARM64 ? 2 : 1;
    write_log(m, text, sizeof text);
    for (size_t i = 0; text[i] != '\0'; ++i)
        page[LOG_AT + i * step] = (uint8_t)text[i];
}

uint64_t pool_log(const struct machine *m)
{
    return m->config.dump_log && !m->config.no_dump ? pool_address(m, LOG_PAGE * PAGE + LOG_AT) : 0;
}

/* --- images ------------------------------------------------------------------------------------------------------- */

static uint64_t image_entry(const struct machine *m, uint32_t image)
{
    return pool_address(m, IMAGE_PAGE * PAGE + (uint64_t)image * ENTRY);
}

uint64_t pool_first_image(const struct machine *m, uint64_t without_them)
{
    return m->config.images > 0 ? image_entry(m, 0) : without_them;
}

/* A KLDR_DATA_TABLE_ENTRY. */
static void put_image(const struct machine *m, uint32_t image, uint8_t *entry, uint64_t then)
{
    char name[24];
    bool wide = m->layout->pointer_size == 8;
    uint8_t *string = entry + (wide ? 0x58 : 0x2c);
    int length = snprintf(name, sizeof name, "image%03u.sys", (unsigned)image);
    memory_put_pointer(m, entry, image + 1 < m->config.images ? image_entry(m, image + 1) : then);
    memory_put_pointer(m, entry + (wide ? 0x30 : 0x18), pool_address(m, 0x1000000U + (uint64_t)image * 0x10000U));
    kdnet_put_le32(entry + (wide ? 0x40 : 0x20), IMAGE_SIZE);
    kdnet_put_le16(string, (uint16_t)(2 * length));
    kdnet_put_le16(string + 2, (uint16_t)(2 * length + 2));
    memory_put_pointer(m, string + m->layout->pointer_size, image_entry(m, image) + NAME_AT);
    for (int i = 0; i < length; ++i)
        kdnet_put_le16(entry + NAME_AT + (size_t)2 * (size_t)i, (uint8_t)name[i]);
}

bool pool_fill(const struct machine *m, uint64_t address, uint8_t *page, uint64_t then)
{
    uint64_t number = (address - pool_address(m, 0)) / PAGE;
    uint64_t first = (number - IMAGE_PAGE) * (PAGE / ENTRY);
    if (m->who != KDNET_WHO_NT || address < pool_address(m, 0))
        return false;
    if (number == LOG_PAGE && pool_log(m) != 0) {
        fill_log(m, page);
        return true;
    }
    if (number < IMAGE_PAGE || first >= m->config.images)
        return false;
    for (uint32_t i = 0; i < PAGE / ENTRY && first + i < m->config.images; ++i)
        put_image(m, (uint32_t)first + i, page + (size_t)i * ENTRY, then);
    return true;
}
