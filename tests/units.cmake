# SPDX-License-Identifier: Apache-2.0
# The unit tests of all rooms, one list for each system: tests/ROOM/test_X.c becomes the program test_ROOM_X and the test
# ROOM/X. On Windows those that windows/left_out.cmake names are not built.
if(WIN32)
  include(windows/left_out.cmake)
  add_compile_options("SHELL:-isystem ${CMAKE_CURRENT_SOURCE_DIR}/windows/posix"
    "SHELL:-include ${CMAKE_CURRENT_SOURCE_DIR}/windows/posix/posix.h")
  add_library(kdnetd_test_posix STATIC windows/posix/posix.c)
  link_libraries(kdnetd_test_posix)
endif()

if(NOT TARGET PkgConfig::KDNETD_LIBCURL)
  list(APPEND KDNETD_LEFT_OUT kdnetctl/answers)
endif()
if(NOT TARGET PkgConfig::KDNETD_LIBCURL OR KDNETD_LIBCURL_VERSION VERSION_LESS 7.87)
  list(APPEND KDNETD_LEFT_OUT service/name_search) # there is no choice
endif()
if(NOT TARGET kdnetd_fleet)
  list(APPEND KDNETD_LEFT_OUT service/nats kdnetctl/fleet_limit)
endif()

function(kdnetd_tests room) # ROOM LIBRARY...
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${room}/test_*.c)
  add_custom_target(${room}_tests) # all of them
  foreach(source ${sources})
    get_filename_component(name ${source} NAME_WE)
    string(REPLACE "test_" "" short ${name})
    set_property(GLOBAL APPEND PROPERTY KDNETD_ALL_UNITS ${room}/${short})
    if("${room}/${short}" IN_LIST KDNETD_LEFT_OUT)
      continue()
    endif()
    add_executable(test_${room}_${short} ${source})
    set_property(GLOBAL APPEND PROPERTY KDNETD_UNITS test_${room}_${short})
    add_dependencies(${room}_tests test_${room}_${short})
    target_link_libraries(test_${room}_${short} PRIVATE ${ARGN} PkgConfig::CMOCKA)
    target_include_directories(test_${room}_${short} PRIVATE ${PROJECT_SOURCE_DIR})
    add_test(NAME ${room}/${short} COMMAND test_${room}_${short})
    set_tests_properties(${room}/${short} PROPERTIES TIMEOUT 900 LABELS unit ENVIRONMENT
      "KDNETD_DATA=${PROJECT_SOURCE_DIR}/../shared/data;KDNETD_SOURCE=${PROJECT_SOURCE_DIR};KDNETD_BUILD=${PROJECT_BINARY_DIR}")
  endforeach()
endfunction()

# What some need besides, where they are built.
function(kdnetd_test_links test) # ROOM_X LIBRARY...
  if(TARGET test_${test})
    target_link_libraries(test_${test} PRIVATE ${ARGN})
  endif()
endfunction()
function(kdnetd_test_wraps test) # ROOM_X FUNCTION...: its own __wrap_FUNCTION takes the place of each
  if(TARGET test_${test})
    list(TRANSFORM ARGN PREPEND "LINKER:--wrap=")
    target_link_options(test_${test} PRIVATE ${ARGN})
  endif()
endfunction()

# On Windows: libraries that are part of the program, and whose allocations are not to fail (windows/spared.h).
function(kdnetd_test_spares test) # ROOM_X LIBRARY...
  if(WIN32 AND TARGET test_${test})
    list(TRANSFORM ARGN PREPEND windows/spared_)
    list(TRANSFORM ARGN APPEND .c)
    target_sources(test_${test} PRIVATE ${ARGN})
  endif()
endfunction()

add_subdirectory(support)

kdnetd_tests(kdnet kdnet kdnetd_test_support)

kdnetd_tests(config kdnetd_config)
kdnetd_test_links(config_memory kdnetd_test_scarce)
kdnetd_test_links(config_refused kdnetd_test_refused)
kdnetd_test_wraps(config_file fstat)

kdnetd_tests(service kdnetd_service)
kdnetd_test_links(service_memory kdnetd_test_scarce)
kdnetd_test_links(service_output_memory kdnetd_test_scarce)
kdnetd_test_links(service_store_memory kdnetd_test_scarce kdnetd_test_support)
kdnetd_test_links(service_store_cut kdnetd_test_support)
kdnetd_test_links(service_stop_time kdnetd_test_support)
kdnetd_test_links(service_program kdnetd_program)
kdnetd_test_wraps(service_surroundings platform_as_service_user)
kdnetd_test_links(service_refused kdnetd_test_refused)
kdnetd_test_links(service_opening kdnetd_test_refused_uv kdnetd_test_scarce)
kdnetd_test_spares(service_store_memory sqlite)
kdnetd_test_links(service_strays kdnetd_test_support)
kdnetd_test_wraps(service_store_memory sqlite3_step)
kdnetd_test_wraps(service_name_search curl_easy_setopt curl_easy_getinfo)
kdnetd_test_wraps(service_event_log_faults result_file_open result_file_close result_file_look uv_hrtime)
kdnetd_test_wraps(service_nats fleet_connect fleet_explain fleet_make_stream fleet_make_bucket natsInbox_Create
  natsConnection_SubscribeSync natsSubscription_Destroy natsConnection_Destroy natsConnection_Status
  natsConnection_GetStats natsConnection_GetMaxPayload natsConnection_PublishMsg natsConnection_PublishString
  natsConnection_FlushTimeout natsSubscription_NextMsg uv_hrtime uv_sleep)
kdnetd_test_wraps(service_migration calloc realloc)
set(two_workers uv_hrtime sender_send) # two_workers.h
kdnetd_test_wraps(service_astray ${two_workers})
kdnetd_test_wraps(service_route ${two_workers})
kdnetd_test_wraps(service_send ${two_workers})
set(fake_server uv_hrtime uv_thread_create uv_thread_join uv_queue_work platform_udp_socket lookup_configure) # fake_server.h
kdnetd_test_wraps(service_reload ${fake_server} sender_send)
kdnetd_test_wraps(service_listeners ${fake_server})
kdnetd_test_wraps(service_api_targets ${fake_server})
kdnetd_test_wraps(service_hinting ${fake_server} sender_send uv_timer_start uv_timer_stop hints_kv_open hints_kv_look
  hints_kv_close platform_source_of strays_open strays_show)
set(acting_server ${fake_server} sender_send uv_timer_start) # acting_server.h
kdnetd_test_wraps(service_acting ${acting_server})
kdnetd_test_wraps(service_acting_server ${acting_server})
kdnetd_test_wraps(service_server_memory ${acting_server})
kdnetd_test_links(service_server_memory kdnetd_test_scarce)
kdnetd_test_wraps(service_server requests_watch requests_close platform_udp_socket worker_start RAND_bytes api_close
  store_open store_close platform_end strays_close)
kdnetd_test_links(service_server kdnetd_test_refused_uv kdnetd_test_scarce)

add_library(kdnetd_test_net STATIC session/net.c)
target_link_libraries(kdnetd_test_net PUBLIC kdnet_machine kdnetd_test_support PkgConfig::CMOCKA)
kdnetd_tests(session kdnetd_test_net kdnet_target_core)
kdnetd_test_wraps(session_memory calloc)

kdnetd_tests(kdnet-target kdnet_target_core kdnet_machine kdnetd_test_support)

add_library(kdnetctl_test_support STATIC kdnetctl/frames.c)
target_include_directories(kdnetctl_test_support PUBLIC ${PROJECT_SOURCE_DIR})
target_link_libraries(kdnetctl_test_support PUBLIC kdnet)
kdnetd_tests(capture kdnetd_capture kdnetctl_test_support kdnetd_test_support)
kdnetd_tests(kdnetctl kdnetctl_core kdnetctl_test_support kdnetd_test_support PkgConfig::JANSSON)
kdnetd_test_links(kdnetctl_memory kdnetd_test_scarce)
kdnetd_test_spares(kdnetctl_memory jansson openssl)
kdnetd_test_links(kdnetctl_answers PkgConfig::KDNETD_LIBCURL kdnetd_test_scarce)
kdnetd_test_wraps(kdnetctl_answers curl_global_init curl_easy_init curl_easy_getinfo)
kdnetd_test_links(kdnetctl_commands kdnetd_test_scarce)
kdnetd_test_spares(kdnetctl_commands jansson openssl)
kdnetd_test_wraps(kdnetctl_commands client_transport_open client_transport client_transport_lines fleet_source_open
  fleet_source_read fleet_source_close clock_gettime nanosleep sleep popen RAND_bytes)

add_library(kdnetd_test_tiny STATIC symbols/folder.c symbols/tiny.c)
target_link_libraries(kdnetd_test_tiny PUBLIC kdnetd_symbols kdnetd_test_support PkgConfig::CMOCKA)
kdnetd_tests(symbols kdnetd_test_tiny)
kdnetd_test_links(symbols_memory kdnetd_test_scarce)
kdnetd_test_links(symbols_refused kdnetd_test_refused_uv kdnetd_test_scarce)
kdnetd_test_wraps(symbols_places uv_fs_stat uv_fs_open) # a folder that hangs

if(KDNETD_HTTP_FOUND)
  kdnetd_tests(http kdnetd_service)
  foreach(test answers memory)
    if(TARGET test_http_${test})
      target_sources(test_http_${test} PRIVATE http/fake_world.c http/fake_store.c)
    endif()
  endforeach()
  kdnetd_test_wraps(http_answers store_crashes store_buckets store_events)
  kdnetd_test_links(http_memory kdnetd_test_scarce)
  kdnetd_test_spares(http_memory jansson openssl)
  kdnetd_test_links(http_refused kdnetd_test_refused)
  kdnetd_test_wraps(http_system getgrnam_r chown getpwuid_r)
endif()

if(WIN32)
  kdnetd_tests(windows kdnetd_service)
  get_property(all GLOBAL PROPERTY KDNETD_ALL_UNITS)
  foreach(test ${KDNETD_LEFT_OUT})
    if(NOT test IN_LIST all)
      message(FATAL_ERROR "tests/windows/left_out.cmake names ${test}, which is no test")
    endif()
  endforeach()
  get_property(units GLOBAL PROPERTY KDNETD_UNITS)
  list(JOIN units "\n" units)
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/units "${units}\n") # for under_wine.py: older programs may lie there, too
endif()
