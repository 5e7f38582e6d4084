/* SPDX-License-Identifier: MIT */
#include "blk.h"

const char *blk_error_text(int64_t error) {
    switch (error) {
#define X(number, name, text) \
    case number: return text;
        BLK_ERRORS(X)
#undef X
    default: return sys_error_text(error);
    }
}
