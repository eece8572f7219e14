/* SPDX-License-Identifier: Apache-2.0 */
#include "config/file.h"

#include "config/remedies.h"
#include "config/text_windows.h"

#include <aclapi.h>
#include <openssl/crypto.h>
#include <sddl.h>
#include <stdlib.h>
#include <string.h>

static bool wrong(char *error, const char *what, const char *remedy)
{
    (void)snprintf(error, CONFIG_ERROR_SIZE, "%s; %s", what, remedy);
    return false;
}

static bool too_large(char *error, size_t limit)
{
    (void)snprintf(error, CONFIG_ERROR_SIZE, "is larger than %zu MiB; divide it into several files", limit >> 20);
    return false;
}

static bool cannot_read(char *error, DWORD code)
{
    char what[TEXT_ERROR_SIZE + 32], reason[TEXT_ERROR_SIZE];
    const char *remedy = "check its disk and file system";
    if (code == ERROR_FILE_NOT_FOUND || code == ERROR_PATH_NOT_FOUND || code == ERROR_INVALID_NAME)
        remedy = "check the path";
    else if (code == ERROR_ACCESS_DENIED)
        remedy = "let the account that kdnetd runs as read it (icacls FILE /grant \"NT SERVICE\\kdnetd:R\")";
    else if (code == ERROR_SHARING_VIOLATION)
        remedy = "close the program that has it open";
    (void)snprintf(what, sizeof what, "cannot be read: %s", text_of_error(code, reason));
    return wrong(error, what, remedy);
}

/* Names of devices, as NUL and COM1 are, can be opened in each folder; pipes have a place of their own. */
static HANDLE open_ordinary(const char *path, size_t limit, BY_HANDLE_FILE_INFORMATION *about, char *error)
{
    wchar_t *wide = text_to_path(path);
    HANDLE file = INVALID_HANDLE_VALUE;
    if (!wide) {
        (void)wrong(error, "has a name that is no UTF-8", "check the path");
        return file;
    }
    DWORD attributes = GetFileAttributesW(wide);
    bool good = attributes != INVALID_FILE_ATTRIBUTES || cannot_read(error, GetLastError());
    if (good && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0)
        good = wrong(error, "is a directory", "name a file in it");
    if (good)
        file = CreateFileW(wide, GENERIC_READ | READ_CONTROL, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                           NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    free(wide);
    if (file == INVALID_HANDLE_VALUE) {
        if (good)
            (void)cannot_read(error, GetLastError());
        return file;
    }
    good = GetFileType(file) == FILE_TYPE_DISK ||
           wrong(error, "is not an ordinary file", "write its content into a file, and name that one");
    good = good && (GetFileInformationByHandle(file, about) || cannot_read(error, GetLastError()));
    if (good && ((uint64_t)about->nFileSizeHigh << 32 | about->nFileSizeLow) > limit)
        good = too_large(error, limit);
    if (good)
        return file;
    (void)CloseHandle(file);
    return INVALID_HANDLE_VALUE;
}

/* Whether an entry is for a group that everybody who may log on belongs to. */
static bool is_everybody(PSID owner)
{
    static const WELL_KNOWN_SID_TYPE groups[] = {WinWorldSid,       WinAuthenticatedUserSid, WinBuiltinUsersSid,
                                                 WinInteractiveSid, WinBuiltinGuestsSid,     WinAnonymousSid};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; ++i)
        if (IsWellKnownSid(owner, groups[i]))
            return true;
    return false;
}

static bool list_lets_everybody(PACL list)
{
    const DWORD bad = FILE_READ_DATA | FILE_WRITE_DATA | FILE_APPEND_DATA | GENERIC_READ | GENERIC_WRITE | GENERIC_ALL |
                      WRITE_DAC | WRITE_OWNER;
    for (DWORD i = 0; i < list->AceCount; ++i) {
        void *entry = NULL;
        if (!GetAce(list, i, &entry))
            continue;
        ACCESS_ALLOWED_ACE *allowed = entry;
        bool counts = allowed->Header.AceType == ACCESS_ALLOWED_ACE_TYPE &&
                      (allowed->Header.AceFlags & INHERIT_ONLY_ACE) == 0 && (allowed->Mask & bad) != 0;
        if (counts && is_everybody((PSID)&allowed->SidStart))
            return true;
    }
    return false;
}

/* A file without an access list is open to all. A file whose list is unreadable counts as closed. */
static bool is_open_to_others(HANDLE file)
{
    PACL list = NULL;
    PSECURITY_DESCRIPTOR descriptor = NULL;
    if (GetSecurityInfo(file, SE_FILE_OBJECT, DACL_SECURITY_INFORMATION, NULL, NULL, &list, NULL, &descriptor) !=
        ERROR_SUCCESS)
        return false;
    bool open = !list || list_lets_everybody(list);
    (void)LocalFree(descriptor);
    return open;
}

static bool read_all(HANDLE handle, size_t size, struct config_file *file, char *error)
{
    file->text = malloc(size + 1);
    if (!file->text)
        return wrong(error, "out of memory", "give it more");
    while (file->length < size) {
        DWORD got = 0, piece = size - file->length < 1U << 20 ? (DWORD)(size - file->length) : 1U << 20;
        if (!ReadFile(handle, file->text + file->length, piece, &got, NULL))
            return cannot_read(error, GetLastError());
        if (got == 0)
            break;
        file->length += got;
    }
    file->text[file->length] = '\0';
    return true;
}

static void swap_bytes(char *text, size_t length)
{
    for (size_t i = 0; i + 1 < length; i += 2) {
        char first = text[i];
        text[i] = text[i + 1];
        text[i + 1] = first;
    }
}

/* Notepad and PowerShell's > write UTF-16 with a mark. */
static bool to_utf8(struct config_file *file, bool big_endian, char *error)
{
    if (big_endian)
        swap_bytes(file->text, file->length);
    const wchar_t *wide = (const wchar_t *)(const void *)file->text + 1;
    int count = (int)(file->length / 2 - 1);
    int length = count > 0 ? WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, wide, count, NULL, 0, NULL, NULL) : 0;
    if (count > 0 && length == 0)
        return wrong(error, "begins as UTF-16 does and is none", "save it as UTF-8");
    char *text = malloc((size_t)length + 1);
    if (!text)
        return wrong(error, "out of memory", "give it more");
    if (length > 0)
        (void)WideCharToMultiByte(CP_UTF8, 0, wide, count, text, length, NULL, NULL);
    text[length] = '\0';
    OPENSSL_cleanse(file->text, file->length);
    free(file->text);
    file->text = text;
    file->length = (size_t)length;
    return true;
}

static bool decode(struct config_file *file, char *error)
{
    const unsigned char *text = (const unsigned char *)file->text;
    if (file->length >= 2 && text[0] == 0xff && text[1] == 0xfe)
        return to_utf8(file, false, error);
    if (file->length >= 2 && text[0] == 0xfe && text[1] == 0xff)
        return to_utf8(file, true, error);
    if (file->length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        file->length -= 3;
        memmove(file->text, file->text + 3, file->length + 1);
    }
    return true;
}

bool config_file_read(const char *path, size_t limit, struct config_file *out, char error[static CONFIG_ERROR_SIZE])
{
    struct config_file file = {.text = NULL};
    BY_HANDLE_FILE_INFORMATION about;
    HANDLE handle = open_ordinary(path, limit, &about, error);
    if (handle == INVALID_HANDLE_VALUE)
        return false;
    size_t size = (size_t)about.nFileSizeLow | (size_t)about.nFileSizeHigh << 32;
    bool good = read_all(handle, size, &file, error) && decode(&file, error);
    file.id = (struct config_file_id){about.dwVolumeSerialNumber,
                                      (uint64_t)about.nFileIndexHigh << 32 | about.nFileIndexLow};
    file.open_to_others = is_open_to_others(handle);
    (void)CloseHandle(handle);
    if (good)
        *out = file;
    else
        config_file_clear(&file);
    return good;
}

void config_file_clear(struct config_file *file)
{
    if (file->text)
        OPENSSL_cleanse(file->text, file->length);
    free(file->text);
    *file = (struct config_file){.text = NULL};
}

void config_file_tell_open(const struct config_file *file, const char *path, char text[static CONFIG_ERROR_SIZE])
{
    static const char how[] = "(open to all); icacls \"%s\" " REMEDY_CLOSE_RIGHTS;
    (void)file;
    /* Half a path would be another file's. */
    (void)snprintf(text, CONFIG_ERROR_SIZE, how, strlen(path) + sizeof how - 2 <= CONFIG_ERROR_SIZE ? path : "FILE");
}

/* Paths. Both slashes divide folders. */

static size_t folder_length(const char *path)
{
    size_t length = 0;
    for (size_t i = 0; path[i]; ++i)
        if (path[i] == '/' || path[i] == '\\' || (path[i] == ':' && i == 1))
            length = i + 1;
    return length;
}

static char *join(const char *folder, size_t folder_size, const char *name)
{
    size_t length = strlen(name);
    char *whole = malloc(folder_size + length + 1);
    if (!whole)
        return NULL;
    memcpy(whole, folder, folder_size);
    memcpy(whole + folder_size, name, length + 1);
    return whole;
}

struct found {
    char **paths;
    size_t count, capacity;
};

static bool add(struct found *found, char *path)
{
    if (path && found->count == found->capacity) {
        size_t larger = found->capacity > 0 ? 2 * found->capacity : 16;
        char **paths = realloc(found->paths, larger * sizeof *paths);
        if (!paths) {
            free(path);
            return false;
        }
        found->paths = paths;
        found->capacity = larger;
    }
    if (path)
        found->paths[found->count++] = path;
    return path != NULL;
}

/* A pattern does not match a name that begins with a dot, as in a shell. */
static bool add_found(struct found *found, const char *pattern, const WIN32_FIND_DATAW *data)
{
    if (data->cFileName[0] == L'.' && pattern[folder_length(pattern)] != '.')
        return true;
    char *name = text_from_wide(data->cFileName);
    bool good = name && add(found, join(pattern, folder_length(pattern), name));
    free(name);
    return good;
}

static bool find(struct found *found, const char *pattern)
{
    WIN32_FIND_DATAW data;
    wchar_t *wide = text_to_wide(pattern);
    HANDLE search = wide ? FindFirstFileW(wide, &data) : INVALID_HANDLE_VALUE;
    DWORD error = search == INVALID_HANDLE_VALUE ? GetLastError() : ERROR_SUCCESS;
    bool good = wide != NULL;
    free(wide);
    if (search == INVALID_HANDLE_VALUE)
        return good && (error == ERROR_FILE_NOT_FOUND || error == ERROR_NO_MORE_FILES || error == ERROR_PATH_NOT_FOUND);
    do
        good = add_found(found, pattern, &data);
    while (good && FindNextFileW(search, &data));
    (void)FindClose(search);
    return good;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool config_file_glob(const char *pattern, char ***paths, size_t *count)
{
    struct found found = {.paths = NULL};
    bool has_wildcard = strpbrk(pattern, "*?") != NULL;
    bool good = has_wildcard ? find(&found, pattern) : add(&found, strdup(pattern));
    if (good && found.count > 1)
        qsort(found.paths, found.count, sizeof *found.paths, compare);
    if (!good)
        config_file_free_paths(found.paths, found.count);
    *paths = good ? found.paths : NULL;
    *count = good ? found.count : 0;
    return good;
}

void config_file_free_paths(char **paths, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        free(paths[i]);
    free(paths);
}

char *config_file_resolve(const char *from, const char *path)
{
    bool is_whole = path[0] == '/' || path[0] == '\\' || (path[0] != '\0' && path[1] == ':');
    size_t folder = folder_length(from);
    return is_whole || folder == 0 ? strdup(path) : join(from, folder, path);
}
