# SPDX-License-Identifier: Apache-2.0
# What is built of platform/ on Windows, and what each source needs there. Included by platform.cmake.
set(KDNETD_PLATFORM platform/windows/windows.c platform/windows/console.c platform/windows/control.c
  platform/windows/eventlog.c platform/windows/fault.c platform/windows/firewall.c platform/windows/folders.c
  platform/windows/inherited_windows.c platform/windows/install.c
  platform/windows/log_line.c platform/windows/logfile.c platform/windows/manager.c platform/windows/notify_windows.c
  platform/windows/receiver_windows.c platform/windows/requests.c platform/windows/selftest.c
  platform/windows/selftest_loop.c platform/windows/sender_windows.c platform/windows/service.c
  platform/windows/yield.c
  platform/windows/service_state.c platform/windows/successor_none.c)
set(KDNETD_PROGRAM platform/windows/program.c)

# The messages of the Event Log: a header, and the resource in kdnetd.exe that has their texts.
find_program(KDNETD_WINDMC x86_64-w64-mingw32-windmc REQUIRED)
set(KDNETD_MESSAGES ${CMAKE_CURRENT_BINARY_DIR}/messages)
file(MAKE_DIRECTORY ${KDNETD_MESSAGES})
add_custom_command(OUTPUT ${KDNETD_MESSAGES}/messages.h ${KDNETD_MESSAGES}/messages.rc
  COMMAND ${KDNETD_WINDMC} -h ${KDNETD_MESSAGES} -r ${KDNETD_MESSAGES}
    ${CMAKE_CURRENT_SOURCE_DIR}/platform/windows/messages.mc
  DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/platform/windows/messages.mc)
list(APPEND KDNETD_PLATFORM ${KDNETD_MESSAGES}/messages.h)
configure_file(platform/windows/kdnetd.rc.in ${KDNETD_MESSAGES}/kdnetd.rc @ONLY)
set(KDNETD_RESOURCES ${KDNETD_MESSAGES}/kdnetd.rc)
set_source_files_properties(${KDNETD_RESOURCES} PROPERTIES OBJECT_DEPENDS ${KDNETD_MESSAGES}/messages.rc
  INCLUDE_DIRECTORIES ${KDNETD_MESSAGES})
set_source_files_properties(platform/windows/eventlog.c platform/windows/log_line.c platform/windows/selftest.c PROPERTIES
  INCLUDE_DIRECTORIES ${KDNETD_MESSAGES})
# Windows' own macros for control data convert signs.
set_source_files_properties(platform/windows/receiver_windows.c platform/windows/sender_windows.c PROPERTIES
  COMPILE_OPTIONS -Wno-sign-conversion)
