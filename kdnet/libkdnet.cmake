# SPDX-License-Identifier: Apache-2.0
# Installs libkdnet for others: cmake --install BUILD --component libkdnet
include(CMakePackageConfigHelpers)
set(KDNET_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/kdnet)
file(RELATIVE_PATH KDNET_PREFIX_OF_PC ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(libkdnet.pc.in kdnet.pc @ONLY)
configure_package_config_file(libkdnet-config.cmake.in kdnet-config.cmake INSTALL_DESTINATION ${KDNET_CMAKE_DIR})
# Before 1.0 a new minor version may change anything.
write_basic_package_version_file(kdnet-config-version.cmake COMPATIBILITY SameMinorVersion)

install(DIRECTORY include/kdnet DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT libkdnet FILES_MATCHING PATTERN *.h)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/kdnet.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT libkdnet)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/kdnet-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/kdnet-config-version.cmake
  DESTINATION ${KDNET_CMAKE_DIR} COMPONENT libkdnet)

set_target_properties(kdnet PROPERTIES EXPORT_NAME kdnet_static)
install(TARGETS kdnet EXPORT kdnet_static DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libkdnet)
install(EXPORT kdnet_static FILE kdnet-static.cmake NAMESPACE kdnet:: DESTINATION ${KDNET_CMAKE_DIR} COMPONENT libkdnet)
if(TARGET kdnet_shared)
  install(TARGETS kdnet_shared EXPORT kdnet_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libkdnet)
  install(EXPORT kdnet_shared FILE kdnet-shared.cmake NAMESPACE kdnet:: DESTINATION ${KDNET_CMAKE_DIR}
    COMPONENT libkdnet)
endif()
