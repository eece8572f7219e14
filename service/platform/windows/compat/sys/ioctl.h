/* SPDX-License-Identifier: Apache-2.0 */
/* sys/ioctl.h: how large the console's window is, and nothing else. */
#ifndef SERVICE_PLATFORM_WINDOWS_COMPAT_IOCTL_H
#define SERVICE_PLATFORM_WINDOWS_COMPAT_IOCTL_H

#define TIOCGWINSZ 0x5413

struct winsize {
    unsigned short ws_row, ws_col;
};

int ioctl(int descriptor, int request, struct winsize *size);

#endif
