/* SPDX-License-Identifier: Apache-2.0 */
/* sys/mman.h: memfd_create, which posix.h declares. */
