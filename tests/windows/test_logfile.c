/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetd.log, renamed when it is full: no line is lost, and the oldest file goes. */
#include "service/platform/windows/logfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#define PIECE (1U << 20)

static wchar_t folder[MAX_PATH];

/* Its size, and the number in its first bytes; size 0: it is not there. */
static unsigned long long look(int number, unsigned *first)
{
    wchar_t path[MAX_PATH + 40];
    if (number == 0)
        (void)swprintf(path, MAX_PATH + 40, L"%ls\\kdnetd.log", folder);
    else
        (void)swprintf(path, MAX_PATH + 40, L"%ls\\kdnetd.%d.log", folder, number);
    FILE *file = _wfopen(path, L"rb");
    if (!file)
        return 0;
    assert_int_equal(fscanf(file, "%u", first), 1);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    unsigned long long size = (unsigned long long)ftell(file);
    (void)fclose(file);
    return size;
}

static void a_full_file_is_renamed_and_the_oldest_goes(void **state)
{
    (void)state;
    struct logfile file;
    char *piece = malloc(PIECE);
    unsigned first = 0, files = LOGFILE_OLD + 3, each = LOGFILE_BYTES / PIECE;
    wchar_t place[MAX_PATH];
    assert_non_null(piece);
    assert_true(GetTempPathW(MAX_PATH, place) > 0);
    (void)swprintf(folder, MAX_PATH, L"%lskdnetd logs \u00e4 %lu", place, GetCurrentProcessId());
    assert_true(CreateDirectoryW(folder, NULL));
    memset(piece, '.', PIECE);
    logfile_open(&file, folder);
    for (unsigned i = 0; i < files * each; ++i) {
        char number[16];
        int length = snprintf(number, sizeof number, "%u ", i);
        memcpy(piece, number, (size_t)length);
        if (i == 3) { /* a start in between goes on in the same file */
            logfile_close(&file);
            logfile_open(&file, folder);
        }
        assert_true(logfile_write(&file, piece, PIECE));
    }
    logfile_close(&file);
    for (int number = 0; number <= LOGFILE_OLD; ++number) {
        assert_int_equal(look(number, &first), LOGFILE_BYTES);
        assert_int_equal(first, (files - 1 - (unsigned)number) * each);
    }
    assert_int_equal(look(LOGFILE_OLD + 1, &first), 0);
    for (int number = 0; number <= LOGFILE_OLD; ++number) {
        wchar_t path[MAX_PATH + 40];
        if (number == 0)
            (void)swprintf(path, MAX_PATH + 40, L"%ls\\kdnetd.log", folder);
        else
            (void)swprintf(path, MAX_PATH + 40, L"%ls\\kdnetd.%d.log", folder, number);
        (void)DeleteFileW(path);
    }
    (void)RemoveDirectoryW(folder);
    free(piece);
}

/* No folder: results are served all the same. */
static void without_a_folder_nothing_is_written(void **state)
{
    (void)state;
    struct logfile file;
    logfile_open(&file, L"C:\\no\\such\\folder");
    assert_false(logfile_write(&file, "line\n", 5));
    logfile_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_file_is_renamed_and_the_oldest_goes),
        cmocka_unit_test(without_a_folder_nothing_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
