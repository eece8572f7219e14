/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/windows/console.h"

#include <windows.h>

static HANDLE error_output; /* that was prepared */

/* Makes writes to a full pipe fail instead of blocking. */
static void prepare(void)
{
    DWORD mode = PIPE_NOWAIT;
    error_output = GetStdHandle(STD_ERROR_HANDLE);
    if (GetFileType(error_output) == FILE_TYPE_PIPE)
        (void)SetNamedPipeHandleState(error_output, &mode, NULL, NULL);
}

bool console_write(const char *text, size_t length)
{
    DWORD written = 0;
    if (!error_output || error_output != GetStdHandle(STD_ERROR_HANDLE)) /* it may be another one by now */
        prepare();
    return WriteFile(error_output, text, (DWORD)length, &written, NULL) && written > 0;
}
