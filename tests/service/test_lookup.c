/* SPDX-License-Identifier: Apache-2.0 */
/* Symbols for several loops: each is told on its own, one look-up serves all, and no machine's lie about another holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/symbols/lookup.h"
#include "tests/service/captured_log.h"

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#define GUID        "8E3373D6124E747F0E72EF8E02E676B3"
#define MACHINES    10000
#define PATIENCE_NS UINT64_C(60000000000)

static const uint8_t guid[16] = {0xd6, 0x73, 0x33, 0x8e, 0x4e, 0x12, 0x7f, 0x74,
                                 0x0e, 0x72, 0xef, 0x8e, 0x02, 0xe6, 0x76, 0xb3};
static const char table[] = "{\"metadata\": {\"windows\": {\"pdb\": {\"GUID\": \"" GUID
                            "\", \"age\": 1, \"database\": \"ntkrnlmp.pdb\", \"machine_type\": 34404}}}, \"symbols\": {"
                            "\"KdDebuggerDataBlock\": {\"address\": 256}, "
                            "\"RtlpBreakWithStatusInstruction\": {\"address\": 512}, "
                            "\"PsLoadedModuleList\": {\"address\": 768}, \"KiBugCheckData\": {\"address\": 1024}, "
                            "\"NtBuildLab\": {\"address\": 1280}, \"Name\": {\"address\": 4096}}}";

static char folder[64], files[96], file[192];
static struct kdnet_pdb kernel;
static struct kdnet_fingerprint fingerprint;
static uv_loop_t loop;
static struct lookup *lookup;
static struct lookup_asker *asker;
static unsigned news;

static void on_news(void *user)
{
    ++*(unsigned *)user;
}

static int set_up(void **state)
{
    struct kdnetd_config config;
    char error[CONFIG_ERROR_SIZE];
    (void)state;
    kernel = (struct kdnet_pdb){.name = "ntkrnlmp.pdb", .age = 1};
    memcpy(kernel.guid, guid, sizeof guid);
    fingerprint = (struct kdnet_fingerprint){
        .machine = KDNET_MACHINE_X64, .rva = {256, 512, 768, 1024, 1280}, .build_lab = "20348.1.amd64fre"};
    (void)snprintf(folder, sizeof folder, "/tmp/kdnetd-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(files, sizeof files, "%s/ntkrnlmp.pdb", folder);
    (void)snprintf(file, sizeof file, "%s/" GUID "-1.json", files);
    FILE *out = mkdir(files, 0755) == 0 ? fopen(file, "w") : NULL;
    if (!out || fputs(table, out) < 0 || fclose(out) != 0 || uv_loop_init(&loop) != 0)
        return -1;
    config_init(&config);
    news = 0;
    lookup = lookup_new(&loop);
    asker = lookup ? lookup_join(lookup, &loop, on_news, &news) : NULL;
    bool good = asker && config_add(&config, "symbols", folder, error) &&
                config_add(&config, "rva", GUID "1:Told=0x77", error) && lookup_configure(lookup, &config);
    config_clear(&config); /* a copy was made of what is needed */
    return good ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    lookup_leave(asker);
    lookup_close(lookup);
    bool good = uv_run(&loop, UV_RUN_DEFAULT) == 0 && uv_loop_close(&loop) == 0;
    return good && unlink(file) == 0 && rmdir(files) == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static enum kdnet_rva_answer find(const char *symbol, uint32_t *rva)
{
    enum kdnet_source source;
    return lookup_find(asker, &kernel, symbol, rva, &source);
}

/* Runs the loop until there is an answer. */
static enum kdnet_rva_answer wait_for(const char *symbol, uint32_t *rva)
{
    enum kdnet_rva_answer answer = find(symbol, rva);
    uint64_t start = uv_hrtime();
    while (answer == KDNET_RVA_PENDING && uv_hrtime() - start < PATIENCE_NS) {
        (void)uv_run(&loop, UV_RUN_ONCE);
        answer = find(symbol, rva);
    }
    return answer;
}

static void rva_that_was_told_goes_before_symbol_files(void **state)
{
    uint32_t rva = 0;
    (void)state;
    assert_int_equal(find("Told", &rva), KDNET_RVA_FOUND);
    assert_int_equal(rva, 0x77);
    assert_int_equal(wait_for("Name", &rva), KDNET_RVA_FOUND);
    assert_int_equal(rva, 4096);
    assert_int_equal(wait_for("Gone", &rva), KDNET_RVA_ABSENT);
    assert_true(news >= 2);
}

struct other_loop {
    uv_loop_t loop;
    unsigned news;
    uint32_t rva;
    bool found;
};

static const char *const wanted[] = {"Name", "Gone", "KiBugCheckData"};

/* A worker with ten thousand machines of one kernel. */
static void work(void *user)
{
    struct other_loop *other = user;
    enum kdnet_source source;
    enum kdnet_rva_answer answer = KDNET_RVA_PENDING;
    struct lookup_asker *own = lookup_join(lookup, &other->loop, on_news, &other->news);
    for (int i = 0; own && i < MACHINES; ++i) {
        lookup_want(own, &kernel, wanted, 3);
        answer = lookup_find(own, &kernel, "Name", &other->rva, &source);
    }
    while (own && answer == KDNET_RVA_PENDING) {
        (void)uv_run(&other->loop, UV_RUN_ONCE);
        answer = lookup_find(own, &kernel, "Name", &other->rva, &source);
    }
    other->found = answer == KDNET_RVA_FOUND;
    lookup_leave(own);
    (void)uv_run(&other->loop, UV_RUN_DEFAULT);
}

static void each_loop_is_told_and_one_look_up_serves_them_all(void **state)
{
    struct other_loop others[2] = {{.rva = 0}, {.rva = 0}};
    uv_thread_t threads[2];
    uint32_t rva = 0;
    char text[256];
    (void)state;
    for (size_t i = 0; i < 2; ++i) {
        assert_int_equal(uv_loop_init(&others[i].loop), 0);
        assert_int_equal(uv_thread_create(&threads[i], work, &others[i]), 0);
    }
    lookup_want(asker, &kernel, wanted, 3);
    assert_int_equal(wait_for("Name", &rva), KDNET_RVA_FOUND);
    for (size_t i = 0; i < 2; ++i) {
        assert_int_equal(uv_thread_join(&threads[i]), 0);
        assert_true(others[i].found);
        assert_int_equal(others[i].rva, 4096);
        assert_int_equal(uv_loop_close(&others[i].loop), 0);
    }
    assert_int_equal(lookup_count(lookup), 1);
    lookup_explain(asker, &kernel, "nt!Name", text, sizeof text);
    assert_non_null(strstr(text, GUID "-1.json: found"));
}

static const struct kdnet_key keys[] = {{{1}}, {{2}}, {{3}}};

/* A machine tells what its kernel is. */
static void tell(size_t machine, const struct kdnet_fingerprint *its, const struct kdnet_pdb *pdb)
{
    lookup_asking(asker, &keys[machine]);
    lookup_remember(asker, its, pdb);
}

static bool knows(size_t machine)
{
    struct kdnet_pdb pdb;
    lookup_asking(asker, &keys[machine]);
    return lookup_recall(asker, &fingerprint, &pdb) && memcmp(pdb.guid, guid, sizeof guid) == 0;
}

static void look_up_print(void)
{
    uint32_t rva;
    for (size_t i = 0; i < KDNET_FINGERPRINT_SYMBOLS; ++i)
        assert_int_equal(wait_for(kdnet_fingerprint_symbol(i), &rva), KDNET_RVA_FOUND);
}

static void one_machines_word_counts_for_itself_and_two_for_all(void **state)
{
    (void)state;
    look_up_print();
    tell(0, &fingerprint, &kernel);
    assert_true(knows(0));
    assert_false(knows(1));
    tell(0, &fingerprint, &kernel); /* the same one twice is one */
    assert_false(knows(1));
    tell(1, &fingerprint, &kernel);
    assert_true(knows(0));
    assert_true(knows(1));
    assert_true(knows(2));
}

/* Two updates may share the build string and the five addresses; which it is, only the image says. */
static void a_print_of_two_identities_is_believed_of_nobody(void **state)
{
    struct kdnet_pdb other = kernel;
    (void)state;
    other.guid[0] ^= 1;
    look_up_print();
    tell(0, &fingerprint, &kernel);
    tell(1, &fingerprint, &kernel);
    assert_true(knows(2));
    tell(2, &fingerprint, &other);
    for (size_t i = 0; i < 3; ++i) {
        tell(i, &fingerprint, &kernel);
        assert_false(knows(i));
    }
}

static void flood_of_prints_does_not_push_out_what_two_have_told(void **state)
{
    (void)state;
    look_up_print();
    tell(0, &fingerprint, &kernel);
    tell(1, &fingerprint, &kernel);
    for (uint32_t i = 0; i < 3 * LOOKUP_IMAGES; ++i) {
        struct kdnet_fingerprint other = fingerprint;
        other.rva[0] = i + 100000;
        tell(2, &other, &kernel);
    }
    assert_true(knows(2));
}

static void kernel_is_known_again_when_its_symbols_agree(void **state)
{
    struct kdnet_pdb pdb = {.age = 0};
    uint32_t rva;
    (void)state;
    assert_false(lookup_recall(asker, &fingerprint, &pdb)); /* never seen */
    lookup_remember(asker, &fingerprint, &kernel);
    assert_false(lookup_recall(asker, &fingerprint, &pdb)); /* its symbols have not been looked at */
    for (size_t i = 0; i < KDNET_FINGERPRINT_SYMBOLS; ++i)
        assert_int_equal(wait_for(kdnet_fingerprint_symbol(i), &rva), KDNET_RVA_FOUND);
    assert_true(lookup_recall(asker, &fingerprint, &pdb));
    assert_memory_equal(pdb.guid, guid, sizeof guid);
    assert_int_equal(pdb.age, 1);
}

/* A machine says that a kernel with another layout has these symbols. */
static void lie_about_a_kernel_is_not_believed(void **state)
{
    struct kdnet_pdb pdb;
    uint32_t rva;
    (void)state;
    for (size_t i = 0; i < KDNET_FINGERPRINT_SYMBOLS; ++i) {
        struct kdnet_fingerprint other = fingerprint;
        assert_int_equal(wait_for(kdnet_fingerprint_symbol(i), &rva), KDNET_RVA_FOUND);
        other.rva[i] += 8;
        lookup_remember(asker, &other, &kernel);
        assert_false(lookup_recall(asker, &other, &pdb));
    }
    struct kdnet_pdb none = kernel;
    none.age = 9; /* there is no file of it */
    lookup_remember(asker, &fingerprint, &none);
    assert_false(lookup_recall(asker, &fingerprint, &pdb));
}

static void prints_of_no_kernels_take_no_more_memory_than_they_may(void **state)
{
    struct kdnet_pdb pdb;
    uint32_t rva;
    (void)state;
    for (size_t i = 0; i < KDNET_FINGERPRINT_SYMBOLS; ++i)
        (void)wait_for(kdnet_fingerprint_symbol(i), &rva);
    lookup_remember(asker, &fingerprint, &kernel);
    for (uint32_t i = 0; i < LOOKUP_IMAGES; ++i) {
        struct kdnet_fingerprint other = fingerprint;
        other.rva[0] = i + 100000;
        lookup_remember(asker, &other, &kernel);
    }
    assert_false(lookup_recall(asker, &fingerprint, &pdb)); /* the oldest has gone: its machine is read again */
}

/* --- the file of answers ------------------------------------------------------------------------------------------ */

/* A lookup on a loop of its own. */
struct other {
    uv_loop_t loop;
    struct lookup *lookup;
    struct lookup_asker *asker;
};

static char cache[96], cache_lock_path[112];

static bool write_table(const char *text)
{
    FILE *out = fopen(file, "w");
    return out && fputs(text, out) >= 0 && fclose(out) == 0;
}

static void open_other(struct other *other)
{
    struct kdnetd_config config;
    char error[CONFIG_ERROR_SIZE];
    config_init(&config);
    assert_int_equal(uv_loop_init(&other->loop), 0);
    other->lookup = lookup_new(&other->loop);
    assert_non_null(other->lookup);
    other->asker = lookup_join(other->lookup, &other->loop, on_news, &news);
    assert_non_null(other->asker);
    assert_true(config_add(&config, "symbols", folder, error));
    assert_true(lookup_configure(other->lookup, &config));
    config_clear(&config);
}

static void close_other(struct other *other)
{
    lookup_leave(other->asker);
    lookup_close(other->lookup);
    assert_int_equal(uv_run(&other->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&other->loop), 0);
}

static void expect_rva(struct other *other, uint32_t wanted_rva)
{
    uint32_t rva = 0;
    enum kdnet_source source;
    enum kdnet_rva_answer answer;
    while ((answer = lookup_find(other->asker, &kernel, "Name", &rva, &source)) == KDNET_RVA_PENDING)
        (void)uv_run(&other->loop, UV_RUN_ONCE);
    assert_int_equal(answer, KDNET_RVA_FOUND);
    assert_int_equal(rva, wanted_rva);
}

static void a_symbol_file_that_differs_from_the_file_of_answers_is_believed(void **state)
{
    struct other other;
    char changed[sizeof table];
    (void)state;
    (void)snprintf(cache, sizeof cache, "%s/symbols.cache", folder);
    (void)snprintf(cache_lock_path, sizeof cache_lock_path, "%s.lock", cache);
    assert_int_equal(setenv("STATE_DIRECTORY", folder, 1), 0);
    open_other(&other);
    expect_rva(&other, 4096);
    close_other(&other);
    assert_int_equal(access(cache, R_OK), 0);
    memcpy(changed, table, sizeof table);
    memcpy(strstr(changed, "4096"), "8192", 4);
    assert_true(write_table(changed));
    captured_begin();
    open_other(&other);
    expect_rva(&other, 8192);
    close_other(&other);
    const char *text = captured_end();
    assert_non_null(strstr(text, "level=warning msg=\"symbols.cache: the symbol file says otherwise, and is believed\" "
                                 "guidage=" GUID "1 symbol=Name\n"));
    assert_true(write_table(table));
    assert_int_equal(unlink(cache), 0);
    (void)unlink(cache_lock_path);
    assert_int_equal(unsetenv("STATE_DIRECTORY"), 0);
}

static void of_two_that_write_the_file_of_answers_one_says_that_it_does_not(void **state)
{
    struct other first, second;
    (void)state;
    (void)snprintf(cache, sizeof cache, "%s/symbols.cache", folder);
    (void)snprintf(cache_lock_path, sizeof cache_lock_path, "%s.lock", cache);
    assert_int_equal(setenv("STATE_DIRECTORY", folder, 1), 0);
    captured_begin();
    open_other(&first);
    expect_rva(&first, 4096);
    assert_null(strstr(captured_end(), "symbols.cache"));
    captured_begin();
    open_other(&second);
    expect_rva(&second, 4096);
    close_other(&second);
    const char *text = captured_end();
    assert_non_null(strstr(text, "level=warning msg=\"symbols.cache: another kdnetd writes it; what this one looks up "
                                 "is not kept\" error=\"resource busy or locked\"\n"));
    close_other(&first);
    assert_int_equal(unlink(cache), 0);
    (void)unlink(cache_lock_path);
    assert_int_equal(unsetenv("STATE_DIRECTORY"), 0);
}

static void a_file_of_answers_that_has_no_folder_is_told_and_its_lack_costs_no_answer(void **state)
{
    struct other other;
    char nowhere[96];
    (void)state;
    (void)snprintf(nowhere, sizeof nowhere, "%s/nowhere", folder);
    assert_int_equal(setenv("STATE_DIRECTORY", nowhere, 1), 0);
    captured_begin();
    open_other(&other);
    expect_rva(&other, 4096);
    close_other(&other);
    const char *text = captured_end();
    assert_non_null(strstr(text, "symbols.cache: it cannot be read or written; what is looked up is not kept"));
    assert_int_equal(captured_lines(text), 2); /* once; and the symbol */
    assert_int_equal(unsetenv("STATE_DIRECTORY"), 0);
}

#define WITH_LOOKUP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOOKUP(rva_that_was_told_goes_before_symbol_files),
        WITH_LOOKUP(each_loop_is_told_and_one_look_up_serves_them_all),
        WITH_LOOKUP(one_machines_word_counts_for_itself_and_two_for_all),
        WITH_LOOKUP(a_print_of_two_identities_is_believed_of_nobody),
        WITH_LOOKUP(flood_of_prints_does_not_push_out_what_two_have_told),
        WITH_LOOKUP(kernel_is_known_again_when_its_symbols_agree),
        WITH_LOOKUP(lie_about_a_kernel_is_not_believed),
        WITH_LOOKUP(prints_of_no_kernels_take_no_more_memory_than_they_may),
        WITH_LOOKUP(a_symbol_file_that_differs_from_the_file_of_answers_is_believed),
        WITH_LOOKUP(of_two_that_write_the_file_of_answers_one_says_that_it_does_not),
        WITH_LOOKUP(a_file_of_answers_that_has_no_folder_is_told_and_its_lack_costs_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
