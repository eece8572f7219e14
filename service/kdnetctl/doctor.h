/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor: why a machine is not served. Checks, one after the other; the first that finds something wrong names the
 * cause and the next step.
 *
 * Uses ask. doctor.c asks kdnetd, doctor_posix.c looks at this computer.
 */
#ifndef SERVICE_CTL_DOCTOR_H
#define SERVICE_CTL_DOCTOR_H

#include "service/kdnetctl/ask.h"

enum doctor_result { DOCTOR_OK, DOCTOR_WRONG, DOCTOR_CANNOT_TELL };

struct doctor {
    struct ask ask;
    const char *about; /* the argument; NULL: the service alone */
    bool is_local;     /* kdnetd runs on this computer, as far as can be seen */
    json_t *status, *target, *unknown;
    bool wrong;
    const char *cause; /* of the first that is wrong */
    char next_step[1024];
};

/* Reports a check. format and the rest: the detail, as for printf. */
void doctor_report(struct doctor *doctor, const char *check, enum doctor_result result, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Names the cause of what is wrong, and what to do; only the first counts. */
void doctor_blame(struct doctor *doctor, const char *cause, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What this computer's kernel says: datagrams that it dropped, its firewall, the way to an address. */
void doctor_check_drops(struct doctor *doctor, const char *listener);
void doctor_check_firewall(struct doctor *doctor, const char *listener);
void doctor_check_way(struct doctor *doctor, const char *address);

#endif
