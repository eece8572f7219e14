/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unwind/image.h"
#include "kdnet/base/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FILE_MAX  0x400000U
#define IMAGE_MAX 0x800000U

static uint8_t file[FILE_MAX];

static _Noreturn void give_up(const char *path, const char *why)
{
    (void)fprintf(stderr, "%s: %s\n", path, why);
    exit(2);
}

static size_t read_file(const char *path)
{
    FILE *in = fopen(path, "rb");
    size_t length = in ? fread(file, 1, sizeof file, in) : 0;
    if (!in || fclose(in) != 0 || length < 0x200)
        give_up(path, "cannot be read");
    return length;
}

static void put_sections(struct image *image, const char *path, const uint8_t *nt, size_t length)
{
    const uint8_t *section = nt + 24 + kdnet_get_le16(nt + 20);
    for (unsigned i = kdnet_get_le16(nt + 6); i > 0; --i, section += 40) {
        uint32_t rva = kdnet_get_le32(section + 12), raw = kdnet_get_le32(section + 16);
        uint32_t at = kdnet_get_le32(section + 20), size = kdnet_get_le32(section + 8);
        raw = raw < size ? raw : size;
        if (at > length || raw > length - at || rva > image->size || raw > image->size - rva)
            give_up(path, "has a section outside of itself");
        memcpy(image->bytes + rva, file + at, raw);
    }
}

void image_load(struct image *image, const char *path, uint64_t base)
{
    size_t length = read_file(path);
    uint32_t at = kdnet_get_le32(file + 0x3c);
    if (memcmp(file, "MZ", 2) != 0 || at > length - 0x200)
        give_up(path, "is no PE file");
    const uint8_t *nt = file + at, *directory = nt + 24 + 112 + 8 * 3;
    image->machine = (enum kdnet_machine)kdnet_get_le16(nt + 4);
    image->size = kdnet_get_le32(nt + 24 + 56);
    image->entry = kdnet_get_le32(nt + 24 + 16);
    image->preferred = kdnet_get_le64(nt + 24 + 24);
    if (image->size > IMAGE_MAX || kdnet_get_le16(nt + 24) != 0x20b)
        give_up(path, "is too large, or no 64-bit image");
    image->bytes = mmap(base == image->preferred ? (void *)(uintptr_t)base : NULL, image->size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (image->bytes == MAP_FAILED)
        give_up(path, "no memory for it");
    memcpy(image->bytes, file, 0x200);
    put_sections(image, path, nt, length);
    image->place = (struct kdnet_unwind_image){.base = base,
                                               .size = image->size,
                                               .table_rva = kdnet_get_le32(directory),
                                               .table_size = kdnet_get_le32(directory + 4)};
}
