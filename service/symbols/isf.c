/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/isf.h"

#include "service/symbols/identity.h"
#include "service/symbols/json_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNDECORATED 0 /* places */
#define DECORATED   1 /* with an underscore, as x86 has it */

struct search {
    struct flow flow;
    struct json_reader json;
    struct isf *table;
    bool guid_known, age_known;
    bool symbols_known; /* all of them have been seen */
    char names[2][JSON_TEXT_SIZE];
    bool found[2];
    uint32_t rva[2];
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

static bool take_address(struct search *search, int which)
{
    enum json_token token = json_reader_next(&search->json);
    if (token != JSON_OPEN_OBJECT)
        return json_reader_skip(&search->json, token);
    while ((token = json_reader_next(&search->json)) == JSON_NAME) {
        bool good = json_reader_is(&search->json, "address")
                        ? take_number(search, &search->rva[which], &search->found[which])
                        : skip_value(search);
        if (!good)
            return false;
    }
    return token == JSON_CLOSE;
}

static bool symbols_member(struct search *search)
{
    for (int i = UNDECORATED; i <= DECORATED; ++i) {
        if (!json_reader_is(&search->json, search->names[i]))
            continue;
        if (!take_address(search, i))
            return false;
        if (search->found[i])
            return true;
        if (!search->json.mistake)
            search->json.mistake = "the address of the symbol is no RVA";
        return false;
    }
    return skip_value(search);
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

static enum symbol_answer conclude(const struct search *search, const struct kdnet_pdb *wanted, uint32_t *rva,
                                   char *reason)
{
    const struct isf *table = search->table;
    if (wanted && !table->identity_known)
        return symbol_reason(reason, "it does not say of which PDB it is (metadata.windows.pdb)");
    if (wanted && !identity_same(&table->pdb, wanted))
        return identity_other(&table->pdb, reason);
    if (!search->symbols_known)
        return symbol_reason(reason, "it is not a symbol table (no \"symbols\")");
    int which = !search->found[UNDECORATED] && table->machine == KDNET_MACHINE_X86 ? DECORATED : UNDECORATED;
    if (!search->found[which])
        return SYMBOL_ABSENT;
    *rva = search->rva[which];
    return SYMBOL_FOUND;
}

static enum symbol_answer run(struct search *search, const struct kdnet_pdb *wanted, uint32_t *rva, char *reason)
{
    bool whole = each_member(search, top_member) && json_reader_next(&search->json) == JSON_END;
    search->table->identity_known = search->guid_known && search->age_known;
    if (!whole)
        return symbol_reason(reason, "%s", search->json.mistake ? search->json.mistake : "it is not JSON");
    return conclude(search, wanted, rva, reason);
}

enum symbol_answer isf_find(const struct symbol_file *file, const struct kdnet_pdb *wanted, const char *name,
                            uint32_t *rva, struct isf *out, char reason[static SYMBOL_REASON_SIZE])
{
    *out = (struct isf){0};
    if (name[0] == 0 || strlen(name) + 2 > JSON_TEXT_SIZE)
        return symbol_reason(reason, "no symbol has such a name");
    struct search *search = calloc(1, sizeof *search);
    if (!search)
        return symbol_reason(reason, "no memory to read it");
    search->table = out;
    (void)snprintf(search->names[UNDECORATED], JSON_TEXT_SIZE, "%s", name);
    (void)snprintf(search->names[DECORATED], JSON_TEXT_SIZE, "_%s", name);
    json_reader_init(&search->json, &search->flow);
    const char *mistake = flow_open(&search->flow, file);
    enum symbol_answer answer = mistake ? symbol_reason(reason, "%s", mistake) : run(search, wanted, rva, reason);
    flow_close(&search->flow);
    free(search);
    return answer;
}
