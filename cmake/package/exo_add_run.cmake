# SPDX-License-Identifier: MIT
#
# The machine as a target and as a test.  The boot archive holds all programs
# that were added before, and those of exo.  exo-run makes it; its --help has the
# options, and `+` between programs runs several at once.
#
# exo_add_run(TARGET program [argument...] [OPTIONS option...])
#
#   A target that builds the programs and boots: `cmake --build build -t TARGET`.
#
# exo_add_test(NAME program [argument...] [STATUS number] [OUTPUT text...] [OPTIONS option...])
#
#   A test for ctest: the exit status must be that number, 0 if none is given, and
#   each text must be in what the machine prints.
function(exo_run_command result)
    get_property(package GLOBAL PROPERTY EXO_PACKAGE)
    get_property(targets GLOBAL PROPERTY EXO_PROGRAM_TARGETS)
    set(command "${package}/bin/exo-run")
    foreach(target IN LISTS targets)
        get_target_property(program ${target} EXO_PROGRAM)
        list(APPEND command --program "${program}")
    endforeach()
    set(${result} "${command}" PARENT_SCOPE)
endfunction()

function(exo_add_run target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "OPTIONS")
    exo_run_command(command)
    get_property(programs GLOBAL PROPERTY EXO_PROGRAM_TARGETS)
    add_custom_target(${target}
        COMMAND ${command} ${arg_OPTIONS} -- ${arg_UNPARSED_ARGUMENTS}
        DEPENDS ${programs}
        USES_TERMINAL
        VERBATIM)
endfunction()

function(exo_add_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "STATUS" "OUTPUT;OPTIONS")
    set(expected "")
    if(DEFINED arg_STATUS)
        list(APPEND expected --status ${arg_STATUS})
    endif()
    foreach(text IN LISTS arg_OUTPUT)
        list(APPEND expected "--output=${text}")
    endforeach()
    exo_run_command(command)
    get_property(package GLOBAL PROPERTY EXO_PACKAGE)
    add_test(NAME ${name}
        COMMAND /usr/bin/python3 -B "${package}/lib/exo/python/expect.py" ${expected}
            -- ${command} ${arg_OPTIONS} -- ${arg_UNPARSED_ARGUMENTS})
    set_tests_properties(${name} PROPERTIES TIMEOUT 60)
endfunction()
