/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of addresses: finds the public symbols of a stack's frames in the symbol files on this computer. One task at a
 * time looks them up, several of one image together. Nothing is fetched, and nothing waits.
 */
#include "service/symbols/symbols_internal.h"

#include "kdnet/base/wire.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_KEPT     1024U
#define WAYS           4U
#define NAMES_LIMIT_MS 10000U
#define NS_PER_S       1000000000U

enum name_state { NAME_WANTED = 1, NAME_ASKED, NAME_FOUND, NAME_ABSENT, NAME_NONE };

struct name {
    struct kdnet_pdb pdb;
    enum name_state state; /* 0: a free place */
    uint32_t since_s;      /* of NAME_NONE */
    struct symbol_address address;
};

struct names {
    size_t next;
    bool busy; /* a task is under way */
    struct name name[NAMES_KEPT];
};

struct name_task {
    struct task task;
    struct symbols *symbols; /* not to be used by the task's thread */
    struct places *places;
    struct kdnet_pdb pdb, wanted;
    struct symbol_result result;
    struct symbol_address address[SYMBOL_ADDRESSES_MAX];
};

static uint32_t now_s(void)
{
    return (uint32_t)(uv_hrtime() / NS_PER_S);
}

static bool is_of(const struct name *name, const struct kdnet_pdb *pdb)
{
    return name->pdb.age == pdb->age && memcmp(name->pdb.guid, pdb->guid, sizeof pdb->guid) == 0;
}

/* Returns the WAYS consecutive places that an address may have. */
static struct name *places_of(struct names *names, const struct kdnet_pdb *pdb, uint32_t rva)
{
    uint32_t hash = (kdnet_get_le32(pdb->guid) ^ rva) * 0x9e3779b1U;
    return &names->name[hash % (NAMES_KEPT / WAYS) * WAYS];
}

static struct name *find_name(struct names *names, const struct kdnet_pdb *pdb, uint32_t rva)
{
    struct name *name = places_of(names, pdb, rva);
    for (size_t i = 0; i < WAYS; ++i)
        if (name[i].state != 0 && name[i].address.rva == rva && is_of(&name[i], pdb))
            return &name[i];
    return NULL;
}

/* Adds a name, in place of one of those. */
static struct name *add_name(struct names *names, const struct kdnet_pdb *pdb, uint32_t rva)
{
    struct name *name = &places_of(names, pdb, rva)[names->next++ % WAYS];
    *name = (struct name){.pdb = *pdb, .state = NAME_WANTED, .address = {.rva = rva}};
    return name;
}

/* --- the task ----------------------------------------------------------------------------------------------------- */

/* Asks folders only: configured ones, and those in front of servers. */
static void run_task(struct task *task)
{
    struct name_task *names = (struct name_task *)task;
    const struct symbol_path *path = &names->places->path;
    for (size_t i = 0; i < path->count && names->result.answer != SYMBOL_FOUND; ++i)
        if (!attempt_hangs(symbol_source_folder(&path->sources[i])))
            symbol_path_ask(path, i, false, &names->wanted, NULL, &names->result);
}

static void drop_task(struct task *task)
{
    struct name_task *names = (struct name_task *)task;
    places_leave(names->places);
    free(names);
}

static void keep_answers(struct names *names, const struct name_task *task, bool in_time)
{
    static const enum name_state states[] = {
        [SYMBOL_FOUND] = NAME_FOUND, [SYMBOL_ABSENT] = NAME_ABSENT, [SYMBOL_NONE] = NAME_NONE};
    for (size_t i = 0; i < task->result.address_count; ++i) {
        struct name *name = find_name(names, &task->pdb, task->address[i].rva);
        if (!name)
            continue;
        name->state = in_time ? states[task->address[i].answer] : NAME_NONE;
        name->since_s = now_s();
        if (in_time)
            name->address = task->address[i];
    }
}

static void on_task_done(struct task *task, bool in_time)
{
    struct name_task *done = (struct name_task *)task;
    struct symbols *symbols = done->symbols;
    uv_mutex_lock(&symbols->lock);
    symbols->names->busy = false;
    keep_answers(symbols->names, done, in_time);
    names_schedule(symbols);
    uv_mutex_unlock(&symbols->lock);
    if (in_time)
        drop_task(task);
    symbols_go_on_closing(symbols);
}

/* Collects wanted names of one image; NULL: out of memory, or its file name cannot be searched for. */
static struct name_task *new_task(struct symbols *symbols, const struct kdnet_pdb *pdb)
{
    struct names *names = symbols->names;
    struct name_task *task = calloc(1, sizeof *task);
    if (!task || !symbol_path_wanted(pdb, &task->wanted)) {
        free(task);
        return NULL;
    }
    task->symbols = symbols;
    task->pdb = *pdb;
    task->task.run = run_task;
    task->task.done = on_task_done;
    task->task.drop = drop_task;
    task->result.addresses = task->address;
    for (size_t i = 0; i < NAMES_KEPT && task->result.address_count < SYMBOL_ADDRESSES_MAX; ++i)
        if (names->name[i].state == NAME_WANTED && is_of(&names->name[i], pdb)) {
            names->name[i].state = NAME_ASKED;
            task->address[task->result.address_count++].rva = names->name[i].address.rva;
        }
    symbol_result_init(&task->result);
    task->places = symbols->places;
    atomic_fetch_add(&task->places->users, 1);
    return task;
}

static void start_task(struct symbols *symbols, const struct kdnet_pdb *pdb)
{
    struct name_task *task = new_task(symbols, pdb);
    symbols->names->busy = task && task_start(symbols->tasks, &task->task, false, NAMES_LIMIT_MS);
    if (symbols->names->busy)
        return;
    for (size_t i = 0; i < NAMES_KEPT; ++i) { /* later, when there are threads and memory again */
        struct name *name = &symbols->names->name[i];
        if (is_of(name, pdb) && (name->state == NAME_WANTED || name->state == NAME_ASKED)) {
            name->state = NAME_NONE;
            name->since_s = now_s();
        }
    }
    if (task)
        drop_task(&task->task);
}

void names_schedule(struct symbols *symbols)
{
    struct names *names = symbols->names;
    for (size_t i = 0; names && symbols->places && !symbols->closing && i < NAMES_KEPT && !names->busy; ++i)
        if (names->name[i].state == NAME_WANTED) {
            struct kdnet_pdb pdb = names->name[i].pdb;
            start_task(symbols, &pdb);
        }
}

bool names_are_asked(const struct symbols *symbols)
{
    return symbols->names && symbols->names->busy;
}

void names_forget(struct symbols *symbols)
{
    for (size_t i = 0; symbols->names && i < NAMES_KEPT; ++i)
        if (symbols->names->name[i].state == NAME_NONE || symbols->names->name[i].state == NAME_ABSENT)
            symbols->names->name[i].state = 0;
}

/* --- questions ---------------------------------------------------------------------------------------------------- */

static enum symbols_answer answer_of(struct symbols *symbols, struct name *name, struct symbol_address *out)
{
    uint32_t retry_s = symbols->options.retry_s != 0 ? symbols->options.retry_s : SYMBOLS_RETRY_S;
    switch (name->state) {
    case NAME_FOUND:
        *out = name->address;
        return SYMBOLS_FOUND;
    case NAME_ABSENT:
        return SYMBOLS_ABSENT;
    case NAME_NONE:
        if (now_s() - name->since_s < retry_s)
            return SYMBOLS_NO_SYMBOLS;
        name->state = NAME_WANTED;
        break;
    case NAME_WANTED:
    case NAME_ASKED:
        break;
    }
    if (name->state == NAME_WANTED && !symbols->closing)
        (void)uv_async_send(&symbols->wake);
    return SYMBOLS_PENDING;
}

enum symbols_answer symbols_name(struct symbols *symbols, const struct kdnet_pdb *pdb, uint32_t rva,
                                 struct symbol_address *out)
{
    enum symbols_answer answer = SYMBOLS_NO_SYMBOLS;
    uv_mutex_lock(&symbols->lock);
    if (!symbols->names)
        symbols->names = calloc(1, sizeof *symbols->names);
    if (symbols->names) {
        struct name *name = find_name(symbols->names, pdb, rva);
        answer = answer_of(symbols, name ? name : add_name(symbols->names, pdb, rva), out);
    }
    uv_mutex_unlock(&symbols->lock);
    return answer;
}
