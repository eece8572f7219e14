/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content: an authentic datagram, decoded by the library.
 *
 * All pointers in a content borrow from the datagram's body.
 */
#ifndef SERVICE_CTL_CONTENT_H
#define SERVICE_CTL_CONTENT_H

#include "kdnet/wire/debug_io.h"
#include "kdnet/wire/file_io.h"
#include "kdnet/wire/handshake.h"
#include "kdnet/kernel.h"
#include "kdnet/wire/manipulate.h"
#include "kdnet/wire/packet.h"
#include "kdnet/wire/state_change.h"
#include "service/kdnetctl/opener.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum content_kind {
    CONTENT_UNKNOWN, /* authentic, with a body of none of the following kinds */
    CONTENT_POKE,
    CONTENT_RESPONSE,
    CONTENT_CHECK,         /* connection check */
    CONTENT_EMPTY_CONTROL, /* host: asks for a poke */
    CONTENT_BREAK_IN,
    CONTENT_PACKET,
};

/* Which of a packet's payload structures is filled in. */
enum content_payload {
    CONTENT_NO_PAYLOAD,
    CONTENT_STATE_CHANGE,
    CONTENT_MANIPULATE,
    CONTENT_DEBUG_IO,
    CONTENT_FILE_IO,
    CONTENT_OTHER_PAYLOAD, /* of a type without a decoder, or too short for its type */
};

struct content {
    enum content_kind kind;
    bool from_host;
    const uint8_t *body;
    size_t body_length;
    struct kdnet_poke poke;
    struct kdnet_response response;
    uint8_t check_ipv4[4]; /* the host's address */

    struct kdnet_packet packet;
    bool checksum_good;
    enum content_payload payload;
    struct kdnet_state_change state_change;
    struct kdnet_control_report report; /* of the state change, when the machine is known */
    struct kdnet_manipulate manipulate;
    struct kdnet_debug_io debug_io; /* text and text_length are right for answers of a host, too */
    bool has_bugcheck;              /* the debug text reports one */
    struct kdnet_bugcheck bugcheck;
    struct kdnet_file_io file_io;
    const uint8_t *path; /* path of a file that a target asks for, UTF-16LE without its end; NULL: none */
    size_t path_length;  /* bytes */

    const struct kdnet_machine_layout *layout; /* NULL: which machine is not known yet */
    const uint8_t *context;                    /* a whole CONTEXT of that machine, or NULL */
};

/* Decodes a verified datagram. Learns the kind of machine from replies to GetVersion. No allocation, cannot fail. */
void content_decode(struct opener_opened *opened, struct content *out);

/* Returns "poke", "connection_check", …, as in JSON. */
const char *content_kind_name(enum content_kind kind);

/* "exception", "load_symbols", "command_string" or "unknown". */
const char *content_state_name(uint32_t new_state);

/* Returns the name of a continue's status: DBG_CONTINUE and the like, or another NTSTATUS's; NULL when it has none. */
const char *content_continue_name(uint32_t status);

#endif
