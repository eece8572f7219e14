/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor: why a machine is not served. Checks run in turn; the first failing one names the cause and the next step.
 *
 * doctor.c asks kdnetd, doctor_posix.c looks at this computer.
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
    const char *cause; /* cause of the first failing check */
    char next_step[1024];
};

/* Reports a check. format and the rest: the detail, as for printf. */
void doctor_report(struct doctor *doctor, const char *check, enum doctor_result result, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Names a cause and its remedy; only the first call counts. */
void doctor_blame(struct doctor *doctor, const char *cause, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Check this computer's kernel: dropped datagrams, firewall, route to an address. */
void doctor_check_drops(struct doctor *doctor, const char *listener);
void doctor_check_firewall(struct doctor *doctor, const char *listener);
void doctor_check_way(struct doctor *doctor, const char *address);

#endif
