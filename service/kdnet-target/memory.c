/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a simulated machine: four pages of kernel (or loader), two of a driver, made up when they are read. */
#include "kdnet/base/wire.h"
#include "service/kdnet-target/driver_image.h"
#include "service/kdnet-target/machine_internal.h"
#include "service/kdnet-target/script.h"

#include <stdio.h>
#include <string.h>

#define PAGE          0x1000U
#define DRIVER_LENGTH ((uint64_t)2 * PAGE) /* of a made-up driver */
#define LOADER_BASE   0x96f000U
#define RSDS_NAME     24
#define ENDLESS       0x100000U
#define ENDLESS_END   0x8000000U /* pages of modules without an end: RVAs */
#define LONGEST_TEXT  0xfffeU
#define MODULE_DEBUG  0xc0U /* from a module's entry to its debug info */

/* PE, offsets from the image's base */
enum {
    PE_AT = 0xf8,
    COFF_AT = PE_AT + 4,
    OPTIONAL_AT = PE_AT + 24,
    SECTION_SIZE = 40,
    DIRECTORY_COUNT = 16,
    EXCEPTION_DIRECTORY = 3,
    DEBUG_DIRECTORY = 6,
    DEBUG_ENTRY = 28,
    IMAGE_SIZE = 0xa00000,
    DRIVER_DEBUG_DIRECTORY = 0x800, /* in the driver's first page */
    DRIVER_CODEVIEW = 0x840,
    DRIVER_UNWIND = 0xa00, /* .pdata, followed by the unwind info */
    KERNEL_UNWIND = 0x2900,
    FRAME_SIZE = 0x28, /* stack.c has the same value */
};

static const struct {
    const char *image, *pdb;
} drivers[MACHINE_DRIVERS] = {
    {"faulty.sys", "faulty.pdb"}, {"examplenic.sys", "examplenic.pdb"}, {"examplefs.sys", "examplefs.pdb"}};

const char *machine_driver_name(uint32_t driver)
{
    return drivers[driver % MACHINE_DRIVERS].image;
}

static const char *driver_name(const struct machine *m)
{
    return machine_driver_name(m->config.driver);
}

static uint32_t stamp_of(const struct machine *m, uint64_t base)
{
    return base == m->driver_base ? MACHINE_DRIVER_STAMP + m->config.driver : MACHINE_KERNEL_STAMP + m->config.kernel;
}

uint64_t memory_address(const struct machine *m, uint32_t rva)
{
    return m->kernel_base + rva;
}

void memory_place(struct machine *m)
{
    uint64_t draw = machine_draw(m);
    if (m->who == KDNET_WHO_BOOT) {
        m->kernel_base = LOADER_BASE;
    } else if (m->layout->pointer_size == 4) {
        m->kernel_base = kdnet_machine_address(KDNET_MACHINE_X86, 0x81000000U + (draw & 0xff) * 0x10000U);
        m->driver_base = kdnet_machine_address(KDNET_MACHINE_X86, 0x90000000U + (draw >> 32 & 0xff) * 0x10000U);
    } else {
        m->kernel_base = 0xfffff80000000000U + ((draw & 0x3ffff) << 21);
        m->driver_base = 0xfffff88000000000U + ((draw >> 32 & 0x3ffff) << 16);
    }
    m->dump_status = DUMP_NOT_STARTED;
    m->crashed = false;
}

static void put_section(uint8_t *at, const char *name, uint32_t rva)
{
    strncpy((char *)at, name, 8); /* NUL-padded, not NUL-ended */
    kdnet_put_le32(at + 8, PAGE);
    kdnet_put_le32(at + 12, rva);
    kdnet_put_le32(at + 16, PAGE);
    kdnet_put_le32(at + 20, rva);
}

static uint32_t unwind_table(const struct machine *m, uint64_t base)
{
    return base == m->driver_base ? DRIVER_UNWIND : KERNEL_UNWIND;
}

/* One function, the whole page of code, with FRAME_SIZE bytes of stack; on ARM64 (packed) 48 with lr at 32. */
static void put_unwind(const struct machine *m, uint8_t *page, uint32_t rva)
{
    static const uint8_t info[] = {1, 4, 1, 0, 4, (FRAME_SIZE / 8 - 1) << 4 | 2};
    uint8_t *entry = page + rva % PAGE;
    kdnet_put_le32(entry, PAGE);
    if (m->layout->machine == KDNET_MACHINE_ARM64) {
        kdnet_put_le32(entry + 4, 1U | PAGE / 4 << 2 | 1U << 21 | 48U / 16 << 23);
        return;
    }
    kdnet_put_le32(entry + 4, 2 * PAGE);
    kdnet_put_le32(entry + 8, rva + 16);
    memcpy(entry + 16, info, sizeof info);
}

static uint32_t entry_size(const struct machine *m)
{
    return m->layout->machine == KDNET_MACHINE_ARM64 ? 8 : 12;
}

static void fill_headers(const struct machine *m, uint8_t *page, uint64_t base, uint32_t debug_directory)
{
    bool wide = m->layout->pointer_size == 8;
    uint8_t *optional = page + OPTIONAL_AT;
    uint8_t *directories = optional + (wide ? 112 : 96);
    uint16_t optional_size = (uint16_t)((wide ? 112 : 96) + 8 * DIRECTORY_COUNT);
    page[0] = 'M';
    page[1] = 'Z';
    kdnet_put_le32(page + 0x3c, PE_AT);
    page[PE_AT] = 'P';
    page[PE_AT + 1] = 'E';
    kdnet_put_le16(page + COFF_AT, (uint16_t)m->layout->machine);
    kdnet_put_le16(page + COFF_AT + 2, 3);
    kdnet_put_le32(page + COFF_AT + 4, stamp_of(m, base));
    kdnet_put_le16(page + COFF_AT + 16, optional_size);
    kdnet_put_le16(page + COFF_AT + 18, wide ? 0x22 : 0x102);
    kdnet_put_le16(optional, wide ? 0x20b : 0x10b);
    if (wide)
        kdnet_put_le64(optional + 24, base);
    else
        kdnet_put_le32(optional + 28, (uint32_t)base);
    kdnet_put_le32(optional + 32, PAGE);
    kdnet_put_le32(optional + 36, PAGE);
    kdnet_put_le32(optional + 56, IMAGE_SIZE);
    kdnet_put_le32(optional + 60, PAGE);
    kdnet_put_le32(directories - 4, DIRECTORY_COUNT);
    if (m->layout->machine != KDNET_MACHINE_X86) {
        kdnet_put_le32(directories + (size_t)8 * EXCEPTION_DIRECTORY, unwind_table(m, base));
        kdnet_put_le32(directories + (size_t)8 * EXCEPTION_DIRECTORY + 4, entry_size(m));
    }
    kdnet_put_le32(directories + (size_t)8 * DEBUG_DIRECTORY, debug_directory);
    kdnet_put_le32(directories + (size_t)8 * DEBUG_DIRECTORY + 4, 2 * DEBUG_ENTRY);
    uint8_t *sections = optional + optional_size;
    put_section(sections, ".text", PAGE);
    put_section(sections + SECTION_SIZE, ".rdata", 2 * PAGE);
    put_section(sections + (size_t)2 * SECTION_SIZE, ".data", 3 * PAGE);
}

static void put_breakpoint(const struct machine *m, uint8_t *at)
{
    if (m->layout->machine == KDNET_MACHINE_ARM64) {
        kdnet_put_le32(at, 0xd43e0000U);     /* brk #f000 */
        kdnet_put_le32(at + 4, 0xd65f03c0U); /* ret */
    } else {
        at[0] = 0xcc;
        at[1] = 0xc3;
    }
}

static void put_breakpoints(const struct machine *m, uint8_t *page)
{
    put_breakpoint(m, page + MACHINE_RVA_BREAKPOINT % PAGE);
    put_breakpoint(m, page + MACHINE_RVA_DEBUG_SERVICE % PAGE);
}

static void fill_code(const struct machine *m, uint8_t *page)
{
    if (m->layout->machine == KDNET_MACHINE_ARM64)
        for (size_t i = 0; i < PAGE; i += 4)
            kdnet_put_le32(page + i, 0xd503201fU); /* nop */
    else
        memset(page, 0x90, PAGE);
    put_breakpoints(m, page);
}

static const char *lab_machine(const struct machine *m)
{
    switch (m->layout->machine) {
    case KDNET_MACHINE_X86:
        return "x86fre";
    case KDNET_MACHINE_ARM64:
        return "arm64fre";
    default:
        return "amd64fre";
    }
}

/* A debug directory at `at` of a page, which names a CodeView record. */
static void put_directory(uint8_t *page, uint32_t at, uint32_t codeview, const struct kdnet_pdb *pdb)
{
    uint8_t *entry = page + at % PAGE + DEBUG_ENTRY;
    size_t name_size = strlen(pdb->name) + 1;
    kdnet_put_le32(page + at % PAGE + 12, 13); /* a debug entry of another type goes first */
    kdnet_put_le32(entry + 12, 2);
    kdnet_put_le32(entry + 16, (uint32_t)(RSDS_NAME + name_size));
    kdnet_put_le32(entry + 20, codeview);
    kdnet_put_le32(entry + 24, codeview);
}

static void put_record(uint8_t *page, uint32_t at, const struct kdnet_pdb *pdb)
{
    uint8_t *rsds = page + at % PAGE;
    kdnet_put_le32(rsds, 0x53445352U); /* "RSDS" */
    memcpy(rsds + 4, pdb->guid, sizeof pdb->guid);
    kdnet_put_le32(rsds + 20, pdb->age);
    memcpy(rsds + RSDS_NAME, pdb->name, strlen(pdb->name) + 1);
}

static void fill_constants(const struct machine *m, uint8_t *page)
{
    struct kdnet_pdb pdb = m->pdb;
    pdb.guid[14] = (uint8_t)(pdb.guid[14] + m->config.kernel);
    if (m->who != KDNET_WHO_NT) { /* the loader is another image */
        pdb.guid[0] ^= 0xff;
        memcpy(pdb.name, "winload_prod.pdb", sizeof "winload_prod.pdb");
    }
    put_directory(page, MACHINE_RVA_DEBUG_DIRECTORY,
                  m->lies & LIE_IDENTITY ? MACHINE_RVA_FALSE_CODEVIEW : MACHINE_RVA_CODEVIEW, &pdb);
    put_record(page, MACHINE_RVA_CODEVIEW, &pdb);
    put_unwind(m, page, KERNEL_UNWIND);
    pdb.guid[1] ^= 0xff;
    put_record(page, MACHINE_RVA_FALSE_CODEVIEW, &pdb);
    (void)snprintf((char *)page + MACHINE_RVA_BUILD_LAB % PAGE, KDNET_BUILD_LAB_SIZE,
                   "20348.%u.%s.fe_release.210507-1500", (unsigned)(288 + m->config.kernel), lab_machine(m));
    (void)snprintf((char *)page + MACHINE_RVA_BUILD_LAB_EX % PAGE, KDNET_BUILD_LAB_SIZE,
                   "20348.%u.%s.fe_release.210507-1500-ex", (unsigned)(288 + m->config.kernel), lab_machine(m));
}

/* Writes the headers of a linked image, moved to its base, with our debug directory. */
static void put_image_headers(const struct machine *m, const struct driver_image *image, uint8_t *page)
{
    memcpy(page, image->bytes, DRIVER_DEBUG_DIRECTORY);
    uint8_t *optional = page + kdnet_get_le32(page + 0x3c) + 24, *directory = optional + 112 + 8 * DEBUG_DIRECTORY;
    kdnet_put_le64(optional + 24, m->driver_base);
    kdnet_put_le32(optional - 16, stamp_of(m, m->driver_base));
    kdnet_put_le32(directory, DRIVER_DEBUG_DIRECTORY);
    kdnet_put_le32(directory + 4, 2 * DEBUG_ENTRY);
}

static void fill_driver_headers(const struct machine *m, uint8_t *page)
{
    struct kdnet_pdb pdb;
    const struct driver_image *image = stack_driver(m);
    machine_default_pdb(&pdb);
    (void)snprintf(pdb.name, sizeof pdb.name, "%s", drivers[m->config.driver % MACHINE_DRIVERS].pdb);
    pdb.guid[15] = (uint8_t)(0x0d + m->config.driver);
    if (image)
        put_image_headers(m, image, page);
    else
        fill_headers(m, page, m->driver_base, DRIVER_DEBUG_DIRECTORY);
    put_directory(page, DRIVER_DEBUG_DIRECTORY, DRIVER_CODEVIEW, &pdb);
    put_record(page, DRIVER_CODEVIEW, &pdb);
    kdnet_put_le32(page + MACHINE_DRIVER_RVA_STATE, MACHINE_DRIVER_STATE);
    if (!image)
        put_unwind(m, page, DRIVER_UNWIND);
}

void memory_put_pointer(const struct machine *m, uint8_t *at, uint64_t value)
{
    if (m->layout->pointer_size == 8)
        kdnet_put_le64(at, value);
    else
        kdnet_put_le32(at, (uint32_t)value);
}

static void fill_debugger_data(const struct machine *m, uint8_t *block)
{
    uint64_t list = memory_address(m, MACHINE_RVA_DATA_LIST);
    kdnet_put_le64(block, list);
    kdnet_put_le64(block + 8, list);
    kdnet_put_le32(block + 0x10, 0x4742444bU); /* "KDBG" */
    kdnet_put_le32(block + 0x14, 0x340);
    kdnet_put_le64(block + 0x18, m->kernel_base);
    kdnet_put_le64(block + 0x20, memory_address(m, MACHINE_RVA_BREAKPOINT));
    kdnet_put_le64(block + 0x48, memory_address(m, MACHINE_RVA_LOADED_MODULES));
    kdnet_put_le64(block + 0x88, memory_address(m, MACHINE_RVA_BUGCHECK_DATA));
    kdnet_put_le64(block + 0x208, memory_address(m, MACHINE_RVA_BUILD_LAB));
}

/* Writes a UNICODE_STRING at `at`, its text at `text`: RVAs in the data page. */
static void put_string(const struct machine *m, uint8_t *page, uint32_t at, uint32_t text, const char *characters)
{
    uint16_t length = (uint16_t)(2 * strlen(characters));
    kdnet_put_le16(page + at % PAGE, length);
    kdnet_put_le16(page + at % PAGE + 2, (uint16_t)(length + 2));
    memory_put_pointer(m, page + at % PAGE + m->layout->pointer_size, memory_address(m, text));
    for (size_t i = 0; characters[i] != '\0'; ++i)
        kdnet_put_le16(page + text % PAGE + 2 * i, (uint8_t)characters[i]);
}

/* The driver's NON_PAGED_DEBUG_INFO, at `at` in the data page. */
static void put_debug_info(const struct machine *m, uint8_t *page, uint32_t at, uint32_t size)
{
    uint8_t *info = page + at % PAGE;
    kdnet_put_le16(info, 0x494e); /* "NI" */
    kdnet_put_le32(info + 4, 0x20);
    kdnet_put_le16(info + 8, (uint16_t)m->layout->machine);
    kdnet_put_le32(info + 12, stamp_of(m, m->driver_base));
    kdnet_put_le32(info + 20, size);
    kdnet_put_le64(info + 24, m->driver_base);
}

/* A KLDR_DATA_TABLE_ENTRY: links, base, name. */
static void put_module(const struct machine *m, uint8_t *page, uint32_t at, uint64_t next, uint64_t base,
                       const char *name)
{
    bool wide = m->layout->pointer_size == 8;
    uint8_t *entry = page + at % PAGE;
    uint32_t size = base == m->driver_base && stack_driver(m) ? stack_driver(m)->size : IMAGE_SIZE;
    memory_put_pointer(m, entry, next);
    memory_put_pointer(m, entry + (wide ? 0x30 : 0x18), base);
    kdnet_put_le32(entry + (wide ? 0x40 : 0x20), size);
    if (base == m->driver_base) {
        memory_put_pointer(m, entry + (wide ? 0x28 : 0x14), memory_address(m, at + MODULE_DEBUG));
        put_debug_info(m, page, at + MODULE_DEBUG, size);
    }
    put_string(m, page, at + (wide ? 0x58U : 0x2cU), at + 0x80, name);
    if (wide && (base == m->driver_base || base == m->kernel_base))
        kdnet_put_le32(entry + 0x9c, stamp_of(m, base));
}

/* Writes the kernel's dump variables. The screen stays at 45 percent when the dump fails. */
static void put_dump(const struct machine *m, uint8_t *page)
{
    uint32_t progress = m->dump_status == DUMP_NOT_STARTED ? 0 : m->dump_status == 0 ? 100 : 45;
    uint64_t block = m->config.no_dump ? 0 : memory_address(m, MACHINE_RVA_DUMP_AREA);
    memory_put_pointer(m, page + MACHINE_RVA_DUMP_AREA % PAGE + 0x48, pool_log(m));
    memory_put_pointer(m, page + MACHINE_RVA_DUMP_BLOCK % PAGE, block);
    memory_put_pointer(m, page + MACHINE_RVA_DUMP_DRIVER % PAGE, m->config.no_dump ? 0 : m->driver_base);
    kdnet_put_le32(page + MACHINE_RVA_DUMP_PROGRESS % PAGE, progress);
    kdnet_put_le32(page + MACHINE_RVA_ALLOW_DUMP % PAGE, 1);
}

static void put_evidence(const struct machine *m, uint8_t *page)
{
    uint32_t first = MACHINE_RVA_MODULES, second = MACHINE_RVA_MODULES + 0x100;
    page[MACHINE_RVA_DUMP_INITIALIZED % PAGE] = 1;
    put_dump(m, page);
    kdnet_put_le32(page + MACHINE_RVA_BUGCHECK_ACTIVE % PAGE, m->crashed);
    kdnet_put_le64(page + MACHINE_RVA_BOOT_TIME % PAGE, MACHINE_BOOT_TIME);
    page[MACHINE_RVA_PROCESSORS % PAGE] = 4;
    if (m->crashed)
        memory_put_pointer(m, page + MACHINE_RVA_BUGCHECK_DRIVER % PAGE, memory_address(m, MACHINE_RVA_BLAMED));
    put_string(m, page, MACHINE_RVA_BLAMED, MACHINE_RVA_BLAMED + 0x20, driver_name(m));
    memory_put_pointer(m, page + MACHINE_RVA_LOADED_MODULES % PAGE, memory_address(m, first));
    memory_put_pointer(m, page + MACHINE_RVA_LOADED_MODULES % PAGE + m->layout->pointer_size,
                       memory_address(m, second));
    put_module(m, page, first, pool_first_image(m, memory_address(m, second)), m->kernel_base, "ntoskrnl.exe");
    put_module(m, page, second, memory_address(m, MACHINE_RVA_LOADED_MODULES), m->driver_base, driver_name(m));
    if (m->lies & LIE_LISTS) {
        memory_put_pointer(m, page + second % PAGE, memory_address(m, ENDLESS));
        memory_put_pointer(m, page + MACHINE_RVA_BLAMED % PAGE + m->layout->pointer_size, memory_address(m, ENDLESS));
        kdnet_put_le16(page + MACHINE_RVA_BLAMED % PAGE, LONGEST_TEXT);
        kdnet_put_le16(page + MACHINE_RVA_BLAMED % PAGE + 2, LONGEST_TEXT);
    }
}

/* Writes a module whose successor is in the next page; the last page links to the first. */
static void fill_endless(const struct machine *m, uint32_t rva, uint8_t *page)
{
    char name[24];
    uint32_t at = rva / PAGE * PAGE, next = at + PAGE < ENDLESS_END ? at + PAGE : ENDLESS;
    (void)snprintf(name, sizeof name, "other%05x.sys", (unsigned)(at / PAGE));
    put_module(m, page, at, memory_address(m, next), m->driver_base + (uint64_t)at * PAGE, name);
}

static void fill_data(const struct machine *m, uint8_t *page)
{
    size_t pointer = m->layout->pointer_size;
    uint32_t place = m->lies & LIE_DATA ? MACHINE_RVA_FALSE_DATA : MACHINE_RVA_DEBUGGER_DATA;
    uint64_t block = memory_address(m, place);
    uint8_t *bugcheck = page + MACHINE_RVA_BUGCHECK_DATA % PAGE;
    if (m->who != KDNET_WHO_NT)
        return;
    kdnet_put_le32(page + MACHINE_RVA_DUMP_STATUS % PAGE, m->dump_status);
    kdnet_put_le32(page + MACHINE_RVA_AUTO_REBOOT % PAGE, m->config.no_reboot ? 0 : 1);
    if (m->crashed) {
        memory_put_pointer(m, bugcheck, m->bugcheck.code);
        for (size_t i = 0; i < 4; ++i)
            memory_put_pointer(m, bugcheck + pointer * (i + 1), m->bugcheck.parameters[i]);
    }
    kdnet_put_le64(page + MACHINE_RVA_DATA_LIST % PAGE, block);
    kdnet_put_le64(page + MACHINE_RVA_DATA_LIST % PAGE + 8, block);
    fill_debugger_data(m, page + place % PAGE);
    put_evidence(m, page);
}

uint64_t memory_program(const struct machine *m)
{
    return m->layout->pointer_size == 4 ? 0x401000U : 0x7ff612341000U;
}

/* False: the address is not in the driver. */
static bool fill_driver(const struct machine *m, uint64_t address, uint8_t *page)
{
    const struct driver_image *image = stack_driver(m);
    uint64_t rva = address - m->driver_base;
    if (m->who != KDNET_WHO_NT || rva >= (image ? image->size : DRIVER_LENGTH) ||
        (m->config.paged_out && rva / PAGE != 1))
        return false;
    if (rva < PAGE)
        fill_driver_headers(m, page);
    else if (image)
        memcpy(page, image->bytes + rva / PAGE * PAGE, PAGE);
    else
        fill_code(m, page);
    if (image && rva / PAGE == 1)
        put_breakpoints(m, page);
    return true;
}

/* Fills the page of an address; false when nothing is mapped there. */
static bool fill_page(const struct machine *m, uint64_t address, uint8_t *page)
{
    memset(page, 0, PAGE);
    if (fill_driver(m, address, page))
        return true;
    if (pool_fill(m, address, page, memory_address(m, MACHINE_RVA_MODULES + 0x100)))
        return true;
    if (stack_fill(m, address, page))
        return true;
    if (address - memory_program(m) < PAGE && m->who == KDNET_WHO_NT) {
        fill_code(m, page);
        return true;
    }
    uint64_t rva = address - m->kernel_base;
    if (m->lies & LIE_LISTS && m->who == KDNET_WHO_NT && rva >= ENDLESS && rva < ENDLESS_END) {
        fill_endless(m, (uint32_t)rva, page);
        return true;
    }
    switch (rva / PAGE) {
    case 0:
        fill_headers(m, page, m->kernel_base, MACHINE_RVA_DEBUG_DIRECTORY);
        return true;
    case 1:
        fill_code(m, page);
        return true;
    case 2:
        fill_constants(m, page);
        return true;
    case 3:
        fill_data(m, page);
        return true;
    default:
        return false;
    }
}

size_t memory_read(struct machine *m, uint64_t address, uint8_t *out, size_t length)
{
    uint8_t page[PAGE];
    size_t done = 0;
    if (m->config.replay)
        return replay_memory(m->config.replay, m->replay_window_end, address, out, length);
    while (done < length) {
        uint64_t at = kdnet_machine_address(m->layout->machine, address + done);
        if (!fill_page(m, at, page))
            break;
        size_t offset = (size_t)(at % PAGE), count = PAGE - offset;
        if (count > length - done)
            count = length - done;
        memcpy(out + done, page + offset, count);
        done += count;
    }
    return done;
}
