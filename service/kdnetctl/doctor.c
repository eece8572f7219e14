/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl doctor: why a machine is not served, and what to do next. */
#include "config/characters.h"
#include "service/kdnetctl/doctor.h"
#include "config/remedies.h"
#include "service/kdnetctl/commands.h"
#include "service/kdnetctl/fields.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION_LEAST 2
#define VERSION_MOST  5
#define WITH_KEY_OF   "with the key of target "
#define PORT_OF       ", port "

/* Most frequent first, each with the command that shows the fault on the machine. */
static const char list_text[] =
    "Nothing of this machine has ever arrived. Go through this list on the machine, the most frequent first:\n"
    "  1. Debugging is not on, or not restarted since:  bcdedit /enum {current}   shows `debug Yes`; then restart it\n"
    "  2. Another address, port or key is set:          bcdedit /dbgsettings      shows hostip, port, key\n"
    "  3. UDP to that port is blocked on the way:       " REMEDY_CAPTURE "on kdnetd's computer shows "
    "nothing\n"
    "  4. Secure Boot is on:                            Confirm-SecureBootUEFI    says True: bcdedit was refused\n"
    "  5. The network card is not one that KDNET knows: kdnet.exe                 says so (Debugging Tools for "
    "Windows)\n"
    "  6. KDNET took another card of several:           bcdedit /enum {dbgsettings}   shows busparams\n"
    "  7. The card belongs to a Hyper-V switch:         Get-VMSwitch -SwitchType External\n"
    "  8. The network has no DHCP:                      bcdedit /dbgsettings      shows dhcp Yes; add nodhcp\n"
    "  9. The card is in a VLAN: KDNET sends untagged:  Get-NetAdapter | Format-List Name, VlanID\n"
    " 10. BitLocker waits for its recovery key:         manage-bde -status C:     (look at the screen)\n"
    " 11. It stops at each exception of a program:      bcdedit /dbgsettings      add /noumex";

static const char *const result_names[] = {"ok", "wrong", "cannot_tell"};

static void print_check(struct doctor *doctor, const char *check, enum doctor_result result, const char *detail)
{
    static const char *const words[] = {"ok         ", "wrong      ", "cannot tell"};
    if (doctor->ask.options.json) {
        json_t *line = json_pack("{s:s,s:s,s:s}", "check", check, "result", result_names[result], "detail", detail);
        client_print_json(line);
        json_decref(line);
        return;
    }
    enum colour colour = ask_colour(result_names[result]);
    (void)printf("%s%s%s  %-18s ", colour_begin(&doctor->ask.screen, colour), words[result],
                 colour_end(&doctor->ask.screen, colour), check);
    command_print_argument(stdout, detail);
    (void)putchar('\n');
}

void doctor_report(struct doctor *doctor, const char *check, enum doctor_result result, const char *format, ...)
{
    char detail[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(detail, sizeof detail, format, arguments);
    characters_mend(detail);
    va_end(arguments);
    doctor->wrong = doctor->wrong || result == DOCTOR_WRONG;
    print_check(doctor, check, result, detail);
}

void doctor_blame(struct doctor *doctor, const char *cause, const char *format, ...)
{
    va_list arguments;
    if (doctor->cause)
        return;
    doctor->cause = cause;
    va_start(arguments, format);
    (void)vsnprintf(doctor->next_step, sizeof doctor->next_step, format, arguments);
    characters_mend(doctor->next_step);
    va_end(arguments);
}

/* ------------------------------------------------------------------------------------------------ the service */

static bool check_service(struct doctor *doctor)
{
    json_t *answer = NULL;
    long http = 0;
    (void)client_try(doctor->ask.client, "/api/v1/status", &http, &doctor->status);
    if (http == 0) {
        doctor_report(doctor, "kdnetd", DOCTOR_WRONG, "kdnetd cannot be reached at %s: %s",
                      client_place(doctor->ask.client), client_fault(doctor->ask.client));
        doctor_blame(doctor, "kdnetd_down",
                     "Start it: " REMEDY_START ". If it does not stay: " REMEDY_STATUS
                     ", and kdnetd --check " REMEDY_CONFIGURATION ". (" REMEDY_RIGHTS ")");
        return false;
    }
    if (http != 200) {
        doctor_report(doctor, "kdnetd", DOCTOR_CANNOT_TELL, "it answers, but says no more: %s",
                      fields_text(doctor->status, "detail", "no reason is given"));
        doctor->wrong = true;
        doctor_blame(doctor, NULL, "%s", fields_text(doctor->status, "detail", REMEDY_ASK));
        return false;
    }
    (void)client_try(doctor->ask.client, "/healthz", &http, &answer);
    doctor_report(doctor, "kdnetd", http == 200 ? DOCTOR_OK : DOCTOR_WRONG, "kdnetd %s runs%s%s",
                  fields_text(doctor->status, "version", "?"), http == 200 ? "" : ", but hangs: ",
                  http == 200              ? ""
                  : json_is_string(answer) ? json_string_value(answer)
                                           : "see /healthz");
    if (http != 200)
        doctor_blame(doctor, "kdnetd_down", "Restart it: " REMEDY_RESTART ". Halted machines are taken over.");
    json_decref(answer);
    return true;
}

static const char *first_listener(const struct doctor *doctor)
{
    return fields_text(json_array_get(fields_at(doctor->status, "listeners"), 0), "address", "");
}

static void check_listeners(struct doctor *doctor)
{
    size_t i;
    const json_t *listener;
    json_array_foreach((json_t *)fields_at(doctor->status, "listeners"), i, listener)
    { // NOLINT(cert-exp05-c)
        const char *address = fields_text(listener, "address", "?");
        bool open = fields_true(listener, "open"), heard = fields_text(listener, "heard_at", NULL) != NULL;
        doctor_report(doctor, "listener", open ? DOCTOR_OK : DOCTOR_WRONG, "%s is %s%s", address,
                      open ? "open" : "not open",
                      !open   ? ""
                      : heard ? ", and machines are heard there"
                              : ", and nothing was heard there yet");
        if (!open)
            doctor_blame(doctor, "wrong_listener",
                         "kdnetd cannot listen at %s: " REMEDY_PORTS " shows who has the port, " REMEDY_ADDRESSES
                         " whether the address is here; the log says why: " REMEDY_LOG,
                         address);
    }
}

/* Next step for a sink that cannot deliver; NULL: the reason says all. */
static const char *sink_step(const char *name, const char *why)
{
    if (strcmp(name, "nats") != 0)
        return NULL;
    if (strstr(why, "uthoriz") || strstr(why, "uthentic") || strstr(why, "JWT"))
        return "The servers of NATS refuse kdnetd. Put credentials of a user of theirs that have not expired into the "
               "file of nats.credentials; docs/fleet.md lists the rights. kdnetd reads the file again by itself.";
    if (strstr(why, "credentials") || strstr(why, ".creds"))
        return "Make the file of nats.credentials readable for kdnetd, with the JWT and the seed of a user of the "
               "servers. kdnetd reads the file again by itself.";
    if (strstr(why, "SSL") || strstr(why, "TLS") || strstr(why, "certificate"))
        return "kdnetd does not trust the servers of NATS, or they do not trust kdnetd. Compare who signed their "
               "certificate with the file of nats.tls.ca, and look at the dates of both: openssl x509 -noout -issuer "
               "-dates -in FILE. kdnetd reads its files again by itself.";
    return NULL;
}

static void check_degraded(struct doctor *doctor)
{
    size_t i;
    const json_t *one;
    json_array_foreach((json_t *)fields_at(doctor->status, "degraded"), i, one) // NOLINT(cert-exp05-c)
    {
        const char *what = fields_text(one, "what", ""), *name = fields_text(one, "name", "");
        const char *why = fields_text(one, "why", "");
        const char *step = strcmp(what, "sink") == 0 ? sink_step(name, why) : NULL;
        doctor_report(doctor, "degraded", DOCTOR_WRONG, "%s %s: %s", what, name, why);
        if (step)
            doctor_blame(doctor, NULL, "%s", step);
    }
}

/* ---------------------------------------------------------------------------------------------- unknown pokes */

/* Whether an address, perhaps with a port and brackets, is of this IP address. */
static bool is_at(const char *address, const char *ip)
{
    size_t length = strlen(ip);
    address += address[0] == '[';
    return length > 0 && strncmp(address, ip, length) == 0 &&
           (address[length] == '\0' || strchr(":]", address[length]));
}

/* The target whose key a hint names. */
static bool key_owner(const char *hint, char owner[static FIELDS_SIZE])
{
    const char *at = strstr(hint, WITH_KEY_OF);
    if (!at)
        return false;
    at += strlen(WITH_KEY_OF);
    (void)snprintf(owner, FIELDS_SIZE, "%.*s", (int)strcspn(at, ", "), at);
    return true;
}

/* "pokes port 50001 with the key of target web-1, which is configured for any address, port 50000": both ports. */
static bool other_port(const char *hint)
{
    const char *poked = strstr(hint, "pokes port "), *owner = strstr(hint, WITH_KEY_OF);
    const char *wanted = owner ? strstr(owner, PORT_OF) : NULL;
    unsigned long from = poked ? strtoul(poked + strlen("pokes port "), NULL, 10) : 0;
    unsigned long to = wanted ? strtoul(wanted + strlen(PORT_OF), NULL, 10) : 0;
    return from != 0 && to != 0 && from != to;
}

static void blame_unknown(struct doctor *doctor, const json_t *unknown)
{
    char owner[FIELDS_SIZE];
    const char *hint = fields_text(unknown, "hint", ""), *address = fields_text(unknown, "address", "?");
    const char *name = fields_text(doctor->target, "name", fields_text(unknown, "target", "?"));
    int64_t version = fields_number(unknown, "version");
    if (version != 0 && (version < VERSION_LEAST || version > VERSION_MOST)) {
        doctor_blame(doctor, "unknown_version",
                     "The machine at %s speaks KDNET version %lld; kdnetd knows %d to %d. Send its Windows build and a "
                     "capture to kdnetd's maintainers.",
                     address, (long long)version, VERSION_LEAST, VERSION_MOST);
        return;
    }
    if (!key_owner(hint, owner)) {
        doctor_blame(doctor, "wrong_key",
                     "Compare the key: bcdedit /dbgsettings on the machine at %s, and the key of %s in kdnetd's "
                     "configuration. Set one of them: kdnetctl keygen makes both lines.",
                     address, name);
        return;
    }
    const char *expected = fields_text(doctor->target, "name", owner);
    if (strcmp(owner, expected) != 0)
        doctor_blame(
            doctor, "other_targets_key",
            "The machine at %s has the key of target %s. Each machine has its own key: make one for it, kdnetctl "
            "keygen %s, or correct the addresses of both targets.",
            address, owner, expected);
    else if (other_port(hint))
        doctor_blame(
            doctor, "wrong_listener",
            "The machine at %s pokes another port than that which its target belongs to: set port: on the machine "
            "(bcdedit /dbgsettings), or correct `port` of target %s.",
            address, owner);
    else
        doctor_blame(doctor, "wrong_address",
                     "Target %s is configured for another address than %s: correct it, or leave it out; then: kdnetctl "
                     "reload",
                     owner, address);
}

/* Whether an unknown source concerns the machine in question. */
static bool is_about(const struct doctor *doctor, const json_t *unknown)
{
    char owner[FIELDS_SIZE];
    const char *name = fields_text(doctor->target, "name", NULL), *address = fields_text(unknown, "address", "");
    if (!name)
        return is_at(doctor->about, address);
    if (strcmp(fields_text(unknown, "target", ""), name) == 0 ||
        is_at(fields_text(doctor->target, "address", ""), address))
        return true;
    return key_owner(fields_text(unknown, "hint", ""), owner) && strcmp(owner, name) == 0;
}

/* Returns whether something was found. */
static bool check_unknown(struct doctor *doctor)
{
    size_t i;
    const json_t *one;
    bool found = false;
    json_array_foreach((json_t *)fields_at(doctor->unknown, "unknown"), i, one)
    { // NOLINT(cert-exp05-c)
        if (!is_about(doctor, one))
            continue;
        found = true;
        doctor_report(doctor, "key", DOCTOR_WRONG, "%s; %s", fields_text(one, "hint", "it pokes with an unknown key"),
                      fields_text(one, "remedy", ""));
        blame_unknown(doctor, one);
    }
    if (!found)
        doctor_report(doctor, "key", DOCTOR_OK, "nobody pokes with a wrong key there");
    return found;
}

/* ------------------------------------------------------------------------------------------------ the machine */

static void check_lost(struct doctor *doctor)
{
    char time[TIMES_SIZE];
    const char *seen = ask_time(&doctor->ask, doctor->target, "last_seen", time);
    doctor_report(doctor, "heard", DOCTOR_WRONG, "last heard at %s, from %s", seen,
                  fields_text(doctor->target, "address", "an address that is not known"));
    doctor_blame(
        doctor, "stopped_poking",
        "It was heard until %s. Is it up? Then look whether debugging is still on (bcdedit /enum {current}), "
        "whether its address or a firewall has changed, and whether another debugger has it (a machine talks to "
        "one host alone; kdnetd's log says `another host`).",
        seen);
}

/* Checks for another host, which the machine's pokes name. */
static void check_other_host(struct doctor *doctor)
{
    const json_t *other = fields_at(doctor->target, "other_host");
    const char *address = fields_text(other, "address", "a host that it does not name");
    if (!json_is_object(other))
        return;
    doctor_report(doctor, "other_host", DOCTOR_WRONG, "another host has the machine, too: %s", address);
    doctor_blame(
        doctor, "other_host",
        "A machine talks to one host alone, and kdnetd does not fight for it. Stop the debugger at %s (WinDbg, kd, "
        "another kdnetd), or take the target out of one of the two configurations.",
        address);
}

static void check_state(struct doctor *doctor, bool unknown)
{
    const char *state = fields_text(doctor->target, "state", "?");
    if (strcmp(state, "never_seen") == 0) {
        doctor_report(doctor, "heard", DOCTOR_WRONG, "nothing that its key opens has ever arrived");
        if (!unknown)
            doctor_blame(doctor, "never_heard", "%s", "");
    } else if (strcmp(state, "lost") == 0) {
        check_lost(doctor);
    } else if (fields_true(doctor->target, "stale")) {
        doctor_report(doctor, "heard", DOCTOR_CANNOT_TELL, "%s before kdnetd was started; not heard since", state);
    } else {
        doctor_report(doctor, "heard", DOCTOR_OK, "it is %s, at %s", state,
                      fields_text(doctor->target, "address", "?"));
    }
}

static void check_address(struct doctor *doctor, bool unknown)
{
    if (unknown)
        return;
    doctor_report(doctor, "heard", DOCTOR_WRONG, "nothing that kdnetd tells of came from %s", doctor->about);
    doctor_blame(doctor, "never_heard", "%s", "");
}

static void print_end(const struct doctor *doctor)
{
    const char *next = doctor->next_step;
    if (doctor->cause && strcmp(doctor->cause, "never_heard") == 0)
        next = list_text;
    else if (!doctor->wrong)
        next = "Nothing is wrong as far as can be seen from here.";
    else if (next[0] == '\0')
        next = "See what is wrong above; kdnetd's log says more: " REMEDY_LOG;
    if (doctor->ask.options.json) {
        json_t *line = json_pack("{s:s?,s:s}", "cause", doctor->cause, "next_step", next);
        client_print_json(line);
        json_decref(line);
        return;
    }
    (void)fputs("\nNext step: ", stdout);
    for (const char *line = next; line;) {
        const char *end = strchr(line, '\n');
        char part[1024];
        (void)snprintf(part, sizeof part, "%.*s", end ? (int)(end - line) : (int)strlen(line), line);
        command_print_argument(stdout, part);
        (void)putchar('\n');
        line = end ? end + 1 : NULL;
    }
}

static bool is_address(const char *text)
{
    return strchr(text, ':') != NULL || (strspn(text, "0123456789.") == strlen(text) && strchr(text, '.'));
}

/* Finds the target by name; an address is looked up among the heard machines. False: ask->status has the reason. */
static bool find_target(struct doctor *doctor)
{
    char path[ASK_PATH_SIZE];
    long http = 0;
    struct ask *ask = &doctor->ask;
    if (!ask_path(ask, path, "/targets/", doctor->about, ""))
        return false;
    (void)client_try(ask->client, path, &http, &doctor->target);
    if (http == 200)
        return true;
    json_decref(doctor->target);
    doctor->target = NULL;
    if (is_address(doctor->about))
        return true;
    command_say(&command_doctor, "no target is called so; `kdnetctl targets` lists them");
    ask->status = COMMAND_NO_TARGET;
    return false;
}

static bool is_this_computer(const char *place)
{
    return place[0] == '/' || strncmp(place, "http://127.", 11) == 0 || strncmp(place, "http://localhost", 16) == 0 ||
           strncmp(place, "http://[::1]", 12) == 0;
}

static void examine(struct doctor *doctor)
{
    long http = 0;
    check_listeners(doctor);
    check_degraded(doctor);
    (void)client_try(doctor->ask.client, "/api/v1/unknown", &http, &doctor->unknown);
    if (doctor->about) {
        bool unknown = check_unknown(doctor);
        const char *address = fields_text(doctor->target, "address", doctor->target ? NULL : doctor->about);
        doctor_check_drops(doctor, first_listener(doctor));
        if (!doctor->target || strcmp(fields_text(doctor->target, "state", ""), "connected") != 0)
            doctor_check_firewall(doctor, first_listener(doctor));
        if (address)
            doctor_check_way(doctor, address);
        if (doctor->target)
            check_other_host(doctor);
        if (doctor->target)
            check_state(doctor, unknown);
        else
            check_address(doctor, unknown);
        return;
    }
    doctor_check_drops(doctor, first_listener(doctor));
    doctor_check_firewall(doctor, first_listener(doctor));
}

static int run_doctor(int count, char **arguments)
{
    struct doctor doctor = {.about = NULL};
    struct ask *ask = &doctor.ask;
    if (!ask_begin(ask, &command_doctor, count, arguments, 0, 1))
        return ask->status;
    doctor.about = ask->word_count > 0 ? ask->words[0] : NULL;
    doctor.is_local = is_this_computer(client_place(ask->client));
    int status = COMMAND_OK;
    bool serves = check_service(&doctor);
    if (serves && doctor.about && !find_target(&doctor))
        status = ask->status != COMMAND_OK ? ask->status : COMMAND_USAGE;
    if (serves && status == COMMAND_OK)
        examine(&doctor);
    if (status == COMMAND_OK) {
        print_end(&doctor);
        status = doctor.wrong ? COMMAND_FAILED : COMMAND_OK;
    }
    json_decref(doctor.status);
    json_decref(doctor.target);
    json_decref(doctor.unknown);
    return ask_end(ask, status);
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "find out why a machine is not served",
    .arguments = "[NAME|ADDRESS]",
    .text =
        "Checks the service, and a machine by its name or address, line by line: ok, wrong, or cannot tell. Then it\n"
        "names the cause, and one next step. Run it " WORDS_AS_WHOM " on kdnetd's computer to see most.\n",
    .exits = "0 all is well, 1 something is wrong, 2 wrong usage, 4 no such target.",
    .asks = true,
    .run = run_doctor};
