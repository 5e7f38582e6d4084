# SPDX-License-Identifier: MIT
#
# exo_warnings(TARGET): the warnings that every C file of the project passes.
function(exo_warnings target)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:C>:
        -Wall -Wextra -Werror -Wshadow -Wconversion -Wmissing-prototypes -Wstrict-prototypes
        -Wvla -Wimplicit-fallthrough
        $<$<C_COMPILER_ID:Clang>:-Wno-pass-failed>>) # it unrolls less than gcc when told to
endfunction()
