/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/windows/spared.h"

#include <jansson.h>

__attribute__((constructor)) static void spare(void)
{
    json_set_alloc_funcs(spared_new, free);
}
