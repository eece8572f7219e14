/* SPDX-License-Identifier: Apache-2.0 */
#include "service/output/event_crash_internal.h"
#include "kdnet/assessment.h"
#include "kdnet/crash/trace.h"
#include "kdnet/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

json_t *event_crash_parameters(struct builder *b, const struct kdnet_bugcheck *bugcheck)
{
    json_t *parameters = json_array();
    for (size_t i = 0; i < 4; ++i)
        if (json_array_append_new(parameters, builder_hex(bugcheck->parameters[i], BUILDER_ADDRESS_DIGITS)) != 0)
            b->failed = true;
    return parameters;
}

void event_crash_put_bugcheck(struct builder *b, const struct kdnet_event_bugcheck *bugcheck)
{
    builder_put(b, "code", builder_hex(bugcheck->data.code, BUILDER_STATUS_DIGITS));
    builder_put(b, "name", builder_text_or_null(kdnet_bugcheck_name(bugcheck->data.code)));
    builder_put(b, "parameters", event_crash_parameters(b, &bugcheck->data));
    builder_put(b, "from", builder_text(bugcheck->from_memory ? "memory" : "print"));
}

static json_t *source_object(const struct kdnet_event_crash_status *status)
{
    enum kdnet_source from = status->conclusion.source;
    struct builder b = {.object = json_object()};
    builder_put(&b, "symbol", builder_text("nt!" KDNET_STATUS_SYMBOL));
    builder_put(&b, "address",
                status->address_known ? builder_hex(status->address, BUILDER_ADDRESS_DIGITS) : json_null());
    builder_put(&b, "from", from == KDNET_SOURCE_NONE ? json_null() : builder_text(kdnet_source_name(from)));
    return b.object;
}

json_t *event_crash_bugcheck(const struct kdnet_event_bugcheck *bugcheck)
{
    if (!bugcheck->known)
        return json_null();
    struct builder b = {.object = json_object()};
    event_crash_put_bugcheck(&b, bugcheck);
    return b.object;
}

/* Whether a value is reported: known, partly known, or a null pointer on its way. */
static bool is_reported(const struct kdnet_value *value)
{
    return value->state == KDNET_VALUE_KNOWN || value->state == KDNET_VALUE_CUT ||
           value->state == KDNET_VALUE_NULL_POINTER;
}

/* Whether a value's reason is reported beside it: a missing value, or a truncated text. */
static bool is_doubtful(const struct kdnet_value *value)
{
    return value->state != KDNET_VALUE_KNOWN && value->state != KDNET_VALUE_NULL_POINTER &&
           value->state != KDNET_VALUE_NOT_ASKED;
}

static json_t *value_json(const struct kdnet_event_crash_status *status, size_t i)
{
    const struct kdnet_evidence *evidence = status->evidence;
    const struct kdnet_value *value = &evidence->value[i];
    static const uint8_t digits[] = {[KDNET_READ_U8] = 2, [KDNET_READ_U16] = 4, [KDNET_READ_U32] = 8};
    uint8_t kind = evidence->reads->read[i].kind;
    if (value->state == KDNET_VALUE_NULL_POINTER)
        return json_null();
    if (kind == KDNET_READ_STRING || kind == KDNET_READ_UNICODE)
        return builder_foreign_text(evidence->texts + value->text_at, value->text_length);
    return builder_hex(value->number, kind <= KDNET_READ_U32 ? digits[kind] : BUILDER_ADDRESS_DIGITS);
}

/* Makes the object of this crash's dump log. */
static json_t *dump_log_object(const struct kdnet_dump_log_facts *log)
{
    struct builder b = {.object = json_object()};
    builder_put(&b, "last_line", builder_foreign_text(log->last_line, strlen(log->last_line)));
    builder_put(&b, "percent", log->percent_known ? json_integer((json_int_t)log->percent) : json_null());
    builder_put(&b, "pages", log->pages_known ? json_integer((json_int_t)log->pages) : json_null());
    builder_put(&b, "pages_written", log->pages_known ? json_integer((json_int_t)log->pages_written) : json_null());
    builder_put(&b, "type", log->size_known ? json_integer((json_int_t)log->type) : json_null());
    builder_put(&b, "size", log->size_known ? json_integer((json_int_t)log->size) : json_null());
    return b.object;
}

static json_t *evidence_object(const struct kdnet_event_crash_status *status)
{
    struct builder b = {.object = json_object()};
    if (status->break_status_known)
        builder_put(&b, "break_status", builder_hex(status->break_status, 1));
    const struct kdnet_evidence *evidence = status->evidence;
    for (size_t i = 0; evidence && i < evidence->reads->count; ++i)
        if (is_reported(&evidence->value[i]))
            builder_put(&b, evidence->reads->read[i].name, value_json(status, i));
    if (status->dump.log.known)
        builder_put(&b, "dump_log", dump_log_object(&status->dump.log));
    if (status->dump.log.header)
        builder_put(&b, "dump_header", builder_text("prepared"));
    return b.object;
}

/* Why values are not there, or not whole. */
static json_t *evidence_unknown_object(const struct kdnet_event_crash_status *status)
{
    struct builder b = {.object = json_object()};
    const struct kdnet_evidence *evidence = status->evidence;
    for (size_t i = 0; evidence && i < evidence->reads->count; ++i) {
        enum kdnet_value_state state = (enum kdnet_value_state)evidence->value[i].state;
        if (is_doubtful(&evidence->value[i]))
            builder_put(&b, evidence->reads->read[i].name, builder_text(kdnet_value_state_name(state)));
    }
    return b.object;
}

static json_t *assessment_object(const struct kdnet_event_crash_status *status)
{
    struct kdnet_assessment assessment;
    kdnet_assess(&status->dump, &assessment);
    if (assessment.likely == KDNET_LIKELY_NONE)
        return json_null();
    struct builder b = {.object = json_object()};
    json_t *because = json_array();
    for (size_t i = 0; i < assessment.count; ++i)
        if (json_array_append_new(because, builder_text(assessment.because[i])) != 0)
            b.failed = true;
    builder_put(&b, "likely", builder_text(kdnet_likely_name(assessment.likely)));
    builder_put(&b, "strength", builder_text(kdnet_strength_name(&assessment)));
    builder_put(&b, "because", because);
    return b.object;
}

/* "examplenic.sys!ExampleRead+0x12"; without a name "examplenic.sys+0x1234"; an address alone where no image is known.
 */
static json_t *place_text(const struct kdnet_trace *trace, uint8_t image, uint64_t address,
                          const struct kdnet_trace_name *name)
{
    char text[KDNET_IMAGE_NAME_SIZE + KDNET_TRACE_NAME_SIZE + 24];
    if (image >= trace->image_count)
        return builder_hex(address, BUILDER_ADDRESS_DIGITS);
    const struct kdnet_image_place *place = &trace->image[image];
    if (name->text[0] != '\0')
        (void)snprintf(text, sizeof text, "%s!%s+0x%" PRIx32, place->name, name->text, name->offset);
    else
        (void)snprintf(text, sizeof text, "%s+0x%" PRIx64, place->name, address - place->base);
    return builder_text(text);
}

/* The symbol file of the image; null: not known. */
static json_t *image_pdb(const struct kdnet_trace *trace, uint8_t image)
{
    char guid[2 * sizeof trace->pdb.guid + 1], guidage[KDNET_GUIDAGE_SIZE];
    if (image != trace->pdb_image)
        return json_null();
    struct builder b = {.object = json_object()};
    kdnet_pdb_guidage(&trace->pdb, guidage);
    (void)snprintf(guid, sizeof guid, "%.32s", guidage);
    builder_put(&b, "name", builder_foreign_text(trace->pdb.name, strlen(trace->pdb.name)));
    builder_put(&b, "guid", builder_text(guid));
    builder_put(&b, "age", json_integer((json_int_t)trace->pdb.age));
    return b.object;
}

static json_t *module_object(const struct kdnet_trace *trace, uint8_t image, uint64_t address)
{
    if (image >= trace->image_count)
        return json_null();
    const struct kdnet_image_place *place = &trace->image[image];
    struct builder b = {.object = json_object()};
    builder_put(&b, "name", builder_text(place->name));
    builder_put(&b, "base", builder_hex(place->base, BUILDER_ADDRESS_DIGITS));
    builder_put(&b, "offset", builder_hex(address - place->base, 1));
    builder_put(&b, "stamp", builder_hex(place->stamp, BUILDER_STATUS_DIGITS));
    builder_put(&b, "size", json_integer((json_int_t)place->size));
    builder_put(&b, "pdb", image_pdb(trace, image));
    return b.object;
}

static json_t *cause_object(const struct kdnet_trace *trace)
{
    if (!trace || trace->address == 0)
        return json_null();
    struct builder b = {.object = json_object()};
    builder_put(&b, "address", builder_hex(trace->address, BUILDER_ADDRESS_DIGITS));
    builder_put(&b, "place", place_text(trace, trace->address_image, trace->address, &trace->address_name));
    builder_put(&b, "module", module_object(trace, trace->address_image, trace->address));
    return b.object;
}

static json_t *stack_array(struct builder *b, const struct kdnet_trace *trace)
{
    json_t *stack = json_array();
    for (unsigned i = 0; trace && i < trace->frame_count; ++i)
        if (json_array_append_new(
                stack, place_text(trace, trace->frame[i].image, trace->frame[i].address, &trace->frame_name[i])) != 0)
            b->failed = true;
    return stack;
}

static void put_cause(struct builder *b, const struct kdnet_event_crash_status *status)
{
    builder_put(b, "bucket", status->bucket[0] != '\0' ? builder_text(status->bucket) : json_null());
    builder_put(b, "cause", cause_object(status->trace));
    builder_put(b, "stack", stack_array(b, status->trace));
}

void event_crash_put(struct builder *b, const struct kdnet_event_crash_status *status, const char *tried)
{
    enum kdnet_reason reason = status->conclusion.reason;
    const char *name = status->status_known ? kdnet_status_name(status->status) : NULL;
    builder_put(b, "phase", builder_text(kdnet_phase_name(status->phase)));
    builder_put(b, "status", status->status_known ? builder_hex(status->status, BUILDER_STATUS_DIGITS) : json_null());
    builder_put(b, "status_name", builder_text_or_null(name));
    builder_put(b, "verdict", builder_text(kdnet_verdict_name(status->conclusion.verdict)));
    builder_put(b, "reason", reason == KDNET_REASON_NONE ? json_null() : builder_text(kdnet_reason_name(reason)));
    builder_put(b, "dump_log",
                builder_text(status->dump.log.known   ? "found"
                             : status->dump.log.tried ? "not_found"
                                                      : "not_tried"));
    builder_put(b, "assessment", assessment_object(status));
    builder_put(b, "source", source_object(status));
    builder_put(b, "bugcheck", event_crash_bugcheck(&status->bugcheck));
    put_cause(b, status);
    builder_put(b, "build_lab", builder_build_lab(status->build_lab_known, status->build_lab));
    builder_put(b, "rtt_ms", status->rtt_us > 0 ? builder_milliseconds(status->rtt_us) : json_null());
    builder_put(b, "read_ms", builder_milliseconds(status->read_us));
    builder_put(b, "since_first_ms",
                status->since_first_known ? builder_milliseconds(status->since_first_us) : json_null());
    builder_put(b, "evidence", evidence_object(status));
    builder_put(b, "evidence_unknown", evidence_unknown_object(status));
    builder_put(b, "tried", builder_text_or_null(tried));
}
