/* SPDX-License-Identifier: Apache-2.0 */
/* record: in place of netsh.exe, adds its command line to the file that KDNETD_RECORD names, UTF-8. */
#include <stdio.h>
#include <windows.h>

int main(void)
{
    wchar_t path[MAX_PATH];
    char line[4096];
    DWORD length = GetEnvironmentVariableW(L"KDNETD_RECORD", path, MAX_PATH);
    FILE *file = length > 0 && length < MAX_PATH ? _wfopen(path, L"ab") : NULL;
    if (!file || WideCharToMultiByte(CP_UTF8, 0, GetCommandLineW(), -1, line, sizeof line, NULL, NULL) <= 0)
        return 1;
    (void)fprintf(file, "%s\n", line);
    return fclose(file) == 0 ? 0 : 1;
}
