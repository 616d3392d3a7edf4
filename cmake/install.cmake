# What `make install` puts where: library, headers, command, man page, soma.pc and the CMake package Soma::soma.
# A test (tests/install) builds a program against an installed copy by both ways.
include(CMakePackageConfigHelpers)

install(TARGETS soma EXPORT SomaTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT SomaTargets NAMESPACE Soma:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Soma)
install(DIRECTORY include/soma DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h" PATTERN "*.def")
if(TARGET soma_command)
    install(TARGETS soma_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
if(EXISTS ${PROJECT_SOURCE_DIR}/docs/soma.1)
    install(FILES docs/soma.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()

# soma.pc finds its own prefix, so an installed tree can be moved.
file(RELATIVE_PATH SOMA_PREFIX_FROM_PC ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" SOMA_PREFIX_FROM_PC ${SOMA_PREFIX_FROM_PC})
configure_file(cmake/soma.pc.in soma.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/soma.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

configure_package_config_file(cmake/SomaConfig.cmake.in SomaConfig.cmake
    INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Soma)
write_basic_package_version_file(SomaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/SomaConfig.cmake ${PROJECT_BINARY_DIR}/SomaConfigVersion.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Soma)
