/* SPDX-License-Identifier: Apache-2.0 */
/*
 * describe: a datagram as one line, for people or as a JSON object.
 *
 * Everything in a content is from the capture and goes through the escapes of out.
 *
 * A text line: frame, time, seconds since the first frame, sender -> receiver (with their roles when verified),
 * version, channel, #sequence, then the content, or NOT VERIFIED and the reason.
 *
 * A JSON object: number, time, relative, from, to, direction (target_to_host, host_to_target, or null when not
 * verified), version, channel, sequence, verified; then reason when not verified, otherwise key (which of the --key
 * options, from 1), kind, and a member that is named after the kind, or after the payload of the KD packet.
 */
#ifndef SERVICE_CTL_DESCRIBE_H
#define SERVICE_CTL_DESCRIBE_H

#include "service/capture/capture.h"
#include "service/kdnetctl/content.h"
#include "service/kdnetctl/opener.h"
#include "service/kdnetctl/out.h"

#define DESCRIBE_TEXT_DATA 64 /* most bytes of memory in a text line */

/* Writes a line with its end. content is NULL for a datagram that is not verified. */
void describe_text(struct out *out, const struct capture_datagram *captured, const struct opener_opened *opened,
                   const struct content *content);
void describe_json(struct out *out, const struct capture_datagram *captured, const struct opener_opened *opened,
                   const struct content *content);

#endif
