/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/error.h"

const char *kdnet_error_text(int code)
{
    switch (code) {
    case KDNET_OK:
        return "success";
#define TEXT(name, value, family, text)                                                                                \
    case value:                                                                                                        \
        return text;
        KDNET_ERROR_MAP(TEXT)
#undef TEXT
    default:
        return "unknown error";
    }
}

enum kdnet_error_family kdnet_error_family(int code)
{
    switch (code) {
    case KDNET_OK:
        return KDNET_FAMILY_NONE;
#define FAMILY(name, value, family, text)                                                                              \
    case value:                                                                                                        \
        return family;
        KDNET_ERROR_MAP(FAMILY)
#undef FAMILY
    default:
        return KDNET_FAMILY_GIVE_UP;
    }
}
