/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kdnet: the KDNET protocol of Windows kernel debugging, host and wire, as a library without I/O. All rooms in one
 * header; a program may include single ones instead.
 *
 * What each room is for: kdnet/README.md. What a session wants of its caller: session.h.
 */
#ifndef KDNET_KDNET_H
#define KDNET_KDNET_H

#include "kdnet/crash.h"
#include "kdnet/crypto.h"
#include "kdnet/datagram.h"
#include "kdnet/debug_io.h"
#include "kdnet/error.h"
#include "kdnet/event.h"
#include "kdnet/evidence.h"
#include "kdnet/file_io.h"
#include "kdnet/handshake.h"
#include "kdnet/kernel.h"
#include "kdnet/kernels.h"
#include "kdnet/key.h"
#include "kdnet/link.h"
#include "kdnet/machine.h"
#include "kdnet/manipulate.h"
#include "kdnet/names.h"
#include "kdnet/packet.h"
#include "kdnet/session.h"
#include "kdnet/sift.h"
#include "kdnet/state_change.h"
#include "kdnet/wire.h"

#endif
