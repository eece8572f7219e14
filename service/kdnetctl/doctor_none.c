/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl doctor where nothing is known of how to look at the computer. */
#include "service/kdnetctl/doctor.h"

void doctor_check_drops(struct doctor *doctor, const char *listener)
{
    (void)listener;
    doctor_report(doctor, "dropped_by_kernel", DOCTOR_CANNOT_TELL, "not seen on this system");
}

void doctor_check_firewall(struct doctor *doctor, const char *listener)
{
    (void)listener;
    doctor_report(doctor, "firewall", DOCTOR_CANNOT_TELL, "not seen on this system");
}

void doctor_check_way(struct doctor *doctor, const char *address)
{
    (void)address;
    doctor_report(doctor, "way", DOCTOR_CANNOT_TELL, "not seen on this system");
}
