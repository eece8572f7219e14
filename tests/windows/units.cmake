# SPDX-License-Identifier: Apache-2.0
# The unit tests that are built for Windows, and run under Wine by under_wine.py. Left out: those of service/, config/,
# symbols/, capture/ and kdnetctl/, whose worlds are made of POSIX files, modes, pipes and signals; and session/ and
# kdnet-target/, which are the same code on each system and take minutes under Wine.
set(KDNETD_POSIX_TESTS "/kdnet/test_names\\.c$") # starts the program that makes the table
add_subdirectory(support)
kdnetd_tests(kdnet kdnet kdnetd_test_support)
kdnetd_tests(windows kdnetd_service)
