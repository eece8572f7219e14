/* SPDX-License-Identifier: Apache-2.0 */
#include "service/capture/capture.h"
#include "service/capture/fragments.h"
#include "service/capture/frame.h"
#include "service/capture/gunzip.h"
#include "service/capture/pcap_header.h"
#include "service/capture/pcapng.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIME_MAX_S 253402300799 /* 9999-12-31T23:59:59Z, the last second that RFC 3339 can represent */

#define GZIP_FIRST   0x1f /* first bytes of gzip files */
#define PCAPNG_FIRST 0x0a

struct capture {
    FILE *file;            /* NULL: libpcap's, or standard input */
    struct pcapng *pcapng; /* or: */
    pcap_t *pcap;
    const char *incomplete; /* why not all of a compressed file is there */
    int64_t first_us;
    int other_link;
    struct capture_counts counts;
    struct fragments *fragments; /* NULL: none has come */
};

/* A frame as stored in the file. */
struct raw {
    int link_type;
    int64_t time_us;
    const uint8_t *data;
    size_t length, wire_length;
};

static int64_t possible_time(int64_t seconds, int64_t micros)
{
    if (seconds < 0 || seconds > TIME_MAX_S)
        seconds = seconds < 0 ? 0 : TIME_MAX_S;
    if (micros < 0 || micros > 999999)
        micros = micros < 0 ? 0 : 999999;
    return seconds * 1000000 + micros;
}

/* A file has unsigned 32-bit seconds; libpcap converts them to signed ones. */
static int64_t seconds_of_file(int64_t told)
{
    return told < 0 && told >= INT32_MIN ? told + (INT64_C(1) << 32) : told;
}

/* --- frames to datagrams ------------------------------------------------------------------------------------------ */

/* A part of an IP packet; FRAME_UDP when the packet is whole by now. */
static enum frame_kind take_fragment(struct capture *capture, const struct frame_fragment *part,
                                     struct capture_datagram *out)
{
    const uint8_t *data;
    size_t length;
    ++capture->counts.fragments;
    if (!capture->fragments)
        capture->fragments = fragments_new();
    unsigned parts = capture->fragments ? fragments_add(capture->fragments, part, &data, &length) : 0;
    if (parts == 0)
        return FRAME_FRAGMENT;
    capture->counts.fragments -= parts;
    return frame_read_whole(part, data, length, out);
}

static bool take_frame(struct capture *capture, const struct raw *raw, struct capture_datagram *out)
{
    struct frame_fragment part;
    out->time_us = possible_time(raw->time_us / 1000000, raw->time_us % 1000000);
    if (capture->counts.frames++ == 0)
        capture->first_us = out->time_us;
    out->number = capture->counts.frames;
    out->relative_us = out->time_us - capture->first_us;
    if (!frame_link_is_known(raw->link_type)) {
        ++capture->counts.other_link;
        capture->other_link = raw->link_type;
        return false;
    }
    enum frame_kind found = frame_read(raw->link_type, raw->data, raw->length, raw->wire_length, out, &part);
    if (found == FRAME_FRAGMENT)
        found = take_fragment(capture, &part, out);
    if (found != FRAME_UDP)
        return false;
    ++capture->counts.datagrams;
    if (out->length < out->wire_length)
        ++capture->counts.cut;
    return true;
}

/* --- files to frames ---------------------------------------------------------------------------------------------- */

static enum capture_result next_of_pcap(struct capture *capture, struct raw *raw)
{
    struct pcap_pkthdr *told;
    const u_char *data;
    int result = pcap_next_ex(capture->pcap, &told, &data);
    if (result != 1)
        return result == PCAP_ERROR_BREAK ? CAPTURE_END : CAPTURE_CUT;
    const struct pcap_header *header = (const void *)told;
    *raw =
        (struct raw){.link_type = pcap_datalink(capture->pcap),
                     .time_us = possible_time(seconds_of_file((int64_t)header->ts.tv_sec), (int64_t)header->ts.tv_usec),
                     .data = data,
                     .length = header->caplen,
                     .wire_length = header->len < header->caplen ? header->caplen : header->len};
    return CAPTURE_DATAGRAM;
}

static enum capture_result next_of_pcapng(struct capture *capture, struct raw *raw)
{
    struct pcapng_packet packet;
    enum pcapng_result result = pcapng_next(capture->pcapng, &packet);
    if (result != PCAPNG_PACKET)
        return result == PCAPNG_END ? CAPTURE_END : CAPTURE_CUT;
    *raw = (struct raw){.link_type = packet.link_type,
                        .time_us = packet.time_us,
                        .data = packet.data,
                        .length = packet.length,
                        .wire_length = packet.wire_length};
    return CAPTURE_DATAGRAM;
}

enum capture_result capture_next(struct capture *capture, struct capture_datagram *out)
{
    struct raw raw;
    for (;;) {
        enum capture_result result = capture->pcapng ? next_of_pcapng(capture, &raw) : next_of_pcap(capture, &raw);
        if (result == CAPTURE_END && capture->incomplete)
            return CAPTURE_CUT;
        if (result != CAPTURE_DATAGRAM)
            return result;
        if (take_frame(capture, &raw, out))
            return CAPTURE_DATAGRAM;
    }
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static bool refuse(char *error, const char *path, const char *why, const char *remedy)
{
    (void)snprintf(error, CAPTURE_ERROR_SIZE, "%s: %s%s", path, why, remedy);
    return false;
}

static int first_byte(FILE *file)
{
    int first = getc(file);
    if (first != EOF)
        (void)ungetc(first, file);
    return first;
}

/* Replaces a compressed file by its unpacked content. */
static bool unpack(struct capture *capture, const char *path, char *error)
{
    const char *why;
    FILE *plain = gunzip(capture->file, &why);
    if (capture->file != stdin)
        (void)fclose(capture->file);
    capture->file = plain;
    if (!plain)
        return refuse(error, path, why, "");
    capture->incomplete = why;
    return true;
}

static bool check_link(const struct capture *capture, const char *path, char *error)
{
    int link_type = pcap_datalink(capture->pcap);
    if (frame_link_is_known(link_type))
        return true;
    const char *name = pcap_datalink_val_to_name(link_type);
    (void)snprintf(
        error, CAPTURE_ERROR_SIZE,
        "%s: link type %s (%d) is not understood; capture on Ethernet, on Linux's \"any\" interface, or as raw IP",
        path, name ? name : "unknown", link_type);
    return false;
}

static bool begin_pcap(struct capture *capture, const char *path, char *error)
{
    char reason[PCAP_ERRBUF_SIZE] = "";
    long at = ftell(capture->file);
    if (at >= 0) /* no pipe: on Windows libpcap takes the handle, and what the stream has read ahead would be lost */
        (void)fseek(capture->file, at, SEEK_SET);
    capture->pcap = pcap_fopen_offline_with_tstamp_precision(capture->file, PCAP_TSTAMP_PRECISION_MICRO, reason);
    if (!capture->pcap)
        return refuse(error, path, reason, "; give it a pcap or pcapng file");
    capture->file = NULL; /* libpcap closes the file */
    return check_link(capture, path, error);
}

static bool begin_pcapng(struct capture *capture, const char *path, char *error)
{
    capture->pcapng = pcapng_new(capture->file);
    return capture->pcapng || refuse(error, path, "out of memory", "");
}

static bool begin(struct capture *capture, const char *name, char *error)
{
    errno = 0;
    int first = first_byte(capture->file);
    if (first == EOF)
        return refuse(error, name, errno != 0 ? strerror(errno) : "the file is empty",
                      "; give it a pcap or pcapng file");
    if (first == GZIP_FIRST && !unpack(capture, name, error))
        return false;
    if (first == GZIP_FIRST)
        first = first_byte(capture->file);
    return first == PCAPNG_FIRST ? begin_pcapng(capture, name, error) : begin_pcap(capture, name, error);
}

struct capture *capture_open_file(FILE *file, const char *name, char error[static CAPTURE_ERROR_SIZE])
{
    struct capture *capture = calloc(1, sizeof *capture);
    if (!capture) {
        (void)refuse(error, name, "out of memory", "");
        (void)fclose(file);
        return NULL;
    }
    capture->file = file;
    if (begin(capture, name, error))
        return capture;
    capture_close(capture);
    return NULL;
}

struct capture *capture_open(const char *path, char error[static CAPTURE_ERROR_SIZE])
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (file)
        return capture_open_file(file, path, error);
    (void)refuse(error, path, strerror(errno), "; give it a pcap or pcapng file");
    return NULL;
}

void capture_close(struct capture *capture)
{
    if (!capture)
        return;
    if (capture->pcap)
        pcap_close(capture->pcap);
    pcapng_free(capture->pcapng);
    if (capture->file && capture->file != stdin)
        (void)fclose(capture->file);
    fragments_free(capture->fragments);
    free(capture);
}

struct capture_counts capture_counts(const struct capture *capture)
{
    return capture->counts;
}

const char *capture_other_link(const struct capture *capture)
{
    if (capture->counts.other_link == 0)
        return NULL;
    const char *name = pcap_datalink_val_to_name(capture->other_link);
    return name ? name : "unknown";
}

const char *capture_error(struct capture *capture)
{
    if (capture->incomplete)
        return capture->incomplete;
    return capture->pcapng ? pcapng_error(capture->pcapng) : pcap_geterr(capture->pcap);
}
