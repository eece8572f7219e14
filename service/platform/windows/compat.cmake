# SPDX-License-Identifier: Apache-2.0
# Included by the top CMakeLists.txt on Windows, ahead of all targets: compat.h goes before each source. GNU extensions
# of mingw-w64's headers are wanted; formats are checked where printf has only one kind.
set(CMAKE_C_EXTENSIONS ON)
add_compile_definitions(_WIN32_WINNT=0x0A00 WIN32_LEAN_AND_MEAN UNICODE __USE_MINGW_ANSI_STDIO=1)
add_compile_options(-Wno-format -Wno-format-nonliteral
  "SHELL:-isystem ${CMAKE_CURRENT_SOURCE_DIR}/service/platform/windows/compat"
  "SHELL:-include ${CMAKE_CURRENT_SOURCE_DIR}/service/platform/windows/compat/compat.h")
include_directories(${CMAKE_CURRENT_SOURCE_DIR})
add_library(kdnetd_compat STATIC service/platform/windows/compat/compat.c
  service/platform/windows/compat/files.c config/text_windows.c)
link_libraries(kdnetd_compat)

# For all directories but kdnet: Windows' headers, ahead of each source.
macro(kdnetd_windows_sockets)
  add_compile_options("SHELL:-include ${PROJECT_SOURCE_DIR}/service/platform/windows/compat/sockets.h")
endmacro()
