/* SPDX-License-Identifier: Apache-2.0 */
/* Handles a target's prints, prompts and file questions: reports prints, answers the others. PROTOCOL.md section 5. */
#include "kdnet/error.h"
#include "kdnet/kernel/bugcheck.h"
#include "kdnet/session/console_internal.h"
#include "kdnet/session/events_internal.h"
#include "kdnet/session/report_internal.h"
#include "kdnet/session/resume_internal.h"
#include "kdnet/wire/debug_io.h"
#include "kdnet/wire/file_io.h"

#include <string.h>

#define STATUS_INVALID_HANDLE 0xc0000008U

static void on_print(struct kdnet_session *session, const struct kdnet_debug_io *io)
{
    struct kdnet_active *active = session->active;
    struct kdnet_bugcheck bugcheck;
    if (kdnet_bugcheck_from_text(io->text, io->text_length, &bugcheck)) {
        if (!session->history->crash.printed)
            session->history->crash = (struct kdnet_crash){.kernel_base = session->history->crash.kernel_base};
        session->history->crash.printed = true;
        kdnet_report_bugcheck(session, &bugcheck, false);
    }
    if (!session->shared->prints)
        return;
    memcpy(active->print, io->text, io->text_length);
    struct kdnet_event *event = kdnet_events_add(session, KDNET_EVENT_PRINT);
    event->u.print = (struct kdnet_event_print){.text = active->print, .length = io->text_length};
}

/*
 * Returns the answer that lets the machine go on. RtlAssert asks "Break repeatedly, break Once, Ignore, terminate
 * Process, or terminate Thread (boipt)?" [ros]: ignore. When the letters lack i, the first letter that continues the
 * machine; else i all the same.
 */
static char prompt_answer(const char *text, size_t length)
{
    const char *open = memrchr(text, '(', length);
    const char *close = open ? memchr(open, ')', length - (size_t)(open - text)) : NULL;
    static const char wishes[] = "igcon";
    for (const char *wish = wishes; close && *wish != '\0'; ++wish)
        for (const char *c = open + 1; c < close; ++c)
            if ((*c | 0x20) == *wish)
                return *c;
    return 'i';
}

/* Holds the machine at its prompt by policy; the answer is sent at the release. */
static void hold_prompt(struct kdnet_session *session, const uint8_t *payload, size_t length, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    memset(halt, 0, sizeof *halt);
    halt->stop.prompt = halt->stop.load_symbols = true; /* released without a result, like an image load */
    halt->since_us = kdnet_state_people_us(session, now_us);
    halt->action = KDNET_ACTION_HOLD;
    memcpy(halt->stop.report, payload, length);
    halt->stop.change.report = halt->stop.report;
    halt->stop.change.report_length = length;
    kdnet_resume_hold(session, now_us);
    kdnet_report_held(session, KDNET_BREAK_KIND_PROMPT, now_us);
}

static void on_prompt(struct kdnet_session *session, const struct kdnet_debug_io *io, uint64_t now_us)
{
    uint8_t payload[KDNET_DEBUG_IO_HEADER + 1];
    size_t length;
    char answer = prompt_answer(io->text, io->text_length);
    struct kdnet_debug_io reply = *io;
    reply.text = &answer;
    reply.text_length = io->read_length > 0 ? 1 : 0;
    reply.read_length = (uint32_t)reply.text_length;
    if (kdnet_debug_io_encode(&reply, payload, sizeof payload, &length) != KDNET_OK)
        return;
    if (kdnet_state_action(session, KDNET_BREAK_KIND_PROMPT) == KDNET_ACTION_HOLD)
        hold_prompt(session, payload, length, now_us);
    else
        (void)kdnet_link_send(&session->active->link, KDNET_PACKET_DEBUG_IO, false, payload, length);
}

/* Pads a truncated question with zeros, so that it can be answered. */
static const uint8_t *pad(const struct kdnet_packet *packet, uint8_t *whole, size_t size, size_t *length)
{
    if (packet->payload_length >= size)
        return packet->payload;
    memset(whole, 0, size);
    if (packet->payload_length > 0)
        memcpy(whole, packet->payload, packet->payload_length);
    *length = size;
    return whole;
}

void kdnet_console_debug_io(struct kdnet_session *session, const struct kdnet_packet *packet, uint64_t now_us)
{
    struct kdnet_debug_io io;
    uint8_t whole[KDNET_DEBUG_IO_HEADER];
    size_t length = packet->payload_length;
    const uint8_t *payload = pad(packet, whole, sizeof whole, &length);
    if (kdnet_debug_io_decode(payload, length, &io) != KDNET_OK)
        return;
    if (io.api == KDNET_DEBUG_IO_GET_STRING)
        on_prompt(session, &io, now_us);
    else
        on_print(session, &io);
}

/* Answers that no replacement file exists: the same 64 bytes with a status, as WinDbg answers [cap frame 238]. */
void kdnet_console_file_io(struct kdnet_session *session, const struct kdnet_packet *packet)
{
    struct kdnet_file_io io;
    uint8_t whole[KDNET_FILE_IO_SIZE], payload[KDNET_FILE_IO_SIZE];
    size_t length = packet->payload_length;
    const uint8_t *question = pad(packet, whole, sizeof whole, &length);
    if (kdnet_file_io_decode(question, length, &io) != KDNET_OK)
        return;
    io.status = io.api == KDNET_FILE_IO_CREATE ? KDNET_STATUS_NO_SUCH_FILE : STATUS_INVALID_HANDLE;
    io.data_length = 0;
    if (kdnet_file_io_encode(&io, payload, sizeof payload, &length) == KDNET_OK)
        (void)kdnet_link_send(&session->active->link, KDNET_PACKET_FILE_IO, false, payload, length);
}

/*
 * Whether a question repeats the one whose answer is in flight: our RESET caused the repeat, or the answer's ACK was
 * lost. The answer stays in flight; when it has arrived, a RESEND asks whether the machine still waits.
 */
bool kdnet_console_is_same_question(struct kdnet_session *session, const struct kdnet_packet *packet)
{
    struct kdnet_active *active = session->active;
    uint32_t checksum = kdnet_packet_checksum(packet->payload, packet->payload_length);
    bool held = active->halt.stop.prompt && active->halt.stage == KDNET_STAGE_HELD;
    bool same = (held || (active->link.busy && active->link.type == packet->type)) &&
                active->question_checksum == checksum;
    active->question_checksum = checksum;
    active->question_doubted = same;
    return same;
}
