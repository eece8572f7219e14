/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs install and uninstall. Once the service is made, a failing step only warns, and the next steps are done. */
#include "service/platform/windows/firewall.h"
#include "service/platform/windows/folders.h"
#include "service/platform/windows/manager.h"
#include "service/platform/windows/service_state.h"
#include "config/text_windows.h"

#include <getopt.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SIZE      1024
#define COMMAND_SIZE   (2 * PATH_SIZE + 64)
#define STOP_MS        30000U
#define PRESHUTDOWN_MS 20000U
#define DAY_S          86400U
#define TOKEN_BYTES    32
#define MAY_DELETE     0x00010000U /* DELETE, a name that sockets.h undefines */

struct install {
    wchar_t program[PATH_SIZE];
    wchar_t *config; /* owned */
    bool firewall;
};

/* Written where no configuration exists; an operator's file stays. */
static const char first_configuration[] =
    "# kdnetd's configuration. kdnetd.yaml.example, beside kdnetd.exe, has every option.\n"
    "#\n"
    "# After a change, `kdnetd --check FILE` names every mistake with its line and remedy, and `kdnetd service "
    "reload`\n"
    "# takes up keys and targets; live sessions are not touched.\n"
    "listen:\n"
    "  - \"0.0.0.0:50000\"\n"
    "  - \"[::]:50000\"\n"
    "\n"
    "# One machine an entry; keys are made by `kdnetctl keygen NAME`.\n"
    "#targets:\n"
    "#  - name: web-17\n"
    "#    key: 29p34y6n3wd25.2q4f5zr37e3p3.12z8iq9y7jzb6.2cn6z43dvyrkt\n"
    "\n"
    "include:\n"
    "  - \"conf.d/*.yaml\"\n"
    "\n";

static void warn(const char *what, DWORD error)
{
    char text[TEXT_ERROR_SIZE];
    if (error != ERROR_SUCCESS)
        (void)fprintf(stderr, "kdnetd: warning: %s: %s (%lu)\n", what, text_of_error(error, text), error);
}

static int what_is(const char *written)
{
    (void)fprintf(stderr, "kdnetd: service install: what is '%s'? Options are --config FILE and --firewall\n", written);
    return MANAGER_USAGE;
}

static int wants_value(void)
{
    (void)fputs("kdnetd: service install: --config wants a value\n", stderr);
    return MANAGER_USAGE;
}

static int parse(struct install *install, int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"firewall", no_argument, NULL, 'f'}, {0}};
    int option;
    const char *config = NULL;
    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":c:", options, NULL)) != -1) {
        if (option == 'c')
            config = optarg;
        else if (option == 'f')
            install->firewall = true;
        else
            return option == ':' && optopt == 'c' ? wants_value() : what_is(argv[optind - 1]);
    }
    if (optind < argc)
        return what_is(argv[optind]);
    wchar_t *given = config ? text_to_wide(config) : NULL;
    wchar_t whole[PATH_SIZE];
    if (given && GetFullPathNameW(given, PATH_SIZE, whole, NULL) - 1 < PATH_SIZE - 1)
        install->config = _wcsdup(whole);
    else if (!config)
        install->config = folders_path(L"\\kdnetd.yaml");
    free(given);
    if (!install->config || wcschr(install->config, L'"')) {
        (void)fputs("kdnetd: service install: --config: the path is too long, or is none\n", stderr);
        return MANAGER_USAGE;
    }
    return MANAGER_DONE;
}

/* Writes a file unless it exists. */
static DWORD write_new(wchar_t *path, const char *const *texts, size_t count)
{
    DWORD written = 0, error = ERROR_SUCCESS;
    HANDLE file = CreateFileW(path, GENERIC_WRITE, 0, NULL, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return GetLastError() == ERROR_FILE_EXISTS ? ERROR_SUCCESS : GetLastError();
    error = folders_close_file(path, SERVICE_STATE_NAME);
    for (size_t i = 0; error == ERROR_SUCCESS && i < count; ++i)
        if (!WriteFile(file, texts[i], (DWORD)strlen(texts[i]), &written, NULL))
            error = GetLastError();
    (void)CloseHandle(file);
    return error;
}

/* Writes kdnetctl's token for this computer: a reader of the token may act. */
static DWORD write_token(void)
{
    unsigned char secret[TOKEN_BYTES];
    char line[2 * TOKEN_BYTES + 32] = "kdnetctl act ";
    const char *texts[] = {line};
    wchar_t *path = folders_path(L"\\tokens");
    if (!path || RAND_bytes(secret, sizeof secret) != 1) {
        free(path);
        return ERROR_OUTOFMEMORY;
    }
    size_t used = strlen(line);
    for (size_t i = 0; i < sizeof secret; ++i)
        used += (size_t)snprintf(line + used, sizeof line - used, "%02x", secret[i]);
    (void)snprintf(line + used, sizeof line - used, "\n");
    DWORD error = write_new(path, texts, 1);
    SecureZeroMemory(secret, sizeof secret);
    SecureZeroMemory(line, sizeof line);
    free(path);
    return error;
}

static DWORD write_configuration(wchar_t *path)
{
    wchar_t *root = folders_path(FOLDERS_ROOT);
    char *root_text = root ? text_from_wide(root) : NULL;
    char places[2 * PATH_SIZE];
    const char *texts[] = {first_configuration, places};
    (void)snprintf(places, sizeof places, "events: '%.*s\\log\\events.jsonl'\nhttp_tokens: '%.*s\\tokens'\n",
                   PATH_SIZE - 64, root_text ? root_text : ".", PATH_SIZE - 64, root_text ? root_text : ".");
    DWORD error = write_new(path, texts, 2);
    free(root_text);
    free(root);
    return error;
}

static void configure(SC_HANDLE service, DWORD level, void *value, const char *what)
{
    if (!ChangeServiceConfig2W(service, level, value))
        warn(what, GetLastError());
}

static void configure_all(SC_HANDLE service)
{
    wchar_t text[] =
        L"Reads from crashed Windows servers, through KDNET, whether their crash dump was written, and lets "
        L"them go on.";
    wchar_t privileges[] = L"SeChangeNotifyPrivilege\0";
    SC_ACTION actions[] = {{SC_ACTION_RESTART, 1000}, {SC_ACTION_RESTART, 5000}, {SC_ACTION_RESTART, 60000}};
    SERVICE_DESCRIPTIONW description = {text};
    SERVICE_FAILURE_ACTIONSW failure = {.dwResetPeriod = DAY_S, .cActions = 3, .lpsaActions = actions};
    SERVICE_FAILURE_ACTIONS_FLAG flag = {FALSE}; /* a wrong configuration is no reason to start again */
    SERVICE_DELAYED_AUTO_START_INFO delayed = {TRUE};
    SERVICE_SID_INFO sid = {SERVICE_SID_TYPE_UNRESTRICTED};
    SERVICE_REQUIRED_PRIVILEGES_INFOW required = {privileges};
    SERVICE_PRESHUTDOWN_INFO preshutdown = {PRESHUTDOWN_MS};
    configure(service, SERVICE_CONFIG_DESCRIPTION, &description, "description");
    configure(service, SERVICE_CONFIG_FAILURE_ACTIONS, &failure, "restart after 1, 5 and 60 seconds");
    configure(service, SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, &flag, "failure actions flag");
    configure(service, SERVICE_CONFIG_DELAYED_AUTO_START_INFO, &delayed, "delayed start");
    configure(service, SERVICE_CONFIG_SERVICE_SID_INFO, &sid, "service SID");
    configure(service, SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO, &required, "privileges");
    configure(service, SERVICE_CONFIG_PRESHUTDOWN_INFO, &preshutdown, "time at shutdown");
}

static DWORD register_events(const wchar_t *program)
{
    HKEY key;
    DWORD types = EVENTLOG_ERROR_TYPE | EVENTLOG_WARNING_TYPE | EVENTLOG_INFORMATION_TYPE;
    DWORD error = (DWORD)RegCreateKeyExW(HKEY_LOCAL_MACHINE, MANAGER_EVENT_KEY, 0, NULL, REG_OPTION_NON_VOLATILE,
                                         KEY_SET_VALUE, NULL, &key, NULL);
    if (error != ERROR_SUCCESS)
        return error;
    error = (DWORD)RegSetValueExW(key, L"EventMessageFile", 0, REG_EXPAND_SZ, (const BYTE *)program,
                                  (DWORD)((wcslen(program) + 1) * sizeof *program));
    if (error == ERROR_SUCCESS)
        error = (DWORD)RegSetValueExW(key, L"TypesSupported", 0, REG_DWORD, (const BYTE *)&types, sizeof types);
    (void)RegCloseKey(key);
    return error;
}

/* Makes the service, or updates an existing one's program path: an upgrade. NULL: `error` has the reason. */
static SC_HANDLE make_service(SC_HANDLE manager, const wchar_t *command, DWORD *error)
{
    const DWORD rights = SERVICE_CHANGE_CONFIG | SERVICE_QUERY_STATUS | SERVICE_START;
    SC_HANDLE service = CreateServiceW(manager, SERVICE_STATE_NAME, L"kdnetd (crash status through KDNET)", rights,
                                       SERVICE_WIN32_OWN_PROCESS, SERVICE_AUTO_START, SERVICE_ERROR_NORMAL, command,
                                       NULL, NULL, NULL, MANAGER_ACCOUNT, NULL);
    *error = service ? ERROR_SUCCESS : GetLastError();
    if (*error != ERROR_SERVICE_EXISTS)
        return service;
    *error = ERROR_SUCCESS;
    service = OpenServiceW(manager, SERVICE_STATE_NAME, rights);
    if (service && ChangeServiceConfigW(service, SERVICE_NO_CHANGE, SERVICE_NO_CHANGE, SERVICE_NO_CHANGE, command, NULL,
                                        NULL, NULL, NULL, NULL, NULL))
        return service;
    *error = GetLastError();
    if (service)
        (void)CloseServiceHandle(service);
    return NULL;
}

static void finish(const struct install *install, SC_HANDLE service)
{
    const wchar_t *failed = L"";
    DWORD error;
    configure_all(service);
    error = folders_make(SERVICE_STATE_NAME, &failed);
    if (error != ERROR_SUCCESS)
        (void)fprintf(stderr, "kdnetd: the folder %%ProgramData%%\\kdnetd%ls\n", failed);
    warn("folders and who may use them", error);
    warn("kdnetctl's token", write_token());
    warn("the first configuration", write_configuration(install->config));
    warn("event source", register_events(install->program));
    if (install->firewall && !firewall_allow(install->program))
        (void)fputs("kdnetd: warning: the firewall's rule could not be made; netsh advfirewall firewall add rule "
                    "name=kdnetd dir=in action=allow protocol=UDP program=PATH\n",
                    stderr);
}

static int install_service(const struct install *install)
{
    wchar_t command[COMMAND_SIZE];
    DWORD error = ERROR_SUCCESS;
    (void)swprintf(command, COMMAND_SIZE, L"\"%ls\" service run --config \"%ls\"", install->program, install->config);
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT | SC_MANAGER_CREATE_SERVICE);
    if (!manager)
        return manager_failed("the service control manager", GetLastError());
    SC_HANDLE service = make_service(manager, command, &error);
    (void)CloseServiceHandle(manager);
    if (!service)
        return manager_failed("install", error);
    finish(install, service);
    (void)CloseServiceHandle(service);
    char *config = text_from_wide(install->config);
    (void)printf("kdnetd is installed. Its configuration is %s; then: kdnetd service start\n", config ? config : "?");
    free(config);
    return MANAGER_DONE;
}

int manager_install(int argc, char **argv)
{
    struct install install = {.firewall = false};
    DWORD length = GetModuleFileNameW(NULL, install.program, PATH_SIZE);
    int status = parse(&install, argc, argv);
    if (status == MANAGER_DONE && (length == 0 || length >= PATH_SIZE))
        status = manager_failed("the path of this program", GetLastError());
    if (status == MANAGER_DONE)
        status = install_service(&install);
    free(install.config);
    return status;
}

int manager_uninstall(int argc, char **argv)
{
    SERVICE_STATUS_PROCESS now;
    SC_HANDLE manager;
    int status;
    (void)argv;
    if (argc > 1) {
        (void)fputs("kdnetd: service uninstall takes nothing more\n", stderr);
        return MANAGER_USAGE;
    }
    SC_HANDLE service = manager_open(SC_MANAGER_CONNECT, MAY_DELETE | SERVICE_STOP | SERVICE_QUERY_STATUS, &manager,
                                     &status);
    if (!service)
        return status;
    if (!manager_stop_it(service, STOP_MS, &now))
        (void)fputs("kdnetd: warning: it has not stopped, and is no service any more when its process ends\n", stderr);
    status = DeleteService(service) ? MANAGER_DONE : manager_failed("uninstall", GetLastError());
    (void)CloseServiceHandle(service);
    (void)CloseServiceHandle(manager);
    if (status != MANAGER_DONE)
        return status;
    DWORD error = (DWORD)RegDeleteKeyW(HKEY_LOCAL_MACHINE, MANAGER_EVENT_KEY);
    warn("event source", error == ERROR_FILE_NOT_FOUND ? ERROR_SUCCESS : error);
    (void)firewall_forget();
    (void)puts("kdnetd is no service any more. Configuration, keys, results and logs stay in %ProgramData%\\kdnetd");
    return MANAGER_DONE;
}
