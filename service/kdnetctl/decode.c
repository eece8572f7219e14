/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl decode: the KDNET datagrams of a capture, opened and explained. */
#include "kdnet/error.h"
#include "kdnet/key.h"
#include "service/capture/capture.h"
#include "service/kdnetctl/commands.h"
#include "service/kdnetctl/content.h"
#include "service/kdnetctl/describe.h"
#include "service/kdnetctl/opener.h"
#include "service/kdnetctl/out.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <getopt.h>
#include <unistd.h>

static const struct command_option options[] = {
    {"key", "w.x.y.z", 'k', "a key to try; may be given many times"},
    {"text", NULL, 't', "a line for each datagram, then a summary (the default)"},
    {"json", NULL, 'j', "a JSON object a line, then {\"summary\":{...}}"},
    {0}};

struct counts {
    uint64_t datagrams, verified, rejected, pokes, responses, target_data, host_data;
    uint64_t no_response, control_rejected, data_rejected, malformed; /* of the rejected, why */
};

struct decode {
    const char *path;
    bool json;
    bool unbuffered;
    size_t key_count;
    struct opener *opener;
    struct capture *capture;
    struct counts counts;
    struct content content;
    struct out out;
};

static bool add_key(struct decode *decode, const char *text)
{
    struct kdnet_key key;
    enum kdnet_key_fault fault;
    int part = 0;
    if (kdnet_key_parse(text, strlen(text), &key, &fault, &part) != KDNET_OK) {
        /* Not the key itself: messages end up in tickets. */
        command_say(&command_decode, "--key %zu %s, at part %d; give it as `bcdedit /dbgsettings` shows it",
                    decode->key_count + 1, kdnet_key_fault_text(fault), part);
        return false;
    }
    int error = opener_add_key(decode->opener, &key);
    kdnet_crypto_wipe(&key, sizeof key);
    ++decode->key_count;
    if (error != KDNET_OK)
        command_say(&command_decode, "%s", kdnet_error_text(error));
    return error == KDNET_OK;
}

static void count_verified(struct counts *counts, const struct content *content, uint8_t channel)
{
    ++counts->verified;
    if (content->kind == CONTENT_POKE)
        ++counts->pokes;
    else if (content->kind == CONTENT_RESPONSE)
        ++counts->responses;
    else if (channel == KDNET_CHANNEL_DATA)
        ++*(content->from_host ? &counts->host_data : &counts->target_data);
}

static void count_rejected(struct counts *counts, const struct opener_opened *opened)
{
    ++counts->rejected;
    if (opened->result == OPENER_NO_RESPONSE)
        ++counts->no_response;
    if (opened->result == OPENER_CUT || (opened->result == OPENER_ERROR && opened->error != KDNET_ERR_AUTH))
        ++counts->malformed;
    else if (opened->channel == KDNET_CHANNEL_CONTROL)
        ++counts->control_rejected;
    else
        ++counts->data_rejected;
}

static void decode_datagram(struct decode *decode, const struct capture_datagram *captured)
{
    struct opener_opened opened;
    if (!opener_open(decode->opener, captured, &opened))
        return;
    const struct content *content = NULL;
    ++decode->counts.datagrams;
    if (opened.result == OPENER_VERIFIED) {
        content_decode(&opened, &decode->content);
        content = &decode->content;
        count_verified(&decode->counts, content, opened.channel);
    } else {
        count_rejected(&decode->counts, &opened);
    }
    (decode->json ? describe_json : describe_text)(&decode->out, captured, &opened, content);
    if (decode->unbuffered)
        out_flush(&decode->out);
}

static void write_number(struct out *out, uint64_t value, const char *one, const char *many)
{
    out_decimal(out, value);
    out_text(out, value == 1 ? one : many);
}

static void write_summary_text(struct out *out, const struct counts *counts)
{
    out_char(out, '\n');
    write_number(out, counts->datagrams, " KDNET datagram: ", " KDNET datagrams: ");
    write_number(out, counts->verified, " verified, ", " verified, ");
    write_number(out, counts->rejected, " rejected. Verified were ", " rejected. Verified were ");
    write_number(out, counts->pokes, " poke, ", " pokes, ");
    write_number(out, counts->responses, " response, ", " responses, ");
    write_number(out, counts->target_data, " data datagram from the target and ",
                 " data datagrams from the target and ");
    write_number(out, counts->host_data, " from the host.\n", " from the host.\n");
}

static void write_summary_json(struct out *out, const struct counts *counts)
{
    out->comma = false;
    out_json_open(out, NULL, '{');
    out_json_open(out, "summary", '{');
    out_json_number(out, "datagrams", counts->datagrams);
    out_json_number(out, "verified", counts->verified);
    out_json_number(out, "rejected", counts->rejected);
    out_json_number(out, "pokes", counts->pokes);
    out_json_number(out, "responses", counts->responses);
    out_json_number(out, "target_data", counts->target_data);
    out_json_number(out, "host_data", counts->host_data);
    out_json_close(out, '}');
    out_json_close(out, '}');
    out_char(out, '\n');
}

#define SEE_KEY "`bcdedit /dbgsettings` on the machine, as Administrator, shows its key"

static void advise_no_kdnet(const struct decode *decode)
{
    struct capture_counts seen = capture_counts(decode->capture);
    command_say(
        &command_decode,
        "no KDNET datagram among %" PRIu64 " frames (%" PRIu64 " of them UDP): check that the "
        "capture was taken where the machine's traffic passes, and without a filter for another port; a machine "
        "with KDNET on pokes every 3 seconds, and `bcdedit /dbgsettings` on it shows host and port",
        seen.frames, seen.datagrams);
}

static void advise_nothing_verified(const struct decode *decode)
{
    const struct counts *counts = &decode->counts;
    if (decode->key_count == 0) {
        command_say(&command_decode, "nothing was verified, because no key was given: add --key w.x.y.z; " SEE_KEY);
    } else if (counts->malformed == counts->datagrams) {
        command_say(&command_decode, "nothing was verified: every datagram is cut or malformed; capture with a "
                                     "snapshot length of at least 4200 (tcpdump -s 0)");
    } else if (counts->control_rejected > 0) {
        command_say(&command_decode,
                    "nothing was verified: none of %" PRIu64 " control datagrams (pokes, responses) opened "
                    "with the %s given: check the key; " SEE_KEY
                    ", and one that was changed counts only after a reboot",
                    counts->control_rejected, decode->key_count == 1 ? "key" : "keys");
    } else {
        command_say(&command_decode,
                    "nothing was verified: the capture has only data datagrams (%" PRIu64 "), and their key "
                    "comes from the handshake before them: capture from before the debugger connects, or restart the "
                    "debugger while capturing; check the key, too: " SEE_KEY,
                    counts->data_rejected);
    }
}

/* Prints remarks on the decoded lines, on standard error. */
static void advise(const struct decode *decode)
{
    const struct counts *counts = &decode->counts;
    struct capture_counts seen = capture_counts(decode->capture);
    if (counts->datagrams == 0)
        advise_no_kdnet(decode);
    else if (counts->verified == 0)
        advise_nothing_verified(decode);
    else if (counts->control_rejected > 0)
        command_say(&command_decode,
                    "%" PRIu64
                    " control datagrams opened with none of the keys; other machines have other keys, and each "
                    "can be given with a --key of its own",
                    counts->control_rejected);
    else if (counts->no_response > 0)
        command_say(&command_decode,
                    "%" PRIu64 " data datagrams stay closed: the response that made their key is not in "
                    "the capture before them; capture from before the debugger connects",
                    counts->no_response);
    if (seen.cut > 0)
        command_say(&command_decode,
                    "%" PRIu64 " UDP datagrams are cut by the snapshot length; capture whole ones "
                    "(tcpdump -s 0)",
                    seen.cut);
    if (seen.fragments > 0)
        command_say(&command_decode,
                    "%" PRIu64 " IP fragments were skipped: other parts of their packets are not in the capture",
                    seen.fragments);
    if (seen.other_link > 0)
        command_say(&command_decode,
                    "%" PRIu64 " frames were skipped: their link type %s is not understood; capture on Ethernet, on "
                    "Linux's \"any\" interface, or as raw IP",
                    seen.other_link, capture_other_link(decode->capture));
}

static bool write_failed(const struct decode *decode)
{
    if (decode->out.error == 0 || decode->out.error == EPIPE)
        return false;
    command_say(&command_decode, "cannot write: %s", strerror(decode->out.error));
    return true;
}

static int decode_capture(struct decode *decode)
{
    struct capture_datagram captured;
    enum capture_result result;
    while ((result = capture_next(decode->capture, &captured)) == CAPTURE_DATAGRAM && decode->out.error == 0)
        decode_datagram(decode, &captured);
    (decode->json ? write_summary_json : write_summary_text)(&decode->out, &decode->counts);
    if (!out_flush(&decode->out))
        return write_failed(decode) || decode->counts.verified == 0 ? COMMAND_FAILED : COMMAND_OK;
    if (result == CAPTURE_CUT)
        command_say(&command_decode,
                    "%s: the capture is cut or damaged after frame %" PRIu64 " (%s); what came before is "
                    "decoded",
                    decode->path, capture_counts(decode->capture).frames, capture_error(decode->capture));
    advise(decode);
    return decode->counts.verified > 0 ? COMMAND_OK : COMMAND_FAILED;
}

static int run(struct decode *decode, int count, char **arguments)
{
    int option;
    command_options_start();
    while ((option = command_next_option(&command_decode, count, arguments)) != -1) {
        if (option == COMMAND_HELP)
            return COMMAND_OK;
        if (option == '?' || (option == 'k' && !add_key(decode, optarg)))
            return COMMAND_USAGE;
        if (option != 'k')
            decode->json = option == 'j';
    }
    if (optind >= count)
        return command_misuse(&command_decode, "which capture? Name a pcap or pcapng file", NULL);
    if (optind + 1 < count)
        return command_misuse(&command_decode, "one capture at a time; one too many is", arguments[optind + 1]);
    char error[CAPTURE_ERROR_SIZE];
    decode->path = arguments[optind];
    decode->capture = capture_open(decode->path, error);
    if (!decode->capture) {
        command_say(&command_decode, "%s", error);
        return COMMAND_FAILED;
    }
    /* A live capture in a pipe is printed without buffering. */
    decode->unbuffered = strcmp(decode->path, "-") == 0 || isatty(STDOUT_FILENO);
    out_init(&decode->out, stdout, decode->json);
    return decode_capture(decode);
}

static int run_decode(int count, char **arguments)
{
    struct decode *decode = calloc(1, sizeof *decode);
    int status = COMMAND_FAILED;
    if (decode)
        decode->opener = opener_new();
    if (decode && decode->opener)
        status = run(decode, count, arguments);
    else
        command_say(&command_decode, "out of memory, or OpenSSL has no AES-256-CBC");
    if (decode) {
        capture_close(decode->capture);
        opener_free(decode->opener);
    }
    free(decode);
    return status;
}

const struct command command_decode = {
    .name = "decode",
    .summary = "explain a capture of KDNET traffic",
    .arguments = "[--key w.x.y.z]... [--json|--text] CAPTURE.pcap[ng]",
    .text =
        "Explains each KDNET datagram of a capture; - reads standard input. Without a key only headers can be shown.\n"
        "Reads pcap and pcapng, also compressed with gzip; puts IP fragments together, and looks into the tunnels\n"
        "VXLAN, Geneve, GRE and IP in IP.\n"
        "On the machine, `bcdedit /dbgsettings` shows its key and port.\n",
    .options = options,
    .more = "Capture from before the debugger connects: the data's key comes from the handshake. For example\n"
            "  tcpdump -i any -w a.pcap udp port 50000\n",
    .exits = "0 something was verified, 1 nothing was, or the capture cannot be read, 2 wrong usage.",
    .run = run_decode};
