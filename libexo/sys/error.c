/* SPDX-License-Identifier: MIT */
/*
 * Names and texts of the kernel's errors, from the table in abi.h.
 */
#include <exo/sys.h>

const char *sys_error_name(int64_t error) {
    switch (error) {
#define X(number, name, text) \
    case number: return #name;
        EXO_ERRORS(X)
#undef X
    default: return "unknown";
    }
}

const char *sys_error_text(int64_t error) {
    switch (error) {
#define X(number, name, text) \
    case number: return text;
        EXO_ERRORS(X)
#undef X
    default: return "unknown";
    }
}
