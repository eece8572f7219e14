/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/crash/cause.h"
#include "kdnet/wire/machine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MINIDUMP_FLAG 0x10000000U

/*
 * Source of each row: learn.microsoft.com, "Bug check code reference", the page of the code, table "Parameters". A code
 * with 10000000 has the row of the code without that flag: the reference says so of 1000007E and 1000008E.
 */
const struct kdnet_cause_rule kdnet_cause_rules[] = {
    {0x0000000aU, 4, KDNET_CAUSE_ADDRESS, "address that referenced the memory"},
    {0x0000001eU, 2, KDNET_CAUSE_ADDRESS, "address where the exception occurred"},
    {0x00000023U, 2, KDNET_CAUSE_EXCEPTION_RECORD, "exception record, when the file system's filter ran"},
    {0x00000024U, 2, KDNET_CAUSE_EXCEPTION_RECORD, "exception record, when the file system's filter ran"},
    {0x00000027U, 2, KDNET_CAUSE_EXCEPTION_RECORD, "exception record, when the redirector's filter ran"},
    {0x0000003bU, 2, KDNET_CAUSE_ADDRESS, "instruction that caused the bug check"},
    {0x00000050U, 3, KDNET_CAUSE_ADDRESS, "address that referenced the memory, if it is known"},
    {0x0000007eU, 2, KDNET_CAUSE_ADDRESS, "address where the exception occurred"},
    {0x0000008eU, 2, KDNET_CAUSE_ADDRESS, "address where the exception occurred"},
    {0x000000c5U, 4, KDNET_CAUSE_ADDRESS, "address that referenced the memory"},
    {0x000000cbU, 1, KDNET_CAUSE_ADDRESS, "address in the driver that locked the pages"},
    {0x000000ccU, 3, KDNET_CAUSE_ADDRESS, "address that referenced the memory, if it is known"},
    {0x000000cdU, 3, KDNET_CAUSE_ADDRESS, "address that referenced the memory, if it is known"},
    {0x000000ceU, 3, KDNET_CAUSE_ADDRESS, "instruction that referenced the memory"},
    {0x000000d0U, 4, KDNET_CAUSE_ADDRESS, "address that referenced the memory"},
    {0x000000d1U, 4, KDNET_CAUSE_ADDRESS, "address that referenced the memory"},
    {0x000000d3U, 4, KDNET_CAUSE_ADDRESS, "address that referenced the memory"},
    {0x000000d4U, 4, KDNET_CAUSE_ADDRESS, "address that referenced the memory"},
    {0x000000d5U, 3, KDNET_CAUSE_ADDRESS, "address that referenced the memory, if it is known"},
    {0x000000d6U, 3, KDNET_CAUSE_ADDRESS, "address that referenced the memory, if it is known"},
    {0x00000116U, 2, KDNET_CAUSE_ADDRESS, "place in the display driver that is responsible"},
    {0x00000117U, 2, KDNET_CAUSE_ADDRESS, "place in the display driver that is responsible"},
    {0x00000139U, 3, KDNET_CAUSE_EXCEPTION_RECORD, "exception record"},
};

const size_t kdnet_cause_rule_count = sizeof kdnet_cause_rules / sizeof kdnet_cause_rules[0];

uint32_t kdnet_cause_code(uint32_t code)
{
    return code >> 28 == 1 ? code & ~MINIDUMP_FLAG : code;
}

const struct kdnet_cause_rule *kdnet_cause_rule(uint32_t code)
{
    code = kdnet_cause_code(code);
    for (size_t i = 0; i < kdnet_cause_rule_count; ++i)
        if (kdnet_cause_rules[i].code == code)
            return &kdnet_cause_rules[i];
    return NULL;
}

uint64_t kdnet_cause_address(enum kdnet_machine machine, const struct kdnet_bugcheck *bugcheck,
                             enum kdnet_cause_kind *kind)
{
    const struct kdnet_cause_rule *rule = kdnet_cause_rule(bugcheck->code);
    if (!rule)
        return 0;
    uint64_t address = kdnet_machine_address(machine, bugcheck->parameters[rule->parameter - 1]);
    if (address == 0 || kdnet_machine_is_user_address(machine, address))
        return 0;
    *kind = (enum kdnet_cause_kind)rule->kind;
    return address;
}

bool kdnet_image_is_of_crash_path(const char *name)
{
    static const char *const names[] = {"ntoskrnl.exe", "ntkrnlmp.exe", "ntkrnlpa.exe", "ntkrpamp.exe",
                                        "nt",           "hal.dll",      "kdnet.dll",    "kdcom.dll",
                                        "kd.dll",       "crashdmp.sys", "verifier.dll"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i)
        if (strcmp(name, names[i]) == 0)
            return true;
    return strncmp(name, "kd_", 3) == 0 || strncmp(name, "dump_", 5) == 0;
}

void kdnet_bucket_text(uint32_t code, const struct kdnet_image_place *place, uint64_t address, uint16_t build,
                       char out[static KDNET_BUCKET_SIZE])
{
    if (place)
        (void)snprintf(out, KDNET_BUCKET_SIZE, "%" PRIX32 " %.39s+0x%" PRIx64 "@%08" PRIX32, code, place->name,
                       address - place->base, place->stamp);
    else
        (void)snprintf(out, KDNET_BUCKET_SIZE, "%" PRIX32 " build %u", code, (unsigned)build);
}
