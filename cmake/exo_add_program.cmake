# SPDX-License-Identifier: MIT
#
# How a program is built, in the tree and with an installed package.
#
# exo_add_program(NAME source... [LIBS library...] [TARGET target] [INIT] [RAW])
#
# Results, in the build folder: NAME.elf with debug information, and NAME,
# stripped, which goes into boot archives.
#
#   LIBS    libraries of libexo, `mem` if none is named.  One brings those that it
#           needs; exactly one memory manager is linked with mem, mem_demand if
#           none is named.  `sys` alone is a program without heap and page faults.
#   TARGET  how CMake calls it, if not NAME
#   INIT    the first program: linked as a flat image at EXO_VA_INIT
#   RAW     no libexo and no C library, only <exo/abi.h>
#
# Whoever includes this file has the targets exo::abi, exo::program (the flags of
# all that uses libexo) and exo::LIBRARY for each of the global property
# EXO_LIBRARIES, where one stands before those that it needs, and program.lds and
# init.lds in the folder EXO_LINKER_SCRIPTS.

# The libraries that one of libexo needs.
function(exo_library_needs result library)
    set(needs task mem sys)
    if(library STREQUAL "sys")
        set(needs "")
    elseif(library MATCHES "^(mem_.*|task)$")
        set(needs mem sys)
    elseif(library STREQUAL "mem")
        set(needs sys)
    endif()
    set(${result} "${needs}" PARENT_SCOPE)
endfunction()

# What a program that names these libraries is linked with, in the order of linking.
function(exo_program_libraries result)
    get_property(known GLOBAL PROPERTY EXO_LIBRARIES)
    set(wanted ${ARGN})
    foreach(library IN LISTS ARGN)
        if(NOT library IN_LIST known)
            list(SORT known)
            list(JOIN known " " names)
            message(FATAL_ERROR "exo has no library \"${library}\"; there are: ${names}")
        endif()
        exo_library_needs(needs ${library})
        list(APPEND wanted ${needs})
    endforeach()
    if("mem" IN_LIST wanted AND NOT wanted MATCHES "mem_")
        list(APPEND wanted mem_demand)
    endif()
    set(libraries "")
    foreach(library IN LISTS known)
        if(library IN_LIST wanted)
            list(APPEND libraries ${library})
        endif()
    endforeach()
    set(${result} "${libraries}" PARENT_SCOPE)
endfunction()

set_property(GLOBAL PROPERTY EXO_LINK_OPTIONS -nostartfiles -Wl,--gc-sections -Wl,--fatal-warnings)

function(exo_add_program name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "INIT;RAW" "TARGET" "LIBS")
    set(target ${name})
    if(arg_TARGET)
        set(target ${arg_TARGET})
    endif()
    set(folder "${CMAKE_CURRENT_BINARY_DIR}")
    if(CMAKE_RUNTIME_OUTPUT_DIRECTORY)
        set(folder "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
    endif()
    get_property(scripts GLOBAL PROPERTY EXO_LINKER_SCRIPTS)
    set(script "${scripts}/program.lds")
    if(arg_INIT)
        set(script "${scripts}/init.lds")
    endif()

    add_executable(${target} ${arg_UNPARSED_ARGUMENTS})
    set_target_properties(${target} PROPERTIES
        OUTPUT_NAME ${name}
        SUFFIX .elf
        RUNTIME_OUTPUT_DIRECTORY "${folder}"
        LINK_DEPENDS "${script}"
        EXO_PROGRAM "${folder}/${name}")
    get_property(options GLOBAL PROPERTY EXO_LINK_OPTIONS)
    target_link_options(${target} PRIVATE -T "${script}" ${options})
    if(arg_RAW)
        target_link_libraries(${target} PRIVATE exo::abi)
        target_compile_options(${target} PRIVATE -ffreestanding)
        target_link_options(${target} PRIVATE -nostdlib)
    else()
        if(NOT arg_LIBS)
            set(arg_LIBS mem)
        endif()
        exo_program_libraries(libraries ${arg_LIBS})
        list(TRANSFORM libraries PREPEND exo::)
        list(JOIN libraries "," group)
        target_link_libraries(${target} PRIVATE exo::program)
        # One group, since picolibc calls libexo back (output, heap, _exit).
        target_link_libraries(${target} PRIVATE "$<LINK_GROUP:RESCAN,${group},-lc,-lm>")
    endif()

    add_custom_command(TARGET ${target} POST_BUILD
        COMMAND ${CMAKE_OBJCOPY} --strip-all "$<TARGET_FILE:${target}>" "${folder}/${name}"
        BYPRODUCTS "${folder}/${name}"
        VERBATIM)
    set_property(GLOBAL APPEND PROPERTY EXO_PROGRAM_TARGETS ${target})
endfunction()
