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
    static const DWORD languages[] = {MAKELANGID(LANG_ENGLISH, SUBLANG_ENGLISH_US), 0};
    const DWORD how = FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS;
    wchar_t wide[TEXT_ERROR_SIZE / 3]; /* a letter has three bytes at most */
    DWORD length = 0;
    for (size_t i = 0; i < sizeof languages / sizeof *languages && length == 0; ++i)
        length = FormatMessageW(how, NULL, error, languages[i], wide, sizeof wide / sizeof *wide, NULL);
    while (length > 0 && (wide[length - 1] <= L' ' || wide[length - 1] == L'.'))
        --length;
    int bytes = WideCharToMultiByte(CP_UTF8, 0, wide, (int)length, out, TEXT_ERROR_SIZE - 1, NULL, NULL);
    out[bytes > 0 ? bytes : 0] = '\0';
    if (bytes <= 0)
        (void)snprintf(out, TEXT_ERROR_SIZE, "error %lu", error);
    for (char *c = out; *c; ++c)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    return out;
}
