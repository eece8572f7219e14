/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture: UDP datagrams out of a pcap or pcapng file, with their time and addresses.
 *
 * Uses libpcap for pcap files, pcapng.h for pcapng files, gunzip.h for either that is compressed with gzip, frame.h for
 * what lies between the link and UDP, and for the type of a datagram, fragments.h for IP packets in parts.
 *
 *   struct capture *capture = capture_open("a.pcapng", error);
 *   while ((result = capture_next(capture, &datagram)) == CAPTURE_DATAGRAM) ...
 *   if (result == CAPTURE_CUT) warn(capture_error(capture));
 *   capture_close(capture);
 *
 * A capture is untrusted: every length in it is checked against what is there.
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
    uint64_t fragments;  /* of IP packets that are not whole; skipped */
    uint64_t cut;        /* UDP datagrams that the snapshot length cut */
    uint64_t other_link; /* frames of a link type that is not understood; skipped */
};

enum capture_result {
    CAPTURE_DATAGRAM,
    CAPTURE_END,
    CAPTURE_CUT, /* the file ends within a frame or goes wrong; what came before is good */
};

/*
 * Opens a file; "-" is standard input. Returns NULL with the file's name, what is wrong, and a remedy in `error`:
 * cannot be read, is no capture, or has a link type that frame.h does not list (a pcapng file may have several: frames
 * of the others are counted and passed over).
 */
struct capture *capture_open(const char *path, char error[static CAPTURE_ERROR_SIZE]);

/* The same of a file that is open; `name` is for messages. It is the capture's from now on, in any case. */
struct capture *capture_open_file(FILE *file, const char *name, char error[static CAPTURE_ERROR_SIZE]);
void capture_close(struct capture *capture);

/* The next UDP datagram; frames that are something else are counted and passed over. `out` counts only with
 * CAPTURE_DATAGRAM. */
enum capture_result capture_next(struct capture *capture, struct capture_datagram *out);

/* So far. */
struct capture_counts capture_counts(const struct capture *capture);

/* The name of a link type that frames were passed over for; NULL: there were none. */
const char *capture_other_link(const struct capture *capture);

/* Why the last capture_next returned CAPTURE_CUT. Borrowed; never NULL. */
const char *capture_error(struct capture *capture);

#endif
