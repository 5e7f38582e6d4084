# SPDX-License-Identifier: MIT
#
# exo_program(NAME source... [LIBS library...] [INIT] [RAW])
#
# A program of the tree, with its warnings: exo_add_program with all libraries of
# libexo; LIBS is for the other memory manager, mem_large.  Results are in
# programs/ of the build folder.
#
# Targets: NAME is program_NAME, so that a program may be called `test`.
include(exo_add_program)
set(EXO_PROGRAM_DIR "${PROJECT_BINARY_DIR}/programs")
set_property(GLOBAL PROPERTY EXO_LINKER_SCRIPTS "${PROJECT_SOURCE_DIR}/libexo")
add_custom_target(programs)

# Flags of libexo and of every program that uses it.
add_library(exo_program_flags INTERFACE)
add_library(exo::program ALIAS exo_program_flags)
target_link_libraries(exo_program_flags INTERFACE exo::abi)
target_compile_options(exo_program_flags INTERFACE
    -ffunction-sections -fdata-sections -fno-strict-aliasing --specs=picolibc.specs)
target_link_options(exo_program_flags INTERFACE --specs=picolibc.specs)

function(exo_program name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "INIT;RAW" "" "LIBS")
    if(NOT arg_UNPARSED_ARGUMENTS)
        return()
    endif()
    set(kind "")
    foreach(word INIT RAW)
        if(arg_${word})
            list(APPEND kind ${word})
        endif()
    endforeach()
    get_property(libraries GLOBAL PROPERTY EXO_LIBRARIES)
    list(FILTER libraries EXCLUDE REGEX "^mem_")
    set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${EXO_PROGRAM_DIR}")
    exo_add_program(${name} ${arg_UNPARSED_ARGUMENTS} ${kind}
        TARGET program_${name} LIBS ${arg_LIBS} ${libraries})
    exo_warnings(program_${name})
    add_dependencies(programs program_${name})
endfunction()
