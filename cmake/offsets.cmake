# SPDX-License-Identifier: MIT
#
# cmake -DIN=offsets.s -DOUT=offsets.h -P offsets.cmake
#
# offsets.c is compiled to assembly only; each line `->NAME value` in it becomes
# `#define NAME value`, so that .S files take the layout of C structures from
# the compiler instead of repeating it.
file(STRINGS "${IN}" lines REGEX "->[A-Za-z0-9_]+ ")
if(NOT lines)
    message(FATAL_ERROR "${IN} has no line `->NAME value`")
endif()
set(text "/* Made from arch/riscv/offsets.c by cmake/offsets.cmake. */\n#pragma once\n")
foreach(line IN LISTS lines)
    string(REGEX REPLACE "^.*->([A-Za-z0-9_]+) +[$#]?(-?[0-9A-Fa-fx]+).*$" "#define \\1 \\2"
        define "${line}")
    string(APPEND text "${define}\n")
endforeach()
file(WRITE "${OUT}" "${text}")
