/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a symbol costs: bench_symbols [PDB NAME | tiny]. The first look-up in a PDB of 12 MB (150,000 symbols, made here
 * by clang and lld-link unless one is named), beside opening the file alone; a remembered one; the memory of a million
 * remembered names. With tiny: no PDB, a thousand names.
 */
#include "service/symbols/probe.h"
#include "service/symbols/remembered.h"
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define ROUNDS     200
#define REMEMBERED 1000000U
#define TINY       1000U

static const char make[] =
    "set -e; cd \"$1\"\n"
    "seq -f 'int Variable%06.0f = 1;' 0 149999 >x.c; echo 'int F(void) { return Variable000000; }' >>x.c\n"
    "clang --target=x86_64-pc-windows-msvc -g -gcodeview -c x.c -o x.obj\n"
    "lld-link /debug /entry:F /subsystem:native /nodefaultlib /out:x.exe /pdb:x.pdb x.obj\n";

/* Microseconds to look up as many names as a crash asks for, at once; the last is the one that is there. */
static double look_up_all(const char *path, const char *symbol)
{
    static const char *const others[] = {"Variable000000", "Variable010000", "Variable020000", "Variable030000",
                                         "Variable040000", "Variable050000", "Variable060000", "Variable070000",
                                         "Variable080000", "Variable090000", "Variable100000", "Variable110000",
                                         "Variable120000", "Variable130000", "NotThere",       "NotThereEither"};
    struct symbol_name names[1 + sizeof others / sizeof others[0]] = {{.name = symbol}};
    char reason[SYMBOL_REASON_SIZE];
    enum kdnet_source source;
    struct probe probe;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; ++i)
        names[i + 1].name = others[i];
    uint64_t start = uv_hrtime();
    if (probe_open(&probe, path, NULL, reason) != 0)
        return -1;
    bool good = probe_find_all(&probe, names, sizeof names / sizeof names[0], &source, reason) == SYMBOL_FOUND;
    probe_close(&probe);
    return good ? (double)(uv_hrtime() - start) / 1000 : -1;
}

/* Microseconds of one look-up; of opening and closing the file alone when symbol is NULL; less than 0: it failed. */
static double look_up(const char *path, const char *symbol)
{
    char reason[SYMBOL_REASON_SIZE];
    struct probe probe;
    struct symbol_file file;
    uint32_t rva = 0;
    enum kdnet_source source;
    bool good = true;
    uint64_t start = uv_hrtime();
    if (!symbol) {
        good = symbol_file_open(&file, path) == 0;
        symbol_file_close(&file);
    } else if (probe_open(&probe, path, NULL, reason) == 0) {
        good = probe_find(&probe, symbol, &rva, &source, reason) == SYMBOL_FOUND;
        probe_close(&probe);
    } else {
        good = false;
    }
    return good ? (double)(uv_hrtime() - start) / 1000 : -1;
}

static bool tell_first(const char *path, const char *symbol)
{
    static double found[ROUNDS], floor[ROUNDS], all[ROUNDS];
    for (size_t i = 0; i < ROUNDS; ++i) {
        floor[i] = look_up(path, NULL);
        found[i] = look_up(path, symbol);
        all[i] = look_up_all(path, symbol);
    }
    struct bench_figure figure = {.figure = "symbols",
                                  .what = "first look-up in the PDB",
                                  .unit = "us",
                                  .ours = bench_median(found, ROUNDS),
                                  .floor = bench_median(floor, ROUNDS),
                                  .floor_is = "opening the file",
                                  .n = 1,
                                  .rounds = ROUNDS};
    if (found[0] < 0 || all[0] < 0)
        return false;
    bench_print(&figure, NULL);
    figure.what = "17 names at once in the PDB";
    figure.ours = bench_median(all, ROUNDS);
    bench_print(&figure, NULL);
    return true;
}

static void fill(struct remembered *remembered, uint32_t name, uint32_t count)
{
    struct kdnet_pdb pdb = {.name = "ntkrnlmp.pdb"};
    for (pdb.age = 0; pdb.age < count; ++pdb.age) {
        struct remembered_key key = remembered_key(remembered, &pdb, name, true);
        uint32_t entry = remembered_insert(remembered, &key);
        if (entry != REMEMBERED_NONE)
            remembered->entries[entry].state = REMEMBERED_ABSENT;
    }
}

static void tell_remembered(uint32_t count)
{
    struct remembered remembered;
    struct kdnet_pdb pdb = {.name = "ntkrnlmp.pdb"};
    size_t before = 0, after = 0;
    uint32_t known = 0;
    remembered_init(&remembered, count, uv_hrtime());
    uint32_t name = remembered_name(&remembered, "IopFinalCrashDumpStatus");
    (void)uv_resident_set_memory(&before);
    fill(&remembered, name, count);
    (void)uv_resident_set_memory(&after);
    double start = bench_cpu_ns();
    for (pdb.age = 0; pdb.age < count; ++pdb.age) {
        struct remembered_key key = remembered_key(&remembered, &pdb, name, true);
        known += remembered_find(&remembered, &key) != REMEMBERED_NONE;
    }
    struct bench_figure quick = {.figure = "symbols",
                                 .what = "a remembered look-up",
                                 .unit = "ns",
                                 .ours = (bench_cpu_ns() - start) / count,
                                 .n = known,
                                 .rounds = 1};
    bench_print(&quick, NULL);
    struct bench_figure memory = {.figure = "symbols",
                                  .what = "memory of a remembered name",
                                  .unit = "bytes",
                                  .ours = (double)(after - before) / count,
                                  .floor = sizeof(struct remembered_key),
                                  .floor_is = "its key alone",
                                  .n = known,
                                  .rounds = 1};
    bench_print(&memory, NULL);
    remembered_clear(&remembered);
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/kdnetd-bench-XXXXXX", command[1024], path[128];
    uv_fs_t request;
    bool tiny = argc == 2 && strcmp(argv[1], "tiny") == 0;
    tell_remembered(tiny ? TINY : REMEMBERED);
    if (tiny)
        return 0;
    if (argc == 3)
        return tell_first(argv[1], argv[2]) ? 0 : 1;
    if (uv_fs_mkdtemp(NULL, &request, folder, NULL) != 0)
        return 1;
    (void)snprintf(path, sizeof path, "%s/x.pdb", request.path);
    (void)snprintf(command, sizeof command, "sh -s %s", request.path);
    FILE *shell = popen(command, "w"); // NOLINT(cert-env33-c): a program for a developer
    bool made = shell && fputs(make, shell) >= 0 && pclose(shell) == 0;
    int outcome = 0;
    if (!made)
        (void)fputs("bench_symbols: no first look-up measured: clang and lld-link are needed to make a PDB\n", stderr);
    else
        outcome = tell_first(path, "Variable149999") ? 0 : 1;
    (void)snprintf(command, sizeof command, "rm -r '%s'", request.path);
    if (system(command) != 0) // NOLINT(cert-env33-c)
        outcome = 1;
    uv_fs_req_cleanup(&request);
    return outcome;
}
