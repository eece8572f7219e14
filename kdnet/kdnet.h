/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kdnet: the KDNET protocol of Windows kernel debugging, host and wire, as a library without I/O. All rooms in one
 * header; a program may include single ones instead.
 *
 * What each room is for: kdnet/README.md. What a session wants of its caller: session.h.
 */
#ifndef KDNET_KDNET_H
#define KDNET_KDNET_H

#include "kdnet/kernel/crash.h"
#include "kdnet/crypto/crypto.h"
#include "kdnet/wire/datagram.h"
#include "kdnet/wire/debug_io.h"
#include "kdnet/base/error.h"
#include "kdnet/session/event.h"
#include "kdnet/session/evidence.h"
#include "kdnet/wire/file_io.h"
#include "kdnet/wire/handshake.h"
#include "kdnet/kernel/kernel.h"
#include "kdnet/kernel/layout_cache.h"
#include "kdnet/crypto/key.h"
#include "kdnet/session/link.h"
#include "kdnet/wire/machine.h"
#include "kdnet/wire/manipulate.h"
#include "kdnet/base/names.h"
#include "kdnet/wire/packet.h"
#include "kdnet/session/session.h"
#include "kdnet/crypto/key_filter.h"
#include "kdnet/wire/state_change.h"
#include "kdnet/base/wire.h"

#endif
