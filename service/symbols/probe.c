/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/probe.h"

#include "service/symbols/cab.h"
#include "service/symbols/identity.h"
#include "service/symbols/isf.h"

#include <string.h>
#include <uv.h>

static bool begins_as_pdb(const struct symbol_file *file)
{
    char start[24];
    return symbol_file_read(file, 0, start, sizeof start) &&
           memcmp(start, "Microsoft C/C++ MSF 7.00", sizeof start) == 0;
}

static struct kdnet_pdb identity_of(const struct pdb *pdb)
{
    struct kdnet_pdb identity = {.age = pdb->age};
    memcpy(identity.guid, pdb->guid, sizeof identity.guid);
    return identity;
}

static int open_pdb(struct probe *probe, const struct symbol_file *file, char *reason)
{
    const char *mistake = pdb_open(&probe->pdb, file);
    struct kdnet_pdb identity = identity_of(&probe->pdb);
    probe->kind = PROBE_PDB;
    if (mistake)
        (void)symbol_reason(reason, "%s", mistake);
    else if (probe->any || pdb_is(&probe->pdb, &probe->wanted))
        return 0;
    else
        (void)identity_other(&identity, reason);
    pdb_close(&probe->pdb);
    return UV_EINVAL;
}

static int open_content(struct probe *probe, char *reason)
{
    if (cab_is(&probe->file)) {
        const char *name = probe->any ? "" : probe->wanted.name;
        return cab_extract(&probe->file, name, &probe->unpacked, reason) ? open_pdb(probe, &probe->unpacked, reason)
                                                                         : UV_EINVAL;
    }
    if (begins_as_pdb(&probe->file))
        return open_pdb(probe, &probe->file, reason);
    probe->kind = PROBE_ISF;
    return 0;
}

int probe_open(struct probe *probe, const char *path, const struct kdnet_pdb *wanted,
               char reason[static SYMBOL_REASON_SIZE])
{
    memset(probe, 0, sizeof *probe);
    probe->unpacked.descriptor = -1;
    probe->any = !wanted;
    if (wanted)
        probe->wanted = *wanted;
    int outcome = symbol_file_open(&probe->file, path);
    if (outcome != 0)
        (void)symbol_reason(reason, "%s", outcome == UV_EINVAL ? "not a regular file" : uv_strerror(outcome));
    else if ((outcome = open_content(probe, reason)) == 0)
        return 0;
    symbol_file_close(&probe->file);
    symbol_file_close(&probe->unpacked);
    return outcome;
}

bool probe_identity(const struct probe *probe, struct kdnet_pdb *out, char reason[static SYMBOL_REASON_SIZE])
{
    struct isf isf;
    uint32_t rva;
    if (probe->kind == PROBE_PDB) {
        *out = identity_of(&probe->pdb);
        return true;
    }
    if (isf_find(&probe->file, NULL, "?", &rva, &isf, reason) == SYMBOL_NONE)
        return false;
    if (!isf.identity_known) {
        (void)symbol_reason(reason, "it does not say of which PDB it is (metadata.windows.pdb)");
        return false;
    }
    *out = isf.pdb;
    return true;
}

enum symbol_answer probe_find_all(const struct probe *probe, struct symbol_name *names, size_t count,
                                  enum kdnet_source *source, char reason[static SYMBOL_REASON_SIZE])
{
    char unread[SYMBOL_REASON_SIZE];
    struct isf isf;
    *source = probe->kind == PROBE_PDB ? KDNET_SOURCE_PDB : KDNET_SOURCE_ISF;
    for (size_t i = 0; i < count; ++i)
        names[i].answer = SYMBOL_NONE;
    if (probe->kind == PROBE_PDB)
        for (size_t i = 0; i < count; ++i)
            names[i].answer = pdb_find(&probe->pdb, names[i].name, &names[i].rva, i == 0 ? reason : unread);
    else
        (void)isf_find_all(&probe->file, probe->any ? NULL : &probe->wanted, names, count, &isf, reason);
    return names[0].answer;
}

enum symbol_answer probe_find(const struct probe *probe, const char *symbol, uint32_t *rva, enum kdnet_source *source,
                              char reason[static SYMBOL_REASON_SIZE])
{
    struct symbol_name name = {.name = symbol};
    enum symbol_answer answer = probe_find_all(probe, &name, 1, source, reason);
    if (answer == SYMBOL_FOUND)
        *rva = name.rva;
    return answer;
}

void probe_find_addresses(const struct probe *probe, struct symbol_address *addresses, size_t count,
                          enum kdnet_source *source, char reason[static SYMBOL_REASON_SIZE])
{
    struct isf isf;
    *source = probe->kind == PROBE_PDB ? KDNET_SOURCE_PDB : KDNET_SOURCE_ISF;
    for (size_t i = 0; probe->kind == PROBE_PDB && i < count; ++i)
        pdb_find_address(&probe->pdb, &addresses[i], reason);
    if (probe->kind == PROBE_ISF)
        (void)isf_find_addresses(&probe->file, probe->any ? NULL : &probe->wanted, addresses, count, &isf, reason);
}

void probe_close(struct probe *probe)
{
    if (probe->kind == PROBE_PDB)
        pdb_close(&probe->pdb);
    symbol_file_close(&probe->file);
    symbol_file_close(&probe->unpacked);
}
