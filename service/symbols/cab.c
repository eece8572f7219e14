/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/cab.h"

#include <string.h>

bool cab_is(const struct symbol_file *file)
{
    char start[4];
    return symbol_file_read(file, 0, start, sizeof start) && memcmp(start, "MSCF", sizeof start) == 0;
}

#ifdef KDNETD_CAB

#include <mspack.h>
#include <stdlib.h>
#include <strings.h>

/* The system functions for libmspack, on our file. Its alloc and free get no context, so each block stores its size
 * and owner. */
struct provider {
    struct mspack_system system; /* first: libmspack hands this back */
    const struct symbol_file *in;
    struct symbol_file *out;
    size_t memory;
    bool too_large;
};

struct block {
    struct provider *provider;
    size_t size;
    max_align_t bytes[];
};

struct handle {
    struct provider *provider;
    off_t at;
    bool writes;
};

static void *allocate(struct mspack_system *system, size_t bytes)
{
    struct provider *provider = (struct provider *)system;
    if (bytes > CAB_MEMORY - provider->memory)
        return NULL;
    struct block *block = calloc(1, sizeof *block + bytes);
    if (!block)
        return NULL;
    *block = (struct block){provider, bytes};
    provider->memory += bytes;
    return block->bytes;
}

static void release(void *pointer)
{
    if (!pointer)
        return;
    struct block *block = (struct block *)((char *)pointer - offsetof(struct block, bytes));
    block->provider->memory -= block->size;
    free(block);
}

static struct mspack_file *open_handle(struct mspack_system *system, const char *name, int mode)
{
    struct provider *provider = (struct provider *)system;
    (void)name; /* only one file to read and one to write */
    struct handle *handle = allocate(system, sizeof *handle);
    if (handle)
        *handle = (struct handle){provider, 0, mode == MSPACK_SYS_OPEN_WRITE};
    return (struct mspack_file *)handle;
}

static void close_handle(struct mspack_file *file)
{
    release(file);
}

static int read_handle(struct mspack_file *file, void *buffer, int bytes)
{
    struct handle *handle = (struct handle *)file;
    const struct symbol_file *in = handle->provider->in;
    if (handle->writes || bytes < 0 || handle->at < 0 || (uint64_t)handle->at > in->size)
        return -1;
    uint64_t left = in->size - (uint64_t)handle->at;
    int piece = left < (uint64_t)bytes ? (int)left : bytes;
    if (!symbol_file_read(in, (uint64_t)handle->at, buffer, (size_t)piece))
        return -1;
    handle->at += piece;
    return piece;
}

static int write_handle(struct mspack_file *file, void *buffer, int bytes)
{
    struct handle *handle = (struct handle *)file;
    struct provider *provider = handle->provider;
    if (!handle->writes || bytes < 0)
        return -1;
    provider->too_large = provider->out->size + (uint64_t)bytes > CAB_MAX;
    if (provider->too_large || !symbol_file_append(provider->out, buffer, (size_t)bytes))
        return -1;
    handle->at += bytes;
    return bytes;
}

static int seek_handle(struct mspack_file *file, off_t offset, int mode)
{
    struct handle *handle = (struct handle *)file;
    off_t size = (off_t)handle->provider->in->size;
    off_t from = mode == MSPACK_SYS_SEEK_START ? 0 : mode == MSPACK_SYS_SEEK_CUR ? handle->at : size;
    if (handle->writes || offset > size - from || offset < -from)
        return -1;
    handle->at = from + offset;
    return 0;
}

static off_t tell_handle(struct mspack_file *file)
{
    return ((struct handle *)file)->at;
}

static void ignore_message(struct mspack_file *file, const char *format, ...)
{
    (void)file;
    (void)format;
}

static void copy_bytes(void *source, void *target, size_t bytes)
{
    memcpy(target, source, bytes);
}

static void provider_init(struct provider *provider, const struct symbol_file *in, struct symbol_file *out)
{
    *provider = (struct provider){.in = in, .out = out};
    provider->system = (struct mspack_system){
        .open = open_handle,
        .close = close_handle,
        .read = read_handle,
        .write = write_handle,
        .seek = seek_handle,
        .tell = tell_handle,
        .message = ignore_message,
        .alloc = allocate,
        .free = release,
        .copy = copy_bytes,
    };
}

static struct mscabd_file *choose(const struct mscabd_cabinet *cabinet, const char *name)
{
    for (struct mscabd_file *file = cabinet->files; file; file = file->next)
        if (strcasecmp(file->filename, name) == 0)
            return file;
    return cabinet->files && !cabinet->files->next ? cabinet->files : NULL;
}

static bool extract(struct provider *provider, struct mscab_decompressor *decompressor, const char *name, char *reason)
{
    char source[] = "in", target[] = "out";
    struct mscabd_cabinet *cabinet = decompressor->open(decompressor, source);
    if (!cabinet) {
        (void)symbol_reason(reason, "damaged or cut short: not a cabinet");
        return false;
    }
    struct mscabd_file *file = choose(cabinet, name);
    int outcome = MSPACK_ERR_OK;
    if (!file)
        (void)symbol_reason(reason, "%s is not in the cabinet", name);
    else if (file->length > CAB_MAX)
        provider->too_large = true;
    else
        outcome = decompressor->extract(decompressor, file, target);
    if (provider->too_large)
        (void)symbol_reason(reason, "the file in the cabinet is larger than 128 MiB");
    else if (outcome != MSPACK_ERR_OK)
        (void)symbol_reason(reason, "damaged or cut short: the cabinet does not decompress (%d)", outcome);
    bool good = file && !provider->too_large && outcome == MSPACK_ERR_OK;
    decompressor->close(decompressor, cabinet);
    return good;
}

bool cab_extract(const struct symbol_file *file, const char *name, struct symbol_file *out,
                 char reason[static SYMBOL_REASON_SIZE])
{
    struct provider provider;
    if (symbol_file_temporary(out) != 0) {
        (void)symbol_reason(reason, "no temporary file can be made to decompress it");
        return false;
    }
    provider_init(&provider, file, out);
    struct mscab_decompressor *decompressor = mspack_create_cab_decompressor(&provider.system);
    if (!decompressor) {
        (void)symbol_reason(reason, "no memory to decompress it");
        return false;
    }
    bool good = extract(&provider, decompressor, name, reason);
    mspack_destroy_cab_decompressor(decompressor);
    return good;
}

#else

bool cab_extract(const struct symbol_file *file, const char *name, struct symbol_file *out,
                 char reason[static SYMBOL_REASON_SIZE])
{
    (void)file;
    (void)name;
    *out = (struct symbol_file){.descriptor = -1};
    (void)symbol_reason(reason, "compressed, and this build reads no cabinets (libmspack was missing)");
    return false;
}

#endif
