/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/rva.h"

#include <string.h>

enum kdnet_rva_answer rva_find(const struct kdnetd_config *config, const struct kdnet_pdb *pdb, const char *symbol,
                               uint32_t *rva, enum kdnet_source *source)
{
    char guidage[KDNET_GUIDAGE_SIZE];
    const char *bare = strncmp(symbol, "nt!", 3) == 0 ? symbol + 3 : symbol;
    kdnet_pdb_guidage(pdb, guidage);
    if (!config_find_rva(config, guidage, bare, rva))
        return KDNET_RVA_NO_SYMBOLS;
    *source = KDNET_SOURCE_RVA;
    return KDNET_RVA_FOUND;
}
