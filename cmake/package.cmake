# SPDX-License-Identifier: MIT
#
# For programs outside of the tree.  `cmake --install` makes a package with all
# that they need, which may be moved and holds no path of this machine;
# scripts/app takes the same from the build folder.
get_property(libraries GLOBAL PROPERTY EXO_LIBRARIES)
get_property(link_options GLOBAL PROPERTY EXO_LINK_OPTIONS)
get_target_property(program_compile_options exo_program_flags INTERFACE_COMPILE_OPTIONS)
get_target_property(program_link_options exo_program_flags INTERFACE_LINK_OPTIONS)

add_custom_target(libexo)
foreach(library IN LISTS libraries)
    add_dependencies(libexo exo_${library})
endforeach()

# scripts/app: the words of its commands, one a line, and a line for each library.
function(write_app_words name)
    list(JOIN ARGN "\n" text)
    file(GENERATE OUTPUT "${PROJECT_BINARY_DIR}/app/${name}" CONTENT "${text}\n")
endfunction()

separate_arguments(compile_words UNIX_COMMAND "${CMAKE_C_COMPILER} ${CMAKE_C_FLAGS}")
separate_arguments(link_words UNIX_COMMAND "${CMAKE_EXE_LINKER_FLAGS}")
set(library_lines "")
foreach(library IN LISTS libraries)
    exo_library_needs(needs ${library})
    list(JOIN needs " " needs)
    list(APPEND library_lines "${library}\t$<TARGET_FILE:exo_${library}>\t${needs}")
endforeach()
write_app_words(compile ${compile_words} ${program_compile_options}
    "-I${PROJECT_SOURCE_DIR}/exo/include" "-I${PROJECT_SOURCE_DIR}/libexo/include")
write_app_words(link ${compile_words} ${link_words} ${program_link_options} ${link_options}
    -T "${PROJECT_SOURCE_DIR}/libexo/program.lds")
write_app_words(strip "${CMAKE_OBJCOPY}" --strip-all)
write_app_words(libraries ${library_lines})

# The package.
install(DIRECTORY exo/include/exo libexo/include/exo DESTINATION include)
install(FILES libexo/program.lds libexo/init.lds DESTINATION lib/exo)
install(FILES "${PROJECT_BINARY_DIR}/kernel.bin" DESTINATION lib/exo)
install(FILES LICENSE DESTINATION share/doc/exo)

foreach(library IN LISTS libraries)
    install(FILES "$<TARGET_FILE:exo_${library}>" DESTINATION lib/exo)
endforeach()
# Their debug information tells where the sources were.
install(CODE "
    file(GLOB archives \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/exo/*.a\")
    foreach(archive IN LISTS archives)
        execute_process(COMMAND \"${CMAKE_OBJCOPY}\" --strip-debug \"\${archive}\"
            COMMAND_ERROR_IS_FATAL ANY)
    endforeach()")

# The programs of apps/, stripped.
get_property(targets DIRECTORY apps PROPERTY BUILDSYSTEM_TARGETS)
foreach(target IN LISTS targets)
    get_target_property(program ${target} EXO_PROGRAM)
    install(FILES "${program}" DESTINATION lib/exo/programs)
endforeach()

# What boots them.
foreach(name run pack machine manifest terminal expect)
    install(FILES scripts/python/${name}.py DESTINATION lib/exo/python)
endforeach()
install(DIRECTORY apps/init/manifests DESTINATION lib/exo)
foreach(name run pack)
    configure_file(cmake/package/tool.in "package/exo-${name}" @ONLY)
    install(PROGRAMS "${PROJECT_BINARY_DIR}/package/exo-${name}" DESTINATION bin)
endforeach()

# What CMake reads.
include(CMakePackageConfigHelpers)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/package/exoConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion)
configure_file(cmake/package/exoConfig.cmake.in package/exoConfig.cmake @ONLY)
install(FILES
    cmake/riscv.cmake
    cmake/exo_add_program.cmake
    cmake/package/exo_add_run.cmake
    "${PROJECT_BINARY_DIR}/package/exoConfig.cmake"
    "${PROJECT_BINARY_DIR}/package/exoConfigVersion.cmake"
    DESTINATION lib/cmake/exo)
install(DIRECTORY templates DESTINATION share/exo)
