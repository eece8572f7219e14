/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A crashed machine whose kernel is known, and whose memory is the input wherever evidence is read: values, pointers,
 * texts, the list of loaded images and their headers. Each read takes a length byte and so many bytes of the input;
 * fewer than were asked for are a page that ends, none is one that is not there.
 */
#include "kdnet/kernel/layout_cache.h"
#include "tests/fuzz/fuzz.h"
#include "tests/session/puppet.h"

#include <string.h>

#define BASE       0xfffff80012340000U
#define BLOCK      (BASE + 0x1000)
#define LIST       (BASE + 0x2000)
#define BUGCHECK   (BASE + 0x2100)
#define LAB        (BASE + 0x2200)
#define MODULES    (BASE + 0x2300)
#define BREAKPOINT (BASE + 0x2400)
#define STATUS     (BASE + 0x3010) /* where puppet_rva has it, as everything */
#define REQUESTS   2500U           /* more than the longest walk makes */

static const uint8_t *next;
static size_t left;
static unsigned requests;

/* Evidence of each kind: the kernel's, behind pointers, of other images. */
static const struct kdnet_reads reads = {
    .version = 1,
    .count = 7,
    .read = {{"number", "nt", "A", {0x10}, 0, KDNET_READ_U32, false, true},
             {"near", "nt", "A", {0x20}, 0, KDNET_READ_U64, true, true},
             {"text", "nt", "B", {0x800}, 0, KDNET_READ_STRING, true, true},
             {"wide", "nt", "C", {0x1800, 16}, 1, KDNET_READ_UNICODE, false, true},
             {"far", "nt", "D", {0x2800, 0, 0, 4}, 3, KDNET_READ_POINTER, false, true},
             {"other", "faulty", "E", {0}, 0, KDNET_READ_U64, false, true},
             {"missing", "gone", "F", {0}, 0, KDNET_READ_U8, false, true}},
};

static bool recall_image(void *user, const struct kdnet_fingerprint *fingerprint, struct kdnet_pdb *pdb)
{
    (void)user;
    FUZZ_CHECK(fingerprint->rva[0] == 0x1000);
    *pdb = (struct kdnet_pdb){.name = "ntkrnlmp.pdb", .age = 1};
    return true;
}

/* What is not of the input. False: it is. */
static bool is_fixed(uint64_t address, uint8_t *data)
{
    if (address == LIST) {
        kdnet_put_le64(data, BLOCK);
    } else if (address == BLOCK) {
        kdnet_put_le32(data + 0x10, 0x4742444bU); /* "KDBG" */
        kdnet_put_le32(data + 0x14, 0x340);
        kdnet_put_le64(data + 0x18, BASE);
        kdnet_put_le64(data + 0x20, BREAKPOINT);
        kdnet_put_le64(data + 0x48, MODULES);
        kdnet_put_le64(data + 0x88, BUGCHECK);
        kdnet_put_le64(data + 0x208, LAB);
    } else if (address == LAB) {
        memcpy(data, "20348", sizeof "20348");
    }
    return address == LIST || address == BLOCK || address == LAB || address == BUGCHECK || address == STATUS;
}

static size_t take_input(uint8_t *data, size_t wanted)
{
    size_t length = left > 0 ? next[0] : 0;
    if (length == 0xff) /* as much as was asked for, zeros behind the first byte */
        length = wanted;
    if (length > wanted)
        length = wanted;
    size_t there = left > 0 ? left - 1 : 0, used = length < there ? length : there;
    if (used > 0)
        memcpy(data, next + 1, used);
    next += left > 0 ? used + 1 : 0;
    left -= left > 0 ? used + 1 : 0;
    return length;
}

static bool answer(struct puppet *p, struct kdnet_manipulate *reply, uint8_t *data)
{
    (void)p;
    FUZZ_CHECK(++requests < REQUESTS);
    if (puppet_version(reply)) {
        reply->u.version.kernel_base = BASE;
        reply->u.version.debugger_data_list = LIST;
        return true;
    }
    if (reply->api != KDNET_API_READ_VIRTUAL_MEMORY)
        return reply->api != KDNET_API_CONTINUE && reply->api != KDNET_API_CONTINUE2;
    memset(data, 0, reply->u.memory.count);
    size_t length = reply->u.memory.count;
    FUZZ_CHECK(length > 0 && length <= KDNET_READ_MAX);
    if (!is_fixed(reply->u.memory.address, data))
        length = take_input(data, length);
    reply->u.memory.actual = (uint32_t)length;
    reply->return_status = length > 0 ? 0 : KDNET_STATUS_UNSUCCESSFUL;
    reply->data_length = length;
    return true;
}

/* What an event borrows is there while it is told. */
static void check_evidence(const struct kdnet_evidence *evidence)
{
    FUZZ_CHECK(evidence->texts_length <= sizeof evidence->texts);
    for (size_t i = 0; i < reads.count; ++i) {
        const struct kdnet_value *value = &evidence->value[i];
        FUZZ_CHECK(value->state != KDNET_VALUE_NOT_ASKED);
        FUZZ_CHECK(value->text_at + (size_t)value->text_length <= evidence->texts_length);
    }
}

static void expect_one_result(struct puppet *p, unsigned n)
{
    FUZZ_CHECK(puppet_events(p, KDNET_EVENT_CRASH_STATUS) == n + 1);
    FUZZ_CHECK(p->continue_count == n + 1);
    const struct kdnet_event_crash_status *status = &puppet_event(p, KDNET_EVENT_CRASH_STATUS, n)->u.crash_status;
    FUZZ_CHECK(status->status_known);
    FUZZ_CHECK(status->evidence != NULL);
}

static void on_evidence(const struct kdnet_event *event)
{
    if (event->type == KDNET_EVENT_CRASH_STATUS && event->u.crash_status.evidence)
        check_evidence(event->u.crash_status.evidence);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct puppet *p = puppet_again();
    p->answer = answer;
    p->told = on_evidence;
    p->knows_rva = true;
    struct kdnet_layout_cache layout_cache = {.count = 0};
    p->shared.layout_cache = &layout_cache;
    p->shared.reads = &reads;
    p->shared.recall_image = recall_image;
    next = data;
    left = size;
    requests = 0;
    puppet_connect(p);
    puppet_break(p, 0xc0000005, BASE + 0x5000);
    expect_one_result(p, 0);
    puppet_break(p, 0xc0000005, BASE + 0x6000); /* what is asked once is known now */
    expect_one_result(p, 1);
    return 0;
}
