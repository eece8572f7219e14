/* SPDX-License-Identifier: Apache-2.0 */
#include "config/text_windows.h"

#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

wchar_t *text_to_wide(const char *text)
{
    int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    wchar_t *wide = length > 0 ? malloc((size_t)length * sizeof *wide) : NULL;
    if (wide)
        (void)MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, length);
    return wide;
}

char *text_from_wide(const wchar_t *wide)
{
    int length = WideCharToMultiByte(CP_UTF8, 0, wide, -1, NULL, 0, NULL, NULL);
    char *text = length > 0 ? malloc((size_t)length) : NULL;
    if (text)
        (void)WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, length, NULL, NULL);
    return text;
}

/* The names of devices and what has its prefix already stay as they are. */
static bool is_ordinary_path(const wchar_t *whole)
{
    return wcslen(whole) > 2 && whole[1] == L':';
}

wchar_t *text_to_path(const char *path)
{
    static const wchar_t prefix[] = L"\\\\?\\";
    const size_t extra = sizeof prefix / sizeof *prefix - 1;
    wchar_t *wide = text_to_wide(path);
    DWORD size = wide ? GetFullPathNameW(wide, 0, NULL, NULL) : 0;
    wchar_t *whole = size > 0 ? malloc((size + extra) * sizeof *whole) : NULL;
    if (whole) {
        DWORD length = GetFullPathNameW(wide, size, whole + extra, NULL);
        if (length == 0 || length >= size)
            whole[extra] = L'\0';
        if (is_ordinary_path(whole + extra))
            memcpy(whole, prefix, extra * sizeof *whole);
        else
            memmove(whole, whole + extra, (wcslen(whole + extra) + 1) * sizeof *whole);
    }
    free(wide);
    return whole;
}

const char *text_of_error(unsigned long error, char out[static TEXT_ERROR_SIZE])
{
    DWORD length = FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL, error,
                                  MAKELANGID(LANG_ENGLISH, SUBLANG_ENGLISH_US), out, TEXT_ERROR_SIZE, NULL);
    if (length == 0)
        length = FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL, error, 0, out,
                                TEXT_ERROR_SIZE, NULL);
    while (length > 0 && (unsigned char)out[length - 1] <= ' ')
        out[--length] = '\0';
    if (length == 0)
        (void)snprintf(out, TEXT_ERROR_SIZE, "error %lu", error);
    for (char *c = out; *c; ++c)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    return out;
}
