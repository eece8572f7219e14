/* SPDX-License-Identifier: Apache-2.0 */
/* header: what stands around the declarations of each installed header: C linkage, and visible in the shared library.
 */
#ifndef KDNET_HEADER_H
#define KDNET_HEADER_H

#ifdef __cplusplus
#define KDNET_LINKAGE_BEGIN extern "C" {
#define KDNET_LINKAGE_END   }
#else
#define KDNET_LINKAGE_BEGIN
#define KDNET_LINKAGE_END
#endif

#ifdef __GNUC__
#define KDNET_HEADER_BEGIN KDNET_LINKAGE_BEGIN _Pragma("GCC visibility push(default)")
#define KDNET_HEADER_END   _Pragma("GCC visibility pop") KDNET_LINKAGE_END
#else
#define KDNET_HEADER_BEGIN KDNET_LINKAGE_BEGIN
#define KDNET_HEADER_END   KDNET_LINKAGE_END
#endif

#endif
