# SPDX-License-Identifier: MIT
#
# exo_program(NAME source... [LIBS library...] [INIT] [RAW])
#
# One program of the boot archive.  Results, in programs/ of the build folder:
# NAME.elf with debug information, and NAME, stripped, which scripts/pack takes.
#
#   LIBS  what to link beside exo::sys, exo::mem and exo::task: mem_demand or
#         mem_large chooses the memory manager (mem_demand if neither is named)
#   INIT  the first program: linked as a flat image at EXO_VA_INIT
#   RAW   no libexo and no C library, only <exo/abi.h>
#
# Targets: NAME is program_NAME, so that a program may be called `test`.
set(EXO_PROGRAM_DIR "${PROJECT_BINARY_DIR}/programs")
set_property(GLOBAL PROPERTY EXO_PROGRAMS "")
add_custom_target(programs)

# CMake knows no link groups for a bare machine; GNU ld has them.
set(CMAKE_C_LINK_GROUP_USING_RESCAN "LINKER:--start-group" "LINKER:--end-group")
set(CMAKE_C_LINK_GROUP_USING_RESCAN_SUPPORTED TRUE)

# Flags of libexo and of every program that uses it.
add_library(exo_program_flags INTERFACE)
target_link_libraries(exo_program_flags INTERFACE exo::abi)
target_compile_options(exo_program_flags INTERFACE
    -ffunction-sections -fdata-sections -fno-strict-aliasing --specs=picolibc.specs)

function(exo_program name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "INIT;RAW" "" "LIBS")
    if(NOT arg_UNPARSED_ARGUMENTS)
        return()
    endif()
    set(target program_${name})
    add_executable(${target} ${arg_UNPARSED_ARGUMENTS})
    add_dependencies(programs ${target})
    exo_warnings(${target})
    set(script "${PROJECT_SOURCE_DIR}/libexo/program.lds")
    if(arg_INIT)
        set(script "${PROJECT_SOURCE_DIR}/libexo/init.lds")
    endif()
    set_target_properties(${target} PROPERTIES
        OUTPUT_NAME ${name}
        SUFFIX .elf
        RUNTIME_OUTPUT_DIRECTORY "${EXO_PROGRAM_DIR}"
        LINK_DEPENDS "${script}")
    target_link_options(${target} PRIVATE
        -nostartfiles -T "${script}" -Wl,--gc-sections -Wl,--fatal-warnings)

    if(arg_RAW)
        target_link_libraries(${target} PRIVATE exo::abi)
        target_compile_options(${target} PRIVATE -ffreestanding)
        target_link_options(${target} PRIVATE -nostdlib)
    else()
        set(libraries ${arg_LIBS})
        if(NOT "mem_large" IN_LIST libraries AND NOT "mem_demand" IN_LIST libraries)
            list(APPEND libraries mem_demand)
        endif()
        list(TRANSFORM libraries PREPEND exo_)
        list(APPEND libraries exo_task exo_mem exo_sys)
        set(present "")
        foreach(library IN LISTS libraries)
            if(TARGET ${library})
                list(APPEND present ${library})
            endif()
        endforeach()
        # One group, since picolibc calls libexo back (output, heap, _exit).
        list(JOIN present "," group)
        target_link_libraries(${target} PRIVATE exo_program_flags)
        if(group)
            target_link_libraries(${target} PRIVATE "$<LINK_GROUP:RESCAN,${group},-lc,-lm>")
        endif()
        target_link_options(${target} PRIVATE --specs=picolibc.specs)
    endif()

    add_custom_command(TARGET ${target} POST_BUILD
        COMMAND ${CMAKE_OBJCOPY} --strip-all "$<TARGET_FILE:${target}>" "${EXO_PROGRAM_DIR}/${name}"
        BYPRODUCTS "${EXO_PROGRAM_DIR}/${name}"
        VERBATIM)
endfunction()
