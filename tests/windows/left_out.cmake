# SPDX-License-Identifier: Apache-2.0
# The unit tests that are not built for Windows, and why. All others run under Wine (under_wine.py). A single test of a
# program that cannot be there asks tests/support/system.h, and is skipped.
set(KDNETD_LEFT_OUT
  # POSIX by nature.
  kdnet/names # starts the program that makes the table
  config/file # modes, pipes, devices and the user root; config/file_windows.c is tested by windows/files
  config/refused # calls of POSIX that fail
  http/answers # asks through the Unix socket
  http/memory # asks through the Unix socket
  http/refused # calls of POSIX that fail
  http/system # the Unix socket, groups and descriptors
  kdnetctl/answers # asks through the Unix socket
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
  kdnetctl/commands # jansson is part of the program there, and its allocations fail, too
  kdnetctl/memory # jansson and libpcap are part of the program there, and their allocations fail, too
  service/store_memory # SQLite is part of the program there, and each of its allocations fails, too: minutes
  service/output_memory # jansson is part of the program there, and its allocations fail, too
  service/server_memory # so is libuv, and it takes a minute under Wine
  service/store_writers # what waits for another process's lock gives up when the computer is busy
  symbols/places # waits for its clocks, 15 to 20 s under Wine
  symbols/symbols # ten seconds of look-ups, which clocks bound
)
