/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/windows/firewall.h"
#include "service/platform/windows/folders.h"
#include "service/platform/windows/manager.h"
#include "service/platform/windows/selftest.h"
#include "service/platform/windows/selftest_loop.h"
#include "service/platform/windows/service_state.h"
#include "service/platform/platform.h"

#include "messages.h"

#include <aclapi.h>
#include <sddl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_SIZE   8192
#define PATH_SIZE     1024
#define BUFFER_WISHED (8U << 20)

enum verdict { OK, NOT, UNTOLD };

struct look {
    SC_HANDLE service;
    bool wrong;
};

static void say(struct look *look, enum verdict verdict, const char *what, const char *remedy)
{
    static const char *const words[] = {"ok", "NOT", "cannot tell"};
    (void)printf("%-11s  %s", words[verdict], what);
    if (verdict != OK && remedy)
        (void)printf(": %s", remedy);
    (void)puts("");
    look->wrong = look->wrong || verdict == NOT;
}

/* Returns the data of QueryServiceConfig2 for a level; NULL: none, or refused. */
static const void *level(const struct look *look, DWORD number)
{
    static union {
        max_align_t aligned;
        BYTE bytes[CONFIG_SIZE];
    } space;
    DWORD bytes = 0;
    memset(&space, 0, sizeof space);
    return QueryServiceConfig2W(look->service, number, space.bytes, sizeof space, &bytes) ? space.bytes : NULL;
}

static void look_at_account(struct look *look)
{
    static union {
        max_align_t aligned;
        BYTE bytes[CONFIG_SIZE];
    } space;
    DWORD bytes = 0;
    const QUERY_SERVICE_CONFIGW *config = (const QUERY_SERVICE_CONFIGW *)(const void *)space.bytes;
    bool told = QueryServiceConfigW(look->service, (QUERY_SERVICE_CONFIGW *)(void *)space.bytes, sizeof space, &bytes);
    bool own = told && config->lpServiceStartName && _wcsicmp(config->lpServiceStartName, MANAGER_ACCOUNT) == 0;
    say(look,
        !told ? UNTOLD
        : own ? OK
              : NOT,
        "it runs as NT SERVICE\\kdnetd", "sc config kdnetd obj= \"NT SERVICE\\kdnetd\"");
    say(look, told && config->dwStartType == SERVICE_AUTO_START ? OK : NOT, "it starts with Windows",
        "sc config kdnetd start= delayed-auto");
    say(look, told && config->lpBinaryPathName && config->lpBinaryPathName[0] == L'"' ? OK : NOT,
        "the path of the program is quoted", "kdnetd service install");
}

static void look_at_config(struct look *look)
{
    const SERVICE_FAILURE_ACTIONSW *failure = level(look, SERVICE_CONFIG_FAILURE_ACTIONS);
    say(look,
        !failure                 ? UNTOLD
        : failure->cActions >= 3 ? OK
                                 : NOT,
        "it is restarted after a failure",
        "sc failure kdnetd reset= 86400 actions= restart/1000/restart/5000/restart/60000");
    const SERVICE_SID_INFO *sid = level(look, SERVICE_CONFIG_SERVICE_SID_INFO);
    say(look,
        !sid                                                     ? UNTOLD
        : sid->dwServiceSidType == SERVICE_SID_TYPE_UNRESTRICTED ? OK
                                                                 : NOT,
        "it has a SID of its own", "sc sidtype kdnetd unrestricted");
    const SERVICE_PRESHUTDOWN_INFO *preshutdown = level(look, SERVICE_CONFIG_PRESHUTDOWN_INFO);
    say(look,
        !preshutdown                                 ? UNTOLD
        : preshutdown->dwPreshutdownTimeout >= 20000 ? OK
                                                     : NOT,
        "it has 20 seconds when Windows shuts down", "kdnetd service install");
    const SERVICE_REQUIRED_PRIVILEGES_INFOW *required = level(look, SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO);
    bool few = required && required->pmszRequiredPrivileges &&
               _wcsicmp(required->pmszRequiredPrivileges, L"SeChangeNotifyPrivilege") == 0;
    say(look,
        !required ? UNTOLD
        : few     ? OK
                  : NOT,
        "it has no privilege but SeChangeNotifyPrivilege", "sc privs kdnetd SeChangeNotifyPrivilege");
}

/* Formats the message of a failed dump with its strings, as Event Viewer does. */
static bool has_texts(HMODULE module)
{
    wchar_t strings[10][16], text[512];
    DWORD_PTR places[10];
    for (size_t i = 0; i < 10; ++i) {
        (void)swprintf(strings[i], 16, L"<%zu>", i + 1);
        places[i] = (DWORD_PTR)strings[i];
    }
    return FormatMessageW(FORMAT_MESSAGE_FROM_HMODULE | FORMAT_MESSAGE_ARGUMENT_ARRAY, module, EVENT_DUMP_FAILED, 0,
                          text, sizeof text / sizeof *text, (va_list *)(void *)places) > 0 &&
           wcsncmp(text, L"<2> crashed (<6> <7>), and its crash dump was NOT written: <4> <5>", 65) == 0;
}

static void look_at_events(struct look *look)
{
    wchar_t file[PATH_SIZE];
    DWORD size = sizeof file;
    bool there = RegGetValueW(HKEY_LOCAL_MACHINE, MANAGER_EVENT_KEY, L"EventMessageFile", RRF_RT_REG_SZ, NULL, file,
                              &size) == ERROR_SUCCESS;
    HMODULE module = there ? LoadLibraryExW(file, NULL, LOAD_LIBRARY_AS_DATAFILE) : NULL;
    say(look, module && has_texts(module) ? OK : NOT, "the Event Log finds the texts of its messages",
        "kdnetd service install");
    if (module)
        (void)FreeLibrary(module);
    HANDLE source = RegisterEventSourceW(NULL, SERVICE_STATE_NAME);
    say(look, source ? OK : NOT, "the Event Log takes messages", "start the service EventLog");
    if (source)
        (void)DeregisterEventSource(source);
}

static void look_at_folder(struct look *look)
{
    wchar_t *path = folders_path(FOLDERS_ROOT), *sddl = NULL;
    PSECURITY_DESCRIPTOR descriptor = NULL;
    DWORD error = path ? GetNamedSecurityInfoW(path, SE_FILE_OBJECT, DACL_SECURITY_INFORMATION, NULL, NULL, NULL, NULL,
                                               &descriptor)
                       : ERROR_OUTOFMEMORY;
    bool told = error == ERROR_SUCCESS && ConvertSecurityDescriptorToStringSecurityDescriptorW(
                                              descriptor, SDDL_REVISION_1, DACL_SECURITY_INFORMATION, &sddl, NULL);
    bool closed = told && !wcsstr(sddl, L";;;WD)") && !wcsstr(sddl, L";;;BU)") && !wcsstr(sddl, L";;;AU)") &&
                  !wcsstr(sddl, L";;;IU)") && !wcsstr(sddl, L";;;BG)") && !wcsstr(sddl, L";;;AN)");
    say(look,
        error == ERROR_FILE_NOT_FOUND ? NOT
        : !told                       ? UNTOLD
        : closed                      ? OK
                                      : NOT,
        "%ProgramData%\\kdnetd is closed to other users", "kdnetd service install sets its access list anew");
    (void)LocalFree(sddl);
    (void)LocalFree(descriptor);
    free(path);
}

static void look_at_network(struct look *look)
{
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uv_os_sock_t socket;
    WSADATA data;
    bool open = WSAStartup(MAKEWORD(2, 2), &data) == 0 &&
                platform_udp_socket((const struct sockaddr *)&local, 0, &socket) == 0;
    say(look, open ? OK : NOT, "sockets of this service's kind can be opened", "look for filters of other makers");
    if (open) {
        say(look, platform_receive_buffer((uv_os_fd_t)socket, BUFFER_WISHED) >= BUFFER_WISHED ? OK : NOT,
            "a socket has room for 8 MiB of datagrams", "a thousand machines at once may be asked twice");
        platform_close_socket(socket);
    }
    say(look, firewall_is_allowed() ? OK : UNTOLD, "Windows' firewall has the rule kdnetd",
        "kdnetd service install --firewall makes it; a rule of yours may have another name");
}

static void look_at_serving(struct look *look)
{
    static const struct {
        enum verdict verdict;
        const char *remedy;
    } outcomes[] = {
        [SELFTEST_LOOP_DONE] = {OK, NULL},
        [SELFTEST_LOOP_FAILED] = {NOT, "look for a filter of another maker that holds up UDP on 127.0.0.1"},
        [SELFTEST_LOOP_NOT_SERVING] = {NOT,
                                       "it does not serve within a minute; kdnetd --listen 127.0.0.1:50001 says why"},
        [SELFTEST_LOOP_MISSING] = {UNTOLD, "put kdnet-target.exe beside kdnetd.exe"},
    };
    enum selftest_loop outcome = selftest_loop_run();
    say(look, outcomes[outcome].verdict, "kdnetd serves a machine of kdnet-target that crashes on this computer",
        outcomes[outcome].remedy);
}

static void say_what_to_try(void)
{
    (void)puts("\nWhat a person has to try once, on a computer that may be restarted:\n"
               "  1. taskkill /f /im kdnetd.exe: the service is there again after a second (sc query kdnetd)\n"
               "  2. a mistake in the configuration, kdnetd service reload: event 1010, and it goes on serving\n"
               "  3. Event Viewer, Application, source kdnetd: 1000, 1100 and 1101 have texts\n"
               "  4. shutdown /r while a machine is being read: its result is in the file afterwards\n"
               "  5. a crash of a machine in another network: its result arrives (firewalls on the way)");
}

int selftest_run(int argc, char **argv)
{
    struct look look = {.wrong = false};
    SC_HANDLE manager;
    int status;
    (void)argv;
    if (argc > 1) {
        (void)fputs("kdnetd: service selftest takes nothing more\n", stderr);
        return MANAGER_USAGE;
    }
    look.service = manager_open(SC_MANAGER_CONNECT, SERVICE_QUERY_CONFIG | SERVICE_QUERY_STATUS, &manager, &status);
    if (!look.service)
        return status;
    look_at_account(&look);
    look_at_config(&look);
    look_at_events(&look);
    look_at_folder(&look);
    look_at_network(&look);
    look_at_serving(&look);
    (void)CloseServiceHandle(look.service);
    (void)CloseServiceHandle(manager);
    say_what_to_try();
    return look.wrong ? MANAGER_FAILED : MANAGER_DONE;
}
