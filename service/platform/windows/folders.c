/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/windows/folders.h"

#include <winsock2.h>
#include <windows.h>

#include <aclapi.h>
#include <openssl/evp.h>
#include <sddl.h>
#include <shlobj.h>
#include <stdlib.h>
#include <wchar.h>
#include <wctype.h>

#define NAME_MAX_LENGTH 80
#define SDDL_SIZE       512
#define SHA1_SIZE       20

/* Not from the environment: the service's may differ from the installer's. */
wchar_t *folders_path(const wchar_t *under)
{
    static const wchar_t own[] = L"\\kdnetd";
    wchar_t data[MAX_PATH];
    if (SHGetFolderPathW(NULL, CSIDL_COMMON_APPDATA, NULL, SHGFP_TYPE_CURRENT, data) != S_OK)
        wcscpy(data, L"C:\\ProgramData");
    size_t size = wcslen(data) + sizeof own / sizeof *own + wcslen(under);
    wchar_t *path = malloc(size * sizeof *path);
    if (path) {
        wcscpy(path, data);
        wcscat(path, own);
        wcscat(path, under);
    }
    return path;
}

/* Computed as Windows does: from the SHA-1 of the upper-case name. */
wchar_t *folders_service_sid(const wchar_t *name)
{
    wchar_t capitals[NAME_MAX_LENGTH];
    unsigned char digest[SHA1_SIZE];
    unsigned size = sizeof digest;
    size_t length = wcslen(name);
    wchar_t *text = malloc(96 * sizeof *text);
    for (size_t i = 0; i < length && i < NAME_MAX_LENGTH; ++i)
        capitals[i] = (wchar_t)towupper(name[i]);
    if (!text || length > NAME_MAX_LENGTH ||
        EVP_Digest(capitals, length * sizeof *capitals, digest, &size, EVP_sha1(), NULL) != 1) {
        free(text);
        return NULL;
    }
    int at = swprintf(text, 96, L"S-1-5-80");
    for (size_t i = 0; i < SHA1_SIZE; i += 4) {
        unsigned long part = (unsigned long)digest[i] | (unsigned long)digest[i + 1] << 8 |
                             (unsigned long)digest[i + 2] << 16 | (unsigned long)digest[i + 3] << 24;
        at += swprintf(text + at, 96 - (size_t)at, L"-%lu", part);
    }
    return text;
}

/* First by name, which also applies to the folder's contents; then by handle, because Wine adds the parent's
 * entries. */
static unsigned long set_list(wchar_t *path, const wchar_t *sddl)
{
    const SECURITY_INFORMATION what = DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;
    PSECURITY_DESCRIPTOR descriptor = NULL;
    PACL list = NULL;
    BOOL there = FALSE, is_default = FALSE;
    if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(sddl, SDDL_REVISION_1, &descriptor, NULL))
        return GetLastError();
    unsigned long error = GetSecurityDescriptorDacl(descriptor, &there, &list, &is_default)
                              ? SetNamedSecurityInfoW(path, SE_FILE_OBJECT, what, NULL, NULL, list, NULL)
                              : GetLastError();
    if (error == ERROR_SUCCESS && !SetFileSecurityW(path, what, descriptor))
        error = GetLastError();
    (void)LocalFree(descriptor);
    return error;
}

static unsigned long make(const wchar_t *under, const wchar_t *sid, const wchar_t *rights)
{
    wchar_t sddl[SDDL_SIZE], *path = folders_path(under);
    if (!path)
        return ERROR_OUTOFMEMORY;
    unsigned long error = ERROR_SUCCESS;
    if (!CreateDirectoryW(path, NULL) && GetLastError() != ERROR_ALREADY_EXISTS)
        error = GetLastError();
    (void)swprintf(sddl, SDDL_SIZE, L"D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;%ls;;;%ls)", rights, sid);
    if (error == ERROR_SUCCESS)
        error = set_list(path, sddl);
    free(path);
    return error;
}

unsigned long folders_make(const wchar_t *service, const wchar_t **failed)
{
    static const wchar_t reads[] = L"0x1200a9", modifies[] = L"0x1301bf";
    static const struct {
        const wchar_t *under, *rights;
    } folders[] = {{FOLDERS_ROOT, reads}, {FOLDERS_LOG, modifies}, {FOLDERS_STATE, modifies}};
    wchar_t *sid = folders_service_sid(service);
    unsigned long error = sid ? ERROR_SUCCESS : ERROR_OUTOFMEMORY;
    for (size_t i = 0; error == ERROR_SUCCESS && i < sizeof folders / sizeof folders[0]; ++i) {
        *failed = folders[i].under;
        error = make(folders[i].under, sid, folders[i].rights);
    }
    free(sid);
    return error;
}

unsigned long folders_close_file(wchar_t *path, const wchar_t *service)
{
    wchar_t sddl[SDDL_SIZE], *sid = folders_service_sid(service);
    if (!sid)
        return ERROR_OUTOFMEMORY;
    (void)swprintf(sddl, SDDL_SIZE, L"D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FR;;;%ls)", sid);
    free(sid);
    return set_list(path, sddl);
}
