/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture: reads UDP datagrams, with time and addresses, from a pcap or pcapng file.
 *
 * Uses libpcap for pcap files, pcapng.h for pcapng files, gunzip.h for gzip-compressed files of either kind, frame.h
 * for the headers between link and UDP, fragments.h to reassemble IP packets.
 *
 *   struct capture *capture = capture_open("a.pcapng", error);
 *   while ((result = capture_next(capture, &datagram)) == CAPTURE_DATAGRAM) ...
 *   if (result == CAPTURE_CUT) warn(capture_error(capture));
 *   capture_close(capture);
 *
 * A capture is untrusted: every length in it is checked against the bytes that are present.
 */
#ifndef SERVICE_CAPTURE_CAPTURE_H
#define SERVICE_CAPTURE_CAPTURE_H

#include "service/capture/frame.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CAPTURE_ERROR_SIZE 512

struct capture;

struct capture_counts {
    uint64_t frames;
    uint64_t datagrams;  /* UDP, whole or cut */
    uint64_t fragments;  /* fragments of incomplete IP packets; skipped */
    uint64_t cut;        /* UDP datagrams truncated by the snapshot length */
    uint64_t other_link; /* frames of unknown link types; skipped */
};

enum capture_result {
    CAPTURE_DATAGRAM,
    CAPTURE_END,
    CAPTURE_CUT, /* the file ends within a frame or is damaged; earlier frames are valid */
};

/*
 * Opens a file; "-" is standard input. Returns NULL with the file's name, the fault and a remedy in `error`:
 * unreadable, no capture, or a link type that frame.h does not list. (Frames of unknown link types in a pcapng file are
 * counted and skipped.)
 */
struct capture *capture_open(const char *path, char error[static CAPTURE_ERROR_SIZE]);

/* Opens a capture from an open file; `name` is for messages. The capture owns `file` from now on, also on failure. */
struct capture *capture_open_file(FILE *file, const char *name, char error[static CAPTURE_ERROR_SIZE]);
void capture_close(struct capture *capture);

/* Gets the next UDP datagram; other frames are counted and skipped. `out` is valid only with CAPTURE_DATAGRAM. */
enum capture_result capture_next(struct capture *capture, struct capture_datagram *out);

/* So far. */
struct capture_counts capture_counts(const struct capture *capture);

/* Returns the name of a link type whose frames were skipped; NULL: none. */
const char *capture_other_link(const struct capture *capture);

/* Why the last capture_next returned CAPTURE_CUT. Borrowed; never NULL. */
const char *capture_error(struct capture *capture);

#endif
