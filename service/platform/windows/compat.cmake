# SPDX-License-Identifier: Apache-2.0
# Included by the top CMakeLists.txt on Windows, ahead of all targets: compat.h goes before each source, sockets.h before
# those of all directories but kdnet. GNU extensions of mingw-w64's headers are wanted; formats are checked where printf
# has only one kind.
set(CMAKE_C_EXTENSIONS ON)
add_compile_definitions(_WIN32_WINNT=0x0A00 WIN32_LEAN_AND_MEAN UNICODE __USE_MINGW_ANSI_STDIO=1)
add_compile_options(-Wno-format -Wno-format-nonliteral
  "SHELL:-isystem ${CMAKE_CURRENT_SOURCE_DIR}/service/platform/windows/compat")
include_directories(${CMAKE_CURRENT_SOURCE_DIR})

# Windows' headers take longer to read than most of our sources: sockets.h is compiled once, with the flags that all
# targets have. -Winvalid-pch tells when a source cannot use it.
set(ahead ${PROJECT_BINARY_DIR}/ahead/sockets.h)
set(compat ${CMAKE_CURRENT_SOURCE_DIR}/service/platform/windows/compat)
file(CONFIGURE OUTPUT ${ahead} CONTENT "#include \"${compat}/sockets.h\"\n")
string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
separate_arguments(flags UNIX_COMMAND "${CMAKE_C_FLAGS} ${CMAKE_C_FLAGS_${type}}")
get_directory_property(options COMPILE_OPTIONS)
list(TRANSFORM options REPLACE "^SHELL:" "")
string(REPLACE " " ";" options "${options}")
get_directory_property(definitions COMPILE_DEFINITIONS)
list(TRANSFORM definitions PREPEND -D)
add_custom_command(OUTPUT ${ahead}.gch
  COMMAND ${CMAKE_C_COMPILER} ${definitions} -I${CMAKE_CURRENT_SOURCE_DIR} ${flags} ${options} -std=gnu11
    -x c-header ${ahead} -o ${ahead}.gch
  DEPENDS ${compat}/sockets.h ${compat}/compat.h VERBATIM)

add_library(kdnetd_compat STATIC ${compat}/compat.c ${compat}/files.c config/text_windows.c ${ahead}.gch)
target_compile_options(kdnetd_compat PRIVATE "SHELL:-include ${compat}/compat.h")
link_libraries(kdnetd_compat)

# For kdnet, which has no sockets.
set(kdnetd_ahead "SHELL:-include ${compat}/compat.h")
add_compile_options(${kdnetd_ahead})

# For all directories but kdnet, after it.
macro(kdnetd_windows_sockets)
  get_directory_property(options COMPILE_OPTIONS)
  list(REMOVE_ITEM options ${kdnetd_ahead})
  set_property(DIRECTORY PROPERTY COMPILE_OPTIONS ${options} -Winvalid-pch -fpch-preprocess
    "SHELL:-include ${PROJECT_BINARY_DIR}/ahead/sockets.h")
endmacro()
