/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl symbols: looks up a name in a kernel by hand, and shows the places tried. */
#include "kdnet/base/wire.h"
#include "kdnet/kernel/pdb.h"
#include "kdnet/kernel/pe.h"
#include "service/kdnetctl/commands.h"
#include "service/symbols/connect.h"
#include "service/symbols/identity.h"
#include "service/symbols/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <getopt.h>

#define HEADER_SIZE 4096 /* bytes of an image that are read to find its debug directory */

static const struct command_option symbols_options[] = {
    {"symbols", "PLACE", 's',
     "DIR, srv*DIR, srv*DIR*URL, or several with ; between them, as for WinDbg; may be\n"
     "repeated. Without it: _NT_SYMBOL_PATH"},
    {"at", "ADDRESS", 'a',
     "look up which symbol this address of the image lies in; may be repeated. An RVA in\n"
     "hexadecimal, or NAME+OFFSET"},
    {"base", "ADDRESS", 'b', "where the image lies: addresses are then those of the machine, not RVAs"},
    {0}};

#define ADDRESS_RADIX 16

struct request {
    struct symbol_path path;
    bool has_places;
    struct kdnet_pdb pdb;
    const char *const *names; /* PDB names that are tried; ends with NULL */
    uint64_t base;            /* base that addresses are relative to */
    const char *at[SYMBOL_ADDRESSES_MAX];
    size_t at_count;
};

static const char *const kernel_names[] = {"ntkrnlmp.pdb", "ntoskrnl.pdb", "ntkrpamp.pdb", "ntkrnlpa.pdb", NULL};
static const char *const own_name[] = {"", NULL}; /* the name in the identity */

static const char *bare(const char *symbol)
{
    return strncmp(symbol, "nt!", 3) == 0 ? symbol + 3 : symbol;
}

/* Prints the line of a name. Returns whether the name was found. */
static bool tell(const char *symbol, enum symbol_answer answer, uint32_t rva, enum kdnet_source source)
{
    command_print_argument(stdout, symbol);
    if (answer == SYMBOL_FOUND)
        (void)printf(" 0x%x %s\n", (unsigned)rva, kdnet_source_name(source));
    else if (answer == SYMBOL_ABSENT)
        (void)printf(" absent %s\n", kdnet_source_name(source));
    else
        (void)puts(" no_symbols");
    return answer == SYMBOL_FOUND;
}

/* --- one file ----------------------------------------------------------------------------------------------------- */

struct opened {
    const char *file;
    struct probe probe;
};

/* Opens a symbol file and prints its image. */
static bool open_file(struct probe *probe, const char *file)
{
    struct kdnet_pdb identity;
    char reason[SYMBOL_REASON_SIZE] = "", guidage[KDNET_GUIDAGE_SIZE];
    if (probe_open(probe, file, NULL, reason) != 0) {
        command_say(&command_symbols, "%s: %s", file, reason);
        return false;
    }
    if (probe_identity(probe, &identity, reason)) {
        kdnet_pdb_guidage(&identity, guidage);
        command_say(&command_symbols, "%s is of %s", file, guidage);
    }
    return true;
}

static enum symbol_answer find_in_file(void *context, const char *symbol, struct symbol_result *result)
{
    const struct opened *opened = context;
    const struct probe *probe = &opened->probe;
    char reason[SYMBOL_REASON_SIZE] = "";
    if (symbol) {
        result->answer = probe_find(probe, symbol, &result->rva, &result->source, reason);
    } else {
        probe_find_addresses(probe, result->addresses, result->address_count, &result->source, reason);
        result->answer = result->addresses[0].answer;
    }
    if (result->answer == SYMBOL_NONE)
        command_say(&command_symbols, "%s: %s", opened->file, reason);
    return result->answer;
}

/* --------------------------------------------------------------------------------------- in places for symbols */

/* Finds the offset in a file of an image's address; false: none. `headers` begin with those of a PE image, as found
 * by kdnet_pe_debug_directory. */
static bool file_offset(const uint8_t *headers, size_t length, uint32_t rva, uint32_t *offset)
{
    size_t pe = kdnet_get_le32(headers + 60), count = kdnet_get_le16(headers + pe + 6);
    size_t table = pe + 24 + kdnet_get_le16(headers + pe + 20);
    for (size_t i = 0; i < count && table + 40 <= length; ++i, table += 40) {
        uint32_t start = kdnet_get_le32(headers + table + 12), size = kdnet_get_le32(headers + table + 16);
        if (rva < start || rva - start >= size)
            continue;
        *offset = kdnet_get_le32(headers + table + 20) + (rva - start);
        return true;
    }
    return false;
}

/* Reads the identity out of an image's debug directory. */
static bool read_image(const struct symbol_file *file, struct kdnet_pdb *pdb)
{
    uint8_t headers[HEADER_SIZE], directory[28 * 16], record[KDNET_CODEVIEW_SIZE];
    uint32_t rva, size, at;
    size_t length = file->size < sizeof headers ? (size_t)file->size : sizeof headers;
    if (!symbol_file_read(file, 0, headers, length) || kdnet_pe_debug_directory(headers, length, &rva, &size) != 0)
        return false;
    size = size < sizeof directory ? size : sizeof directory;
    if (!file_offset(headers, length, rva, &at) || !symbol_file_read(file, at, directory, size) ||
        kdnet_pe_codeview(directory, size, &rva, &size) != 0)
        return false;
    size = size < sizeof record ? size : sizeof record;
    return file_offset(headers, length, rva, &at) && symbol_file_read(file, at, record, size) &&
           kdnet_pdb_decode(record, size, pdb) == 0;
}

/* Whether a file is an image; writes its identity, or complains. */
static bool is_image(const char *path, struct kdnet_pdb *pdb, bool *known)
{
    struct symbol_file file;
    char start[2];
    if (symbol_file_open(&file, path) != 0)
        return false;
    bool image = symbol_file_read(&file, 0, start, sizeof start) && memcmp(start, "MZ", sizeof start) == 0;
    *known = image && read_image(&file, pdb);
    symbol_file_close(&file);
    if (image && !*known)
        command_say(&command_symbols, "%s: an image that does not name its symbol file", path);
    return image;
}

static enum symbol_answer look_for(struct request *request, const char *symbol, struct symbol_result *result)
{
    for (const char *const *name = request->names; *name; ++name) {
        struct kdnet_pdb pdb = request->pdb;
        if ((*name)[0] != 0)
            (void)snprintf(pdb.name, sizeof pdb.name, "%s", *name);
        symbol_path_find(&request->path, &pdb, symbol, result);
        if (result->answer == SYMBOL_NONE)
            command_say(&command_symbols, "%s: %s", pdb.name, result->trail.text);
        else
            break;
    }
    return result->answer;
}

static enum symbol_answer find_in_places(void *context, const char *symbol, struct symbol_result *result)
{
    enum symbol_answer answer = look_for(context, symbol, result);
    if (answer != SYMBOL_NONE)
        command_say(&command_symbols, "%s", result->trail.text);
    return answer;
}

/* ------------------------------------------------------------------------------------------------- answers */

/* Looks up a name, or with NULL the addresses of the result. */
typedef enum symbol_answer finder(void *context, const char *symbol, struct symbol_result *result);

static int tell_names(finder *find, void *context, char *const *symbols, int count)
{
    static struct symbol_result result; /* without extras */
    int missing = 0;
    for (int i = 0; i < count; ++i) {
        enum symbol_answer answer = find(context, bare(symbols[i]), &result);
        missing += !tell(symbols[i], answer, result.rva, result.source);
    }
    return missing;
}

/* NAME+OFFSET as an RVA. */
static bool find_place(finder *find, void *context, const char *text, uint64_t *rva)
{
    static struct symbol_result result;
    char name[SYMBOL_PATH_SIZE], *end = NULL;
    const char *plus = strrchr(text, '+');
    size_t length = plus ? (size_t)(plus - text) : strlen(text);
    uint64_t offset = plus ? strtoull(plus + 1, &end, ADDRESS_RADIX) : 0;
    if (length >= sizeof name || (end && *end != 0))
        return false;
    memcpy(name, text, length);
    name[length] = 0;
    if (find(context, bare(name), &result) != SYMBOL_FOUND)
        return false;
    *rva = result.rva + offset;
    return true;
}

/* An argument of --at as an RVA. */
static bool take_address(const struct request *request, finder *find, void *context, const char *text, uint32_t *out)
{
    char *end;
    uint64_t address = strtoull(text, &end, ADDRESS_RADIX) - request->base;
    bool number = end != text && *end == 0; /* a symbol whose name is a number is written with "nt!" */
    if ((!number && !find_place(find, context, text, &address)) || address > UINT32_MAX)
        return false;
    *out = (uint32_t)address;
    return true;
}

static bool tell_address(const char *text, const struct symbol_address *address, enum kdnet_source source)
{
    command_print_argument(stdout, text);
    if (address->answer == SYMBOL_FOUND)
        (void)printf(" 0x%x %s+0x%x %s\n", (unsigned)address->rva, address->name, (unsigned)address->offset,
                     kdnet_source_name(source));
    else if (address->answer == SYMBOL_ABSENT)
        (void)printf(" 0x%x absent %s\n", (unsigned)address->rva, kdnet_source_name(source));
    else
        (void)puts(" no_symbols");
    return address->answer == SYMBOL_FOUND;
}

static int tell_addresses(const struct request *request, finder *find, void *context)
{
    static struct symbol_address addresses[SYMBOL_ADDRESSES_MAX];
    static struct symbol_result result;
    size_t at[SYMBOL_ADDRESSES_MAX];
    int missing = 0;
    result.addresses = addresses;
    for (size_t i = 0; i < request->at_count; ++i) {
        at[i] = result.address_count;
        if (take_address(request, find, context, request->at[i], &addresses[at[i]].rva))
            ++result.address_count;
        else
            at[i] = SYMBOL_ADDRESSES_MAX;
    }
    if (result.address_count > 0)
        (void)find(context, NULL, &result);
    for (size_t i = 0; i < request->at_count; ++i) {
        if (at[i] == SYMBOL_ADDRESSES_MAX)
            command_say(&command_symbols, "%s: neither an RVA in hexadecimal nor a known NAME+OFFSET", request->at[i]);
        missing += at[i] == SYMBOL_ADDRESSES_MAX || !tell_address(request->at[i], &addresses[at[i]], result.source);
    }
    return missing;
}

static int tell_all(const struct request *request, finder *find, void *context, char *const *symbols, int count)
{
    int missing = tell_names(find, context, symbols, count);
    missing += request->at_count > 0 ? tell_addresses(request, find, context) : 0;
    return missing == 0 ? COMMAND_OK : COMMAND_FAILED;
}

static int look_in_file(const struct request *request, const char *file, char *const *symbols, int count)
{
    struct opened opened = {.file = file};
    if (!open_file(&opened.probe, file))
        return COMMAND_FAILED;
    int outcome = tell_all(request, find_in_file, &opened, symbols, count);
    probe_close(&opened.probe);
    return outcome;
}

/* ------------------------------------------------------------------------------------------ the command line */

/* NAME/GUIDAGE or GUIDAGE. */
static bool parse_identity(const char *text, struct request *request)
{
    const char *slash = strchr(text, '/');
    if (!identity_parse(slash ? slash + 1 : text, &request->pdb))
        return false;
    request->names = slash ? own_name : kernel_names;
    size_t length = slash ? (size_t)(slash - text) : 0;
    if (length >= sizeof request->pdb.name)
        return false;
    memcpy(request->pdb.name, text, length);
    request->pdb.name[length] = 0;
    return !slash || identity_name_is_safe(request->pdb.name);
}

static bool add_places(struct request *request, const char *text)
{
    static const struct symbol_path_options options = {.open_server = symbol_connect_server};
    char reason[SYMBOL_REASON_SIZE] = "";
    request->has_places = true;
    if (symbol_path_add(&request->path, text, &options, reason))
        return true;
    command_say(&command_symbols, "%s", reason);
    return false;
}

static bool is_there(const char *path)
{
    uv_fs_t request;
    int error = uv_fs_stat(NULL, &request, path, NULL);
    uv_fs_req_cleanup(&request);
    return error == 0;
}

static int look_up(struct request *request, const char *what, char *const *symbols, int count)
{
    bool known = false, file = is_there(what);
    if (file && !is_image(what, &request->pdb, &known))
        return look_in_file(request, what, symbols, count);
    if (file && !known)
        return COMMAND_FAILED;
    request->names = own_name;
    if (!file && !parse_identity(what, request))
        return command_misuse(&command_symbols, "neither a file nor NAME.pdb/GUIDAGE nor GUIDAGE:", what);
    const char *environment = getenv("_NT_SYMBOL_PATH");
    if (!request->has_places && environment && !add_places(request, environment))
        return COMMAND_USAGE;
    if (!request->has_places)
        return command_misuse(&command_symbols, "where are symbols? Name a folder with --symbols DIR", NULL);
    return tell_all(request, find_in_places, request, symbols, count);
}

static bool take_option(struct request *request, int option)
{
    char *end;
    switch (option) {
    case 's':
        return add_places(request, optarg);
    case 'a':
        if (request->at_count == SYMBOL_ADDRESSES_MAX)
            return command_misuse(&command_symbols, "at most 32 addresses at once:", optarg) == COMMAND_OK;
        request->at[request->at_count++] = optarg;
        return true;
    case 'b':
        request->base = strtoull(optarg, &end, ADDRESS_RADIX);
        return *end == 0 || command_misuse(&command_symbols, "no address in hexadecimal:", optarg) == COMMAND_OK;
    default:
        return false;
    }
}

static int run(struct request *request, int count, char **arguments)
{
    int option;
    command_options_start();
    while ((option = command_next_option(&command_symbols, count, arguments)) != -1) {
        if (option == COMMAND_HELP)
            return COMMAND_OK;
        if (!take_option(request, option))
            return COMMAND_USAGE;
    }
    if (optind >= count || (optind + 1 == count && request->at_count == 0))
        return command_misuse(&command_symbols, "name a file or GUIDAGE, and the symbols to look up", NULL);
    return look_up(request, arguments[optind], arguments + optind + 1, count - optind - 1);
}

static int run_symbols(int count, char **arguments)
{
    static struct request request;
    symbol_path_init(&request.path);
    int outcome = run(&request, count, arguments);
    symbol_path_clear(&request.path);
    if (outcome != COMMAND_USAGE && (fflush(stdout) != 0 || ferror(stdout)) && outcome == COMMAND_OK)
        return COMMAND_FAILED;
    return outcome;
}

const struct command command_symbols = {
    .name = "symbols",
    .summary = "look up where a name is in a kernel",
    .arguments = "[--symbols PLACE]... [--at ADDRESS]... WHAT [NAME]...",
    .text = "Looks up where each NAME is, as kdnetd does, and says where the answer is from. A line each:\n\n"
            "  NAME 0xRVA pdb|isf       it is that far from the image's base\n"
            "  NAME absent pdb|isf      the symbol file of this very image has no such name\n"
            "  NAME no_symbols          no symbol file could be read; why is on standard error\n\n"
            "With --at the other way round, which symbol an address lies in:\n\n"
            "  ADDRESS 0xRVA NAME+0xOFFSET pdb|isf   it is so far behind this public symbol\n"
            "  ADDRESS 0xRVA absent pdb|isf          no symbol lies less than 1 MiB before it\n\n"
            "WHAT is one of\n"
            "  FILE                     a symbol file: .pdb, .pd_, .json, .json.xz, .json.gz; or an image\n"
            "                           (ntoskrnl.exe), whose symbols are then looked for\n"
            "  NAME.pdb/GUIDAGE         an identity, as symbol stores have it\n"
            "  GUIDAGE                  the same, of a kernel (ntkrnlmp.pdb and the other names that kernels have)\n",
    .options = symbols_options,
    .exits = "0 every name and address was found, 1 one was not, 2 wrong usage.",
    .run = run_symbols};
