/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a halted machine is asked: one thing after the other, the most telling first, until all is known or the deadline
 * comes. PROTOCOL.md section 7. What cannot change during one boot is asked once.
 */
#include "kdnet/base/error.h"
#include "kdnet/session/break_handler_internal.h"
#include "kdnet/base/wire.h"

#include <string.h>

#define ASKS_MAX 12U

/* Finds the address of the status; false when there is none, with the reason, or when it is not there yet. */
static bool find_status(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    uint32_t rva;
    halt->status_tried = true;
    kdnet_want_symbols(session);
    switch (kdnet_ask_caller(session)->find_rva(session->shared->user, &session->kernel_info->pdb, KDNET_STATUS_SYMBOL,
                                                &rva, &halt->source)) {
    case KDNET_RVA_FOUND:
        halt->status_address = kdnet_halt_address(session, kdnet_halt_kernel_base(session) + rva);
        halt->address_known = true;
        return true;
    case KDNET_RVA_ABSENT:
        halt->reason = KDNET_REASON_SYMBOL_ABSENT;
        return false;
    case KDNET_RVA_PENDING:
        halt->status_tried = false;
        halt->waiting = true;
        return false;
    case KDNET_RVA_NO_SYMBOLS:
        break;
    }
    halt->reason = KDNET_REASON_NO_SYMBOLS;
    return false;
}

/* Where the debugger data block is in this kernel, if one like it was read before. Needs a known version. */
static bool recall_block(const struct kdnet_session *session, uint32_t *rva)
{
    const struct kdnet_kernel_info *info = session->kernel_info;
    return !info->block_asked && kdnet_layout_cache_find(session->shared->layout_cache, &info->version, rva);
}

/* The block is not where another machine had it: this one's own list tells. Returns whether that is still to be asked.
 */
static bool block_was_wrong(struct kdnet_session *session)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    bool recalled = info->block_recalled;
    info->block_recalled = false;
    if (recalled)
        kdnet_layout_cache_refute(session->shared->layout_cache, &info->version);
    return recalled;
}

static bool ask_block(struct kdnet_session *session, uint64_t address)
{
    session->kernel_info->data_address = kdnet_halt_address(session, address);
    return kdnet_request_read(session, KDNET_STEP_BLOCK, session->kernel_info->data_address, KDNET_DEBUGGER_DATA_SIZE);
}

static bool ask_debugger_data(struct kdnet_session *session)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    uint32_t rva;
    if (info->data_tried || info->version.debugger_data_list == 0)
        return false;
    info->block_recalled = recall_block(session, &rva);
    info->block_asked = true;
    if (info->block_recalled)
        return ask_block(session, kdnet_halt_kernel_base(session) + rva);
    return kdnet_request_read(session, KDNET_STEP_LIST, kdnet_halt_address(session, info->version.debugger_data_list),
                              8);
}

static bool ask_context(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    if (halt->context_tried || kdnet_halt_state(halt) != KDNET_STATE_EXCEPTION ||
        !kdnet_crash_is_breakpoint(halt->change.exception.code))
        return false;
    return kdnet_context_ask(session, KDNET_STEP_CONTEXT);
}

static bool ask_bugcheck(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    if (halt->bugcheck_tried || !session->kernel_info->data_known)
        return false;
    uint32_t length = (uint32_t)(KDNET_BUGCHECK_VALUES * kdnet_halt_layout(session)->pointer_size);
    return kdnet_request_read(session, KDNET_STEP_BUGCHECK,
                              kdnet_halt_address(session, session->kernel_info->data.bugcheck_data), length);
}

/* Of the kernel, a former break may have come some of the way. */
bool kdnet_probes_identity(struct kdnet_session *session, unsigned image)
{
    const struct kdnet_kernel_info *info = session->kernel_info;
    session->active->halt.image = image;
    if (image == 0 && info->codeview_size > 0)
        return kdnet_request_read(session, KDNET_STEP_CODEVIEW, kdnet_image_base(session) + info->codeview_rva,
                                  info->codeview_size);
    if (image == 0 && info->directory_size > 0)
        return kdnet_request_read(session, KDNET_STEP_DIRECTORY, kdnet_image_base(session) + info->directory_rva,
                                  info->directory_size);
    return kdnet_request_read(session, KDNET_STEP_HEADER, kdnet_image_base(session), KDNET_PE_HEADER_SIZE);
}

static bool make_print(const struct kdnet_session *session, struct kdnet_image_print *print)
{
    const struct kdnet_kernel_info *info = session->kernel_info;
    return info->data_known && info->build_lab_known &&
           kdnet_image_print((enum kdnet_machine)info->version.machine, kdnet_halt_kernel_base(session),
                             info->data_address, &info->data, info->build_lab, print);
}

/* Whether an earlier boot, of this machine or another, has told what this kernel is. */
static bool recall_identity(struct kdnet_session *session)
{
    const struct kdnet_session_shared *shared = kdnet_ask_caller(session);
    struct kdnet_kernel_info *info = session->kernel_info;
    struct kdnet_image_print print;
    if (!shared->recall_image || !make_print(session, &print) ||
        !shared->recall_image(shared->user, &print, &info->pdb))
        return false;
    info->pdb_tried = info->pdb_known = true;
    return true;
}

static void identified(struct kdnet_session *session, const struct kdnet_pdb *pdb)
{
    const struct kdnet_session_shared *shared = kdnet_ask_caller(session);
    struct kdnet_image_print print;
    bool kernel = session->active->halt.image == 0;
    kdnet_image_identified(session, pdb);
    if (kernel && pdb && shared->remember_image && make_print(session, &print))
        shared->remember_image(shared->user, &print, pdb);
}

static bool ask_identity(struct kdnet_session *session)
{
    if (session->kernel_info->pdb_tried || recall_identity(session))
        return false;
    return kdnet_probes_identity(session, 0);
}

static bool ask_status(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    if (halt->status_tried || halt->waiting || !session->kernel_info->pdb_known)
        return false;
    return find_status(session) && kdnet_request_read(session, KDNET_STEP_STATUS, halt->status_address, 4);
}

static bool ask_build_lab(struct kdnet_session *session)
{
    if (session->kernel_info->build_lab_tried || !session->kernel_info->data_known)
        return false;
    uint64_t address = kdnet_halt_address(session, session->kernel_info->data.build_lab);
    return kdnet_request_read(session, KDNET_STEP_BUILD_LAB, address, KDNET_BUILD_LAB_SIZE - 1);
}

/* One break too many, and no bug check. */
static bool is_unread(const struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    struct kdnet_break_facts facts = kdnet_halt_facts(session);
    enum kdnet_phase phase = kdnet_crash_phase(&facts);
    if (phase == KDNET_PHASE_BUGCHECK_FIRST || phase == KDNET_PHASE_BUGCHECK_SECOND || kdnet_repeats_is_one(session))
        halt->unread = false;
    return halt->unread;
}

/* Of a machine that is far away, the status comes before all that is not needed for it; but not of one that may only
 * shut down. */
static bool ask_status_first(struct kdnet_session *session)
{
    const struct kdnet_halt *halt = &session->active->halt;
    const struct kdnet_kernel_info *info = session->kernel_info;
    if (!kdnet_reach_is_far(session) || halt->unread || (halt->shutdown && !kdnet_reach_in_crash(session)))
        return false;
    if (session->shared->recall_image && !info->pdb_tried && ask_build_lab(session))
        return true;
    return ask_identity(session) || ask_status(session);
}

bool kdnet_probes_next(struct kdnet_session *session)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    if (!info->version_tried)
        return kdnet_request_plain(session, KDNET_STEP_VERSION, KDNET_API_GET_VERSION);
    if (!info->version_known)
        return false;
    if (!kdnet_kernel_info_is_nt(info) || !kdnet_halt_layout(session))
        return false;
    if (ask_status_first(session))
        return true;
    if (ask_debugger_data(session) || ask_context(session))
        return true;
    if (is_unread(session))
        return false;
    if (ask_bugcheck(session))
        return true;
    if (session->shared->recall_image && ask_build_lab(session)) /* with it the kernel may be known already */
        return true;
    return ask_identity(session) || ask_status(session) || ask_build_lab(session);
}

bool kdnet_probes_identify(struct kdnet_session *session)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    if (!info->version_tried)
        return kdnet_request_plain(session, KDNET_STEP_VERSION, KDNET_API_GET_VERSION);
    if (!info->version_known || !kdnet_kernel_info_is_nt(info) || !kdnet_halt_layout(session))
        return false;
    if (ask_debugger_data(session) || ask_build_lab(session) || ask_identity(session))
        return true;
    if (info->pdb_known)
        kdnet_want_symbols(session);
    return false;
}

bool kdnet_probes_ordinary_shutdown(const struct kdnet_session *session)
{
    const struct kdnet_halt *halt = &session->active->halt;
    const struct kdnet_kernel_info *info = session->kernel_info;
    if (!halt->shutdown || session->history->crash.bugcheck.known || session->history->crash.first_released ||
        !info->version_known)
        return false;
    return !kdnet_kernel_info_is_nt(info) || (halt->bugcheck_known && halt->bugcheck.code == 0);
}

void kdnet_probes_step_failed(struct kdnet_session *session, enum kdnet_step step)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    struct kdnet_halt *halt = &session->active->halt;
    halt->read_have = 0;
    switch (step) {
    case KDNET_STEP_VERSION:
        info->version_tried = true;
        break;
    case KDNET_STEP_LIST:
        info->data_tried = true;
        break;
    case KDNET_STEP_BLOCK:
        info->data_tried = !block_was_wrong(session);
        break;
    case KDNET_STEP_CONTEXT:
        halt->context_tried = true;
        break;
    case KDNET_STEP_BUGCHECK:
        halt->bugcheck_tried = true;
        break;
    case KDNET_STEP_HEADER:
    case KDNET_STEP_DIRECTORY:
    case KDNET_STEP_CODEVIEW:
        kdnet_image_identified(session, NULL);
        break;
    case KDNET_STEP_BUILD_LAB:
        info->build_lab_tried = true;
        break;
    case KDNET_STEP_EVIDENCE:
        kdnet_evidence_probe_take(session, halt->read, 0);
        break;
    case KDNET_STEP_STATUS:
    case KDNET_STEP_SET_CONTEXT:
    case KDNET_STEP_PROVE:
    case KDNET_STEP_SAME:
    case KDNET_STEP_NONE:
        break;
    }
}

static void take_version(struct kdnet_session *session, const struct kdnet_version *version)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    struct kdnet_crash *crash = &session->history->crash;
    bool same = info->version.major == version->major && info->version.minor == version->minor &&
                info->version.kernel_base == version->kernel_base;
    if (info->version_known && !same) {
        kdnet_kernel_info_clear(info);
        *info = (struct kdnet_kernel_info){0}; /* another one answers: what was known is of the one before */
    }
    info->version_tried = true;
    info->version_known = true;
    info->version = *version;
    /* A loader, or a kernel elsewhere, has started since: the crash before is over. */
    bool over = !kdnet_kernel_info_is_nt(info) ||
                (crash->kernel_base != 0 && crash->kernel_base != version->kernel_base);
    if (over && !crash->printed)
        *crash = (struct kdnet_crash){0};
    crash->kernel_base = kdnet_kernel_info_is_nt(info) ? version->kernel_base : 0;
    kdnet_identity_met(session);
}

static void take_build_lab(struct kdnet_kernel_info *info, const uint8_t *text, size_t length)
{
    size_t n = strnlen((const char *)text, length);
    info->build_lab_tried = true;
    info->build_lab_known = n > 0;
    memcpy(info->build_lab, text, n);
    info->build_lab[n] = '\0';
}

static void take_debugger_data(struct kdnet_session *session, const uint8_t *block, size_t length)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    info->data_known = kdnet_debugger_data_decode(block, length, &info->data) == KDNET_OK;
    bool ours = info->data_known &&
                kdnet_halt_address(session, info->data.kernel_base) == kdnet_halt_kernel_base(session) &&
                kdnet_halt_address(session, info->data.loaded_module_list) ==
                    kdnet_halt_address(session, info->version.loaded_module_list);
    if (info->block_recalled && !ours) /* another image's block, or a stale one */
        info->data_known = false;
    info->data_tried = info->data_known || !block_was_wrong(session);
    if (ours && session->shared->layout_cache)
        kdnet_layout_cache_learn(session->shared->layout_cache, &info->version, info->data_address);
}

static void take_bugcheck(struct kdnet_session *session, const uint8_t *data, size_t length)
{
    struct kdnet_halt *halt = &session->active->halt;
    halt->bugcheck_tried = true;
    halt->bugcheck_known = kdnet_bugcheck_decode(kdnet_halt_layout(session), data, length, &halt->bugcheck) == KDNET_OK;
    if (halt->bugcheck_known && halt->bugcheck.code != 0) {
        kdnet_identity_broke(session, &halt->bugcheck);
        kdnet_report_break(session);
        kdnet_report_bugcheck(session, &halt->bugcheck, true);
    } else if (halt->bugcheck_known && !session->history->crash.printed) {
        /* a kernel that has not crashed: what was known of a crash is of the boot before */
        session->history->crash = (struct kdnet_crash){.kernel_base = session->history->crash.kernel_base};
        kdnet_identity_over(session);
    }
}

/* How far the way to the kernel's identity was gone: the next break need not begin anew. */
static void keep_way(struct kdnet_session *session, enum kdnet_step step, uint32_t rva, uint32_t size)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    if (session->active->halt.image != 0)
        return;
    if (step == KDNET_STEP_HEADER) {
        info->directory_rva = rva;
        info->directory_size = size;
    } else {
        info->codeview_rva = rva;
        info->codeview_size = size;
    }
}

/* From the image's headers to the debug directory to the CodeView record, a read each. */
static void take_identity(struct kdnet_session *session, enum kdnet_step step, const uint8_t *data, size_t length)
{
    struct kdnet_pdb pdb;
    uint32_t rva, size;
    int error;
    if (step == KDNET_STEP_CODEVIEW) {
        error = kdnet_pdb_decode(data, length, &pdb);
        identified(session, error == KDNET_OK ? &pdb : NULL);
        return;
    }
    if (step == KDNET_STEP_HEADER)
        error = kdnet_pe_debug_directory(data, length, &rva, &size);
    else
        error = kdnet_pe_codeview(data, length, &rva, &size);
    if (error != KDNET_OK) {
        identified(session, NULL);
        return;
    }
    if (step == KDNET_STEP_HEADER) {
        keep_way(session, step, rva, size);
        kdnet_request_read(session, KDNET_STEP_DIRECTORY, kdnet_image_base(session) + rva, size);
        return;
    }
    if (size > KDNET_CODEVIEW_SIZE)
        size = KDNET_CODEVIEW_SIZE;
    keep_way(session, step, rva, size);
    kdnet_request_read(session, KDNET_STEP_CODEVIEW, kdnet_image_base(session) + rva, size);
}

/* All bytes of a memory read are there, or as many as the machine could give. */
static void take_memory(struct kdnet_session *session, const uint8_t *data, size_t length, bool whole)
{
    struct kdnet_halt *halt = &session->active->halt;
    enum kdnet_step step = halt->step;
    halt->step = KDNET_STEP_NONE;
    halt->read_have = 0;
    if (step == KDNET_STEP_EVIDENCE) {
        kdnet_evidence_probe_take(session, data, length);
        return;
    }
    if (length == 0 || (!whole && step != KDNET_STEP_BUILD_LAB && step != KDNET_STEP_HEADER &&
                        step != KDNET_STEP_CODEVIEW && step != KDNET_STEP_DIRECTORY)) {
        kdnet_probes_step_failed(session, step);
        if (step == KDNET_STEP_STATUS)
            halt->reason = KDNET_REASON_UNREADABLE;
        return;
    }
    switch (step) {
    case KDNET_STEP_LIST:
        (void)ask_block(session, kdnet_get_le64(data));
        break;
    case KDNET_STEP_BLOCK:
        take_debugger_data(session, data, length);
        break;
    case KDNET_STEP_BUGCHECK:
        take_bugcheck(session, data, length);
        break;
    case KDNET_STEP_HEADER:
    case KDNET_STEP_DIRECTORY:
    case KDNET_STEP_CODEVIEW:
        take_identity(session, step, data, length);
        break;
    case KDNET_STEP_STATUS:
        halt->status = kdnet_get_le32(data);
        halt->status_known = true;
        break;
    case KDNET_STEP_BUILD_LAB:
        take_build_lab(session->kernel_info, data, length);
        break;
    default:
        break;
    }
}

/* Of an image's headers that come in parts, the rest is not needed once they say where the debug directory is. */
static bool is_enough(const struct kdnet_halt *halt)
{
    uint32_t rva, size;
    return halt->step == KDNET_STEP_HEADER &&
           kdnet_pe_debug_directory(halt->read, halt->read_have, &rva, &size) == KDNET_OK;
}

static void memory_reply(struct kdnet_session *session, const struct kdnet_manipulate *reply)
{
    struct kdnet_halt *halt = &session->active->halt;
    size_t room = halt->read_wanted - halt->read_have;
    size_t given = reply->return_status == 0 ? reply->u.memory.actual : 0;
    if (given > reply->data_length)
        given = reply->data_length;
    if (given > room)
        given = room;
    memcpy(halt->read + halt->read_have, reply->data, given);
    halt->read_have += (uint32_t)given;
    kdnet_reach_came(session, given);
    if (given > 0 && given < room && !is_enough(halt) &&
        kdnet_request_read(session, halt->step, halt->read_address, halt->read_wanted)) /* short: the rest */
        return;
    take_memory(session, halt->read, halt->read_have, halt->read_have == halt->read_wanted);
}

/* Whether a reply is the one to the request under way, and not a late one. */
static bool is_our_reply(const struct kdnet_session *session, const struct kdnet_manipulate *reply)
{
    const struct kdnet_link *link = &session->active->link;
    const struct kdnet_halt *halt = &session->active->halt;
    if (!link->busy || !link->wants_reply || link->type != KDNET_PACKET_MANIPULATE ||
        kdnet_get_le32(link->payload) != reply->api)
        return false;
    return reply->api != KDNET_API_READ_VIRTUAL_MEMORY ||
           reply->u.memory.address == halt->read_address + halt->read_have;
}

/*
 * A reply while no break is known: to a former life of ours, and the machine is halted; or to what it was asked before
 * we let it go, and it takes its time over that. Then it is asked soon enough whether it runs.
 */
static void hear_unasked(struct kdnet_session *session, uint64_t now_us)
{
    bool released = session->history->crash.dumping || (session->resend_slow > 0 && session->resend_left == 0);
    if (!released)
        kdnet_resend_begin(session, ASKS_MAX, now_us);
}

void kdnet_probes_reply(struct kdnet_session *session, const struct kdnet_packet *packet, uint64_t now_us)
{
    struct kdnet_manipulate reply;
    if (kdnet_manipulate_decode(packet->payload, packet->payload_length, &reply) != KDNET_OK)
        return;
    if (session->active->halt.stage == KDNET_STAGE_RUNNING) {
        hear_unasked(session, now_us);
        return;
    }
    if (!is_our_reply(session, &reply))
        return;
    kdnet_link_replied(&session->active->link, now_us);
    session->active->halt.interrupted = false; /* the deadline, if it has come, came while the machine worked at this */
    switch (reply.api) {
    case KDNET_API_GET_VERSION:
        if (session->active->halt.step == KDNET_STEP_PROVE &&
            (!session->kernel_info || session->kernel_info->version_known))
            break;
        if (reply.return_status == 0)
            take_version(session, &reply.u.version);
        else
            kdnet_probes_step_failed(session, KDNET_STEP_VERSION);
        break;
    case KDNET_API_GET_CONTEXT:
    case KDNET_API_GET_CONTEXT_EX:
        if (session->active->halt.step != KDNET_STEP_SAME) {
            kdnet_context_reply(session, &reply);
        } else if (kdnet_context_differs(session, &reply)) {
            kdnet_break_handler_begin_again(session, now_us);
            return;
        }
        break;
    case KDNET_API_READ_VIRTUAL_MEMORY:
        memory_reply(session, &reply);
        break;
    default:
        kdnet_context_was_set(session, &reply);
        break;
    }
    kdnet_break_handler_advance(session, now_us);
}
