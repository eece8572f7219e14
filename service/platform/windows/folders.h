/* SPDX-License-Identifier: Apache-2.0 */
/* folders: %ProgramData%\kdnetd, and its access rights. */
#ifndef SERVICE_PLATFORM_WINDOWS_FOLDERS_H
#define SERVICE_PLATFORM_WINDOWS_FOLDERS_H

#include <wchar.h>

#define FOLDERS_ROOT  L""
#define FOLDERS_LOG   L"\\log"
#define FOLDERS_STATE L"\\state"

/* A path in %ProgramData%\kdnetd; `under` is nothing, or begins with a back slash. Owned; NULL: out of memory. */
wchar_t *folders_path(const wchar_t *under);

/* The SID of NT SERVICE\NAME, as text: S-1-5-80- and five numbers. Owned; NULL: out of memory. */
wchar_t *folders_service_sid(const wchar_t *name);

/*
 * Makes missing folders, and grants access to SYSTEM and Administrators (full), and to the service (reads the
 * configuration, writes log and state), to nobody else. Returns 0 or an error of GetLastError; `failed`: the folder.
 */
unsigned long folders_make(const wchar_t *service, const wchar_t **failed);

/* Lets SYSTEM and Administrators (all) and the service (reads) use a file, and nobody else. Returns 0 or an error. */
unsigned long folders_close_file(wchar_t *path, const wchar_t *service);

#endif
