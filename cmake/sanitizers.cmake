# SPDX-License-Identifier: MIT
#
# How host code is compiled: every finding of ASan or UBSan ends the program.
option(EXO_FUZZ "build the libFuzzer targets (needs clang)" OFF)

add_library(exo_host_flags INTERFACE)
target_compile_options(exo_host_flags INTERFACE
    -g -O1 -fno-omit-frame-pointer -fno-strict-aliasing
    -fsanitize=address,undefined -fno-sanitize-recover=all)
target_link_options(exo_host_flags INTERFACE -fsanitize=address,undefined)
if(EXO_FUZZ)
    target_compile_options(exo_host_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
