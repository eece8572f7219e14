# SPDX-License-Identifier: Apache-2.0
# The unit tests that are not built for Windows, and why. All others run under Wine (under_wine.py). A single test of a
# program that cannot be there asks tests/support/system.h, and is skipped.
set(KDNETD_LEFT_OUT
  # POSIX by nature.
  kdnet/names # starts the program that makes the table
  config/file # modes, pipes, devices and the user root; config/file_windows.c is tested by windows/files
  config/refused # calls of POSIX that fail
  http/refused # calls of POSIX that fail
  http/system # the Unix socket, groups and descriptors
  service/log # standard error is a pipe that is full, and does not wait
  service/opening # calls that fail, by errors of POSIX
  service/platform # users, modes and socket options of POSIX
  service/receiver_errors # calls of Linux that fail
  service/refused # calls of POSIX that fail
  service/surroundings # users and files of POSIX
  symbols/refused # calls that fail, by errors of POSIX
  service/steer # the program in Linux that divides the datagrams of a port
  # Others.
  service/nats # there is no libnats
  kdnetctl/fleet_limit # there is no libnats
  service/server_memory # a thousand starts of a server, each with its files and threads: 95 s under Wine
)
