/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/crash/trace_check.h"
#include "kdnet/base/wire.h"
#include "kdnet/crash/trace_images.h"

#include <string.h>

#define GUESSES_MAX 4U

/* From the PE signature on [doc: PE format]. */
enum {
    AT_MACHINE = 4,
    AT_STAMP = 8,
    AT_IMAGE_SIZE = 80,
};

bool kdnet_trace_check_next(struct kdnet_trace_check *check, const struct kdnet_trace_cache *cache,
                            enum kdnet_machine machine, uint64_t address, uint64_t *want)
{
    check->address = address;
    while (address != 0 && check->tried < GUESSES_MAX &&
           kdnet_trace_cache_guess(cache, machine, address, check->tried, &check->image)) {
        ++check->tried;
        const struct kdnet_image_header *header = kdnet_trace_cache_header(cache, &check->image);
        if (!header || address - check->image.base >= check->image.size)
            continue;
        *want = check->image.base + header->at;
        return true;
    }
    return false;
}

enum kdnet_trace_check_result kdnet_trace_check_take(const struct kdnet_trace_check *check, const uint8_t *data,
                                                     size_t length)
{
    if (length < KDNET_TRACE_CHECK_SIZE)
        return KDNET_TRACE_CHECK_MISSING;
    return kdnet_get_le32(data) == 0x4550 && kdnet_get_le16(data + AT_MACHINE) == check->image.machine &&
                   kdnet_get_le32(data + AT_STAMP) == check->image.stamp &&
                   kdnet_get_le32(data + AT_IMAGE_SIZE) == check->image.size
               ? KDNET_TRACE_CHECK_FOUND
               : KDNET_TRACE_CHECK_OTHER;
}

void kdnet_trace_of_parameters(const struct kdnet_trace_start *start, const struct kdnet_trace_check *check,
                               struct kdnet_trace *out)
{
    enum kdnet_cause_kind kind = KDNET_CAUSE_ADDRESS;
    struct kdnet_image_place kernel = kdnet_trace_kernel_place(start);
    uint64_t address = kdnet_cause_address(start->machine, &start->bugcheck, &kind);
    memset(out, 0, sizeof *out);
    out->pdb_image = KDNET_TRACE_NO_IMAGE;
    out->address = kind == KDNET_CAUSE_ADDRESS ? address : 0;
    (void)kdnet_trace_add_image(out, &kernel);
    if (check)
        (void)kdnet_trace_add_image(out, &check->image);
    out->address_image = kdnet_trace_find_image(out, out->address);
}
