/* SPDX-License-Identifier: Apache-2.0 */
/* text: between UTF-8, as all of kdnetd has it, and UTF-16, as Windows has it. */
#ifndef CONFIG_TEXT_WINDOWS_H
#define CONFIG_TEXT_WINDOWS_H

#include <winsock2.h>
#include <windows.h>

/* Both return a copy that the caller frees; NULL: out of memory, or the text is neither. */
wchar_t *text_to_wide(const char *text);
char *text_from_wide(const wchar_t *wide);

/* A path as Windows' calls with more than 260 letters want it: whole, with back slashes and `\\?\` before it. */
wchar_t *text_to_path(const char *path);

/* What an error of GetLastError means, in English, on one line. */
#define TEXT_ERROR_SIZE 480
const char *text_of_error(unsigned long error, char out[static TEXT_ERROR_SIZE]);

#endif
