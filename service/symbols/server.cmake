# SPDX-License-Identifier: Apache-2.0
# The symbol server client: service/symbols/server.h. Included by the CMakeLists.txt beside it.
option(KDNETD_CURL "Fetch symbol files from symbol servers (needs libcurl)" ON)
set(KDNETD_SYMBOL_SERVER_HTTP server_offline.c)
if(KDNETD_CURL)
  pkg_check_modules(KDNETD_LIBCURL IMPORTED_TARGET GLOBAL libcurl>=7.85)
  if(TARGET PkgConfig::KDNETD_LIBCURL)
    set(KDNETD_SYMBOL_SERVER_HTTP server_http.c ../runtime/name_search.c)
  else()
    message(WARNING "libcurl 7.85 or later is missing: kdnetd will fetch nothing from symbol servers (srv*DIR*URL), "
                    "and kernels whose symbols are not on disk have no_symbols as their reason. Install "
                    "libcurl4-openssl-dev, or set KDNETD_CURL=OFF.")
  endif()
endif()

add_library(kdnetd_symbol_server STATIC server.c server_memory.c server_store.c url.c ${KDNETD_SYMBOL_SERVER_HTTP})
target_include_directories(kdnetd_symbol_server PUBLIC ${PROJECT_SOURCE_DIR})
target_compile_definitions(kdnetd_symbol_server PRIVATE KDNETD_VERSION="${PROJECT_VERSION}")
target_link_libraries(kdnetd_symbol_server PUBLIC PkgConfig::LIBUV)
if(TARGET PkgConfig::KDNETD_LIBCURL)
  target_link_libraries(kdnetd_symbol_server PRIVATE PkgConfig::KDNETD_LIBCURL)
endif()
