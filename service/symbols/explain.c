/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/symbols_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void explain_keep(struct symbols *symbols, const struct job *job)
{
    if (!symbols->explanations)
        symbols->explanations = calloc(SYMBOLS_EXPLAINED, sizeof *symbols->explanations);
    if (!symbols->explanations)
        return;
    uint32_t symbol = remembered_name(&symbols->remembered, job->names[0]);
    struct remembered_key key = remembered_key(&symbols->remembered, &job->pdb, symbol, false);
    struct explanation *slot = &symbols->explanations[symbols->next_explanation++ % SYMBOLS_EXPLAINED];
    slot->key = key;
    slot->known = true;
    memcpy(slot->text, job->result.trail.text, sizeof slot->text);
}

static bool same_key(const struct remembered_key *a, const struct remembered_key *b)
{
    return a->symbol == b->symbol && a->file == b->file && a->age == b->age &&
           memcmp(a->guid, b->guid, sizeof a->guid) == 0;
}

/* Returns the look-up of a name in progress; NULL: none. */
static const struct job *job_of(struct symbols *symbols, const struct kdnet_pdb *pdb, uint32_t name)
{
    struct remembered_key asked = remembered_key(&symbols->remembered, pdb, name, false);
    uint32_t at = remembered_find(&symbols->remembered, &asked);
    const struct remembered_entry *entry = at != REMEMBERED_NONE ? &symbols->remembered.entries[at] : NULL;
    bool pending = entry && entry->state == REMEMBERED_PENDING && entry->rva < SYMBOLS_WAITING_MAX;
    return pending ? symbols->jobs[entry->rva] : NULL;
}

static const char *explanation_of(struct symbols *symbols, const struct kdnet_pdb *pdb, uint32_t name)
{
    struct remembered_key asked = remembered_key(&symbols->remembered, pdb, name, false);
    for (uint32_t i = 0; symbols->explanations && i < SYMBOLS_EXPLAINED; ++i) {
        uint32_t newest_first = (symbols->next_explanation - 1 - i) % SYMBOLS_EXPLAINED;
        const struct explanation *slot = &symbols->explanations[newest_first];
        if (slot->known && same_key(&slot->key, &asked))
            return slot->text;
    }
    struct remembered_key proved = remembered_key(&symbols->remembered, pdb, name, true);
    if (remembered_find(&symbols->remembered, &proved) != REMEMBERED_NONE)
        return "remembered from an earlier look-up";
    return symbols->places && symbols->places->path.count > 0 ? "not looked up yet"
                                                              : "no places for symbols are configured";
}

static void explain(struct symbols *symbols, const struct kdnet_pdb *pdb, uint32_t name, char *out, size_t size)
{
    const struct job *job = job_of(symbols, pdb, name);
    if (job && jobs_say(symbols, job, out, size))
        return;
    const char *text = job                ? "a look-up is under way"
                       : symbols->opening ? "what was looked up before is being read"
                                          : explanation_of(symbols, pdb, name);
    (void)snprintf(out, size, "%s", text);
}

void symbols_explain(struct symbols *symbols, const struct kdnet_pdb *pdb, const char *symbol, char *out, size_t size)
{
    uv_mutex_lock(&symbols->lock);
    uint32_t name = remembered_name(&symbols->remembered, symbols_bare(symbol));
    if (size > 0 && name != REMEMBERED_NONE)
        explain(symbols, pdb, name, out, size);
    else if (size > 0)
        (void)snprintf(out, size, "no symbol has such a name");
    uv_mutex_unlock(&symbols->lock);
}
