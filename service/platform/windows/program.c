/* SPDX-License-Identifier: Apache-2.0 */
#include "config/text_windows.h"
#include "service/platform/program.h"

#include <fcntl.h>
#include <io.h>
#include <openssl/crypto.h>
#include <shellapi.h>
#include <stdio.h>
#include <stdlib.h>

/* Takes the arguments as typed; main's are in the code page, which lacks some letters. Kept until the program ends. */
static void read_arguments(int *argc, char ***argv)
{
    int count = 0;
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), &count);
    char **texts = wide && count > 0 ? calloc((size_t)count + 1, sizeof *texts) : NULL;
    int done = 0;
    while (texts && done < count && (texts[done] = text_from_wide(wide[done])) != NULL)
        ++done;
    if (texts && done == count) {
        *argc = count;
        *argv = texts;
    } else {
        while (done > 0)
            free(texts[--done]);
        free(texts);
    }
    (void)LocalFree(wide);
}

void program_start(int *argc, char ***argv)
{
    static char error_space[BUFSIZ];
    read_arguments(argc, argv);
    (void)SetConsoleOutputCP(CP_UTF8);
    (void)SetConsoleCP(CP_UTF8);
    (void)_setmode(0, _O_BINARY);
    (void)_setmode(1, _O_BINARY);
    (void)_setmode(2, _O_BINARY);
    (void)setvbuf(stderr, error_space, _IOLBF, sizeof error_space);
    (void)SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX);
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
}

int program_signal_summary(void)
{
    return 0;
}

uint64_t program_raise_files(uint64_t wanted)
{
    return wanted; /* sockets are no descriptors here */
}

bool program_refused_is_deaf(void)
{
    return true;
}
