/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kdnet: the host side of KDNET, by which Windows kernels are debugged, as a library without I/O. All of it in one
 * header. Where to start: session.h.
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
