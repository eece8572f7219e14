# SPDX-License-Identifier: Apache-2.0
# Which files of platform/ are built here. Included by service/CMakeLists.txt.
if(WIN32)
  include(platform/windows/windows.cmake)
else()
  set(KDNETD_PLATFORM platform/posix/inherited.c platform/posix/posix.c platform/posix/requests.c
    platform/posix/service_none.c platform/posix/successor.c platform/posix/yield.c)
  set(KDNETD_PROGRAM platform/posix/program.c)

  if(KDNETD_SYSTEMD AND SYSTEMD_FOUND)
    list(APPEND KDNETD_PLATFORM platform/systemd/notify_systemd.c)
  else()
    list(APPEND KDNETD_PLATFORM platform/posix/notify_none.c)
  endif()

  include(CheckSymbolExists)
  set(CMAKE_REQUIRED_DEFINITIONS -D_GNU_SOURCE)
  check_symbol_exists(recvmmsg sys/socket.h KDNETD_HAS_RECVMMSG)
  check_symbol_exists(sendmmsg sys/socket.h KDNETD_HAS_SENDMMSG)
  unset(CMAKE_REQUIRED_DEFINITIONS)
  option(KDNETD_MMSG "Take and send many datagrams at a time, where the system can (recvmmsg, sendmmsg)" ON)
  if(KDNETD_MMSG AND KDNETD_HAS_RECVMMSG AND KDNETD_HAS_SENDMMSG)
    list(APPEND KDNETD_PLATFORM platform/linux/receiver_mmsg.c platform/linux/sender_mmsg.c)
  else()
    list(APPEND KDNETD_PLATFORM platform/posix/receiver_uv.c platform/posix/sender_uv.c)
  endif()
endif()

# For each program: arguments, output, limits.
add_library(kdnetd_program STATIC ${KDNETD_PROGRAM})
target_include_directories(kdnetd_program PUBLIC ${PROJECT_SOURCE_DIR})
target_link_libraries(kdnetd_program PRIVATE OpenSSL::Crypto)
