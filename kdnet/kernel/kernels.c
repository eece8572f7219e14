/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/kernel/kernels.h"
#include "kdnet/wire/machine.h"

#include <string.h>

/* False: the address is not in an image that begins at the version's base. */
static bool rva_of(const struct kdnet_version *version, uint64_t address, uint32_t *out)
{
    enum kdnet_machine machine = (enum kdnet_machine)version->machine;
    uint64_t rva = kdnet_machine_address(machine, address) - kdnet_machine_address(machine, version->kernel_base);
    *out = (uint32_t)rva;
    return rva > 0 && rva <= UINT32_MAX;
}

static bool look_of(const struct kdnet_version *version, struct kdnet_kernel_look *out)
{
    out->machine = version->machine;
    out->build = version->minor;
    return rva_of(version, version->debugger_data_list, &out->list_rva) &&
           rva_of(version, version->loaded_module_list, &out->modules_rva);
}

/* KDNET_KERNELS_MAX: it is not there. */
static size_t place_of(const struct kdnet_kernels *kernels, const struct kdnet_kernel_look *look)
{
    for (size_t i = 0; i < kernels->count; ++i)
        if (memcmp(&kernels->kernel[i].look, look, sizeof *look) == 0)
            return i;
    return KDNET_KERNELS_MAX;
}

bool kdnet_kernels_find(const struct kdnet_kernels *kernels, const struct kdnet_version *version, uint32_t *block_rva)
{
    struct kdnet_kernel_look look;
    size_t at = kernels && look_of(version, &look) ? place_of(kernels, &look) : KDNET_KERNELS_MAX;
    if (at == KDNET_KERNELS_MAX || kernels->kernel[at].block_rva == 0)
        return false;
    *block_rva = kernels->kernel[at].block_rva;
    return true;
}

void kdnet_kernels_learn(struct kdnet_kernels *kernels, const struct kdnet_version *version, uint64_t block)
{
    struct kdnet_kernel_look look;
    uint32_t block_rva;
    if (!look_of(version, &look) || !rva_of(version, block, &block_rva) ||
        place_of(kernels, &look) != KDNET_KERNELS_MAX)
        return;
    size_t at = kernels->next;
    kernels->next = (at + 1) % KDNET_KERNELS_MAX;
    if (kernels->count < KDNET_KERNELS_MAX)
        ++kernels->count;
    kernels->kernel[at].look = look;
    kernels->kernel[at].block_rva = block_rva;
}

void kdnet_kernels_refute(struct kdnet_kernels *kernels, const struct kdnet_version *version)
{
    struct kdnet_kernel_look look;
    size_t at = kernels && look_of(version, &look) ? place_of(kernels, &look) : KDNET_KERNELS_MAX;
    if (at != KDNET_KERNELS_MAX)
        kernels->kernel[at].block_rva = 0;
}
