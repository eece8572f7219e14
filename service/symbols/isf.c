/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/isf.h"

#include "service/symbols/identity.h"
#include "service/symbols/json_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNDECORATED 0 /* places */
#define DECORATED   1 /* with an underscore, as on x86 */

/* A name to find. */
struct wish {
    const char *name;
    bool found[2]; /* undecorated, decorated */
    uint32_t rva[2];
};

struct search {
    struct flow flow;
    struct json_reader json;
    struct isf *table;
    bool guid_known, age_known;
    bool symbols_known; /* all of them have been seen */
    size_t wish_count;
    struct wish wishes[SYMBOL_NAMES_MAX];
    struct symbol_address *addresses; /* borrowed; looked for in the place of names */
    size_t address_count;
};

/* Reads the members of an object with `member`, which is called after each name. The next token opens the object; any
 * other value is passed over. */
static bool each_member(struct search *search, bool (*member)(struct search *))
{
    enum json_token token = json_reader_next(&search->json);
    if (token != JSON_OPEN_OBJECT)
        return json_reader_skip(&search->json, token);
    while ((token = json_reader_next(&search->json)) == JSON_NAME)
        if (!member(search))
            return false;
    return token == JSON_CLOSE;
}

static bool skip_value(struct search *search)
{
    return json_reader_skip(&search->json, json_reader_next(&search->json));
}

static bool take_number(struct search *search, uint32_t *out, bool *known)
{
    uint64_t value;
    enum json_token token = json_reader_next(&search->json);
    if (token == JSON_NUMBER && json_reader_number(&search->json, UINT32_MAX, &value)) {
        *out = (uint32_t)value;
        *known = true;
    }
    return json_reader_skip(&search->json, token);
}

static bool pdb_member(struct search *search)
{
    struct json_reader *json = &search->json;
    struct kdnet_pdb *pdb = &search->table->pdb;
    bool known = false;
    if (json_reader_is(json, "age"))
        return take_number(search, &pdb->age, &search->age_known);
    if (json_reader_is(json, "machine_type"))
        return take_number(search, &search->table->machine, &known);
    bool guid = json_reader_is(json, "GUID"), database = json_reader_is(json, "database");
    enum json_token token = json_reader_next(json);
    if (guid && token == JSON_TEXT && !json->cut && json->length == 32)
        search->guid_known = identity_parse_guid(json->text, pdb->guid);
    if (database && token == JSON_TEXT)
        (void)snprintf(pdb->name, sizeof pdb->name, "%.*s", (int)(sizeof pdb->name - 1), json->text);
    return json_reader_skip(json, token);
}

static bool windows_member(struct search *search)
{
    return json_reader_is(&search->json, "pdb") ? each_member(search, pdb_member) : skip_value(search);
}

static bool metadata_member(struct search *search)
{
    return json_reader_is(&search->json, "windows") ? each_member(search, windows_member) : skip_value(search);
}

static bool take_address(struct search *search, struct wish *wish, int which)
{
    enum json_token token = json_reader_next(&search->json);
    if (token != JSON_OPEN_OBJECT)
        return json_reader_skip(&search->json, token);
    while ((token = json_reader_next(&search->json)) == JSON_NAME) {
        bool good = json_reader_is(&search->json, "address")
                        ? take_number(search, &wish->rva[which], &wish->found[which])
                        : skip_value(search);
        if (!good)
            return false;
    }
    return token == JSON_CLOSE;
}

/* Returns the wish that the last name fulfils; NULL: none. */
static struct wish *find_wish(struct search *search, int *which)
{
    const struct json_reader *json = &search->json;
    for (size_t i = 0; i < search->wish_count; ++i) {
        struct wish *wish = &search->wishes[i];
        *which = json_reader_is(json, wish->name) ? UNDECORATED : DECORATED;
        if (*which == UNDECORATED || (json->text[0] == '_' && json->length == strlen(wish->name) + 1 && !json->cut &&
                                      memcmp(json->text + 1, wish->name, json->length - 1) == 0))
            return wish;
    }
    return NULL;
}

/* `_X` may have been asked for beside `X`, or twice. */
static void share_address(struct search *search, const struct wish *from, int which)
{
    for (size_t i = 0; i < search->wish_count; ++i) {
        struct wish *wish = &search->wishes[i];
        const char *name = from->name, *other = wish->name;
        int as = -1;
        if (strcmp(name, other) == 0)
            as = which;
        else if (which == DECORATED && other[0] == '_' && strcmp(name, other + 1) == 0)
            as = UNDECORATED;
        else if (which == UNDECORATED && name[0] == '_' && strcmp(name + 1, other) == 0)
            as = DECORATED;
        if (as < 0)
            continue;
        wish->found[as] = true;
        wish->rva[as] = from->rva[which];
    }
}

/* Offers a symbol to each address. */
static bool offer_symbol(struct search *search)
{
    struct wish symbol = {.name = NULL};
    char name[JSON_TEXT_SIZE];
    memcpy(name, search->json.text, sizeof name);
    if (!take_address(search, &symbol, UNDECORATED))
        return false;
    for (size_t i = 0; symbol.found[UNDECORATED] && i < search->address_count; ++i)
        symbol_address_offer(&search->addresses[i], symbol.rva[UNDECORATED], name);
    return true;
}

static bool symbols_member(struct search *search)
{
    int which = UNDECORATED;
    if (search->address_count > 0)
        return offer_symbol(search);
    struct wish *wish = find_wish(search, &which);
    if (!wish)
        return skip_value(search);
    if (!take_address(search, wish, which))
        return false;
    if (!wish->found[which] && !search->json.mistake)
        search->json.mistake = "the address of the symbol is no RVA";
    if (!wish->found[which])
        return false;
    share_address(search, wish, which);
    return true;
}

static bool top_member(struct search *search)
{
    if (json_reader_is(&search->json, "metadata"))
        return each_member(search, metadata_member);
    if (!json_reader_is(&search->json, "symbols"))
        return skip_value(search);
    search->symbols_known = true; /* counts only when reading goes on to the end */
    return each_member(search, symbols_member);
}

/* Whether the table belongs to the wanted image. */
static bool is_wanted(const struct search *search, const struct kdnet_pdb *wanted, char *reason)
{
    const struct isf *table = search->table;
    if (wanted && !table->identity_known)
        (void)symbol_reason(reason, "it does not say of which PDB it is (metadata.windows.pdb)");
    else if (wanted && !identity_same(&table->pdb, wanted))
        (void)identity_other(&table->pdb, reason);
    else if (!search->symbols_known)
        (void)symbol_reason(reason, "it is not a symbol table (no \"symbols\")");
    else
        return true;
    return false;
}

static void conclude(const struct search *search, struct symbol_name *names)
{
    for (size_t i = 0; i < search->wish_count; ++i) {
        const struct wish *wish = &search->wishes[i];
        bool x86 = search->table->machine == KDNET_MACHINE_X86;
        int which = !wish->found[UNDECORATED] && x86 ? DECORATED : UNDECORATED;
        names[i].answer = wish->found[which] ? SYMBOL_FOUND : SYMBOL_ABSENT;
        if (wish->found[which])
            names[i].rva = wish->rva[which];
    }
}

static bool run(struct search *search, const struct kdnet_pdb *wanted, struct symbol_name *names, char *reason)
{
    bool whole = each_member(search, top_member) && json_reader_next(&search->json) == JSON_END;
    search->table->identity_known = search->guid_known && search->age_known;
    if (!whole)
        (void)symbol_reason(reason, "%s", search->json.mistake ? search->json.mistake : "it is not JSON");
    if (!whole || !is_wanted(search, wanted, reason))
        return false;
    conclude(search, names);
    return true;
}

/* Whether each could be a symbol's name. */
static bool take_wishes(struct search *search, const struct symbol_name *names, size_t count)
{
    search->wish_count = count;
    for (size_t i = 0; i < count; ++i) {
        search->wishes[i].name = names[i].name;
        if (names[i].name[0] == 0 || strlen(names[i].name) + 2 > JSON_TEXT_SIZE)
            return false;
    }
    return count > 0;
}

static bool read_file(struct search *search, const struct symbol_file *file, const struct kdnet_pdb *wanted,
                      struct symbol_name *names, char *reason)
{
    bool good = false;
    json_reader_init(&search->json, &search->flow);
    const char *mistake = flow_open(&search->flow, file);
    if (mistake)
        (void)symbol_reason(reason, "%s", mistake);
    else
        good = run(search, wanted, names, reason);
    flow_close(&search->flow);
    return good;
}

bool isf_find_addresses(const struct symbol_file *file, const struct kdnet_pdb *wanted,
                        struct symbol_address *addresses, size_t count, struct isf *out,
                        char reason[static SYMBOL_REASON_SIZE])
{
    struct search *search = count > 0 && count <= SYMBOL_ADDRESSES_MAX ? calloc(1, sizeof *search) : NULL;
    *out = (struct isf){0};
    for (size_t i = 0; i < count; ++i)
        addresses[i].answer = SYMBOL_ABSENT;
    if (search) {
        search->table = out;
        search->addresses = addresses;
        search->address_count = count;
    }
    bool good = search && read_file(search, file, wanted, NULL, reason);
    if (!search)
        (void)symbol_reason(reason, "no memory to read it");
    for (size_t i = 0; !good && i < count; ++i)
        addresses[i].answer = SYMBOL_NONE;
    free(search);
    return good;
}

bool isf_find_all(const struct symbol_file *file, const struct kdnet_pdb *wanted, struct symbol_name *names,
                  size_t count, struct isf *out, char reason[static SYMBOL_REASON_SIZE])
{
    struct search *search = count <= SYMBOL_NAMES_MAX ? calloc(1, sizeof *search) : NULL;
    *out = (struct isf){0};
    if (!search || !take_wishes(search, names, count)) {
        (void)symbol_reason(reason, search ? "no symbol has such a name" : "no memory to read it");
        free(search);
        return false;
    }
    search->table = out;
    bool good = read_file(search, file, wanted, names, reason);
    free(search);
    return good;
}

enum symbol_answer isf_find(const struct symbol_file *file, const struct kdnet_pdb *wanted, const char *name,
                            uint32_t *rva, struct isf *out, char reason[static SYMBOL_REASON_SIZE])
{
    struct symbol_name wish = {.name = name, .answer = SYMBOL_NONE};
    if (isf_find_all(file, wanted, &wish, 1, out, reason) && wish.answer == SYMBOL_FOUND)
        *rva = wish.rva;
    return wish.answer;
}
