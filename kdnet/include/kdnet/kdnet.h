/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kdnet: all public headers of libkdnet, the host side of Windows' network kernel debugging (KDNET), without I/O. Start
 * reading at session.h.
 */
#ifndef KDNET_KDNET_H
#define KDNET_KDNET_H

#include "kdnet/assessment.h"
#include "kdnet/crypto.h"
#include "kdnet/datagram.h"
#include "kdnet/error.h"
#include "kdnet/event.h"
#include "kdnet/evidence.h"
#include "kdnet/kernel.h"
#include "kdnet/key.h"
#include "kdnet/names.h"
#include "kdnet/policy.h"
#include "kdnet/session.h"
#include "kdnet/trace.h"
#include "kdnet/verdict.h"
#include "kdnet/version.h"

#endif
