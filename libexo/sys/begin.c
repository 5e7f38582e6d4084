/* SPDX-License-Identifier: MIT */
/*
 * From crt0.S to main, and the end of the program.
 */
#include <exo/sys.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys.h"

uint64_t sys_start_instructions;
const struct sys_start *sys_start;

struct sys_start sys_init_start;
_Thread_local struct sys_thread sys_thread = {.ctx = (struct exo_ctx *)EXO_VA_CTX};

extern void __libc_init_array(void);
int main(int argument_count, char **arguments);

bool sys_is_init(void) { return sys_start == &sys_init_start; }

static void init_start_fill(void) {
    const struct exo_info *info = sys_info();

    for (uint32_t i = 0; i < info->root_count; i++)
        if (info->root[i].class == EXO_CLASS_MACHINE) sys_init_start.console = info->root[i].handle;
}

/* Point at the strings of the start block, and return how many there are. */
static int arguments_split(struct sys_start *start, char **arguments) {
    char *at = sys_argument_bytes(start);
    char *end = at + SYS_ARGUMENT_BYTES;
    int count = 0;

    /* The parent is believed in what it lends, but a missing NUL must not run off the page. */
    end[-1] = 0;
    while (at < end && count < SYS_ARGUMENTS_MAX && (uint64_t)count < start->argument_count) {
        arguments[count++] = at;
        at += strlen(at) + 1;
    }
    return count;
}

void sys_begin(struct sys_start *start) {
    static char *arguments[SYS_ARGUMENTS_MAX + 1];
    int count = 0;

    if (start) {
        sys_start = start;
        count = arguments_split(start, arguments);
    } else {
        sys_start = &sys_init_start;
        init_start_fill();
    }
    sys_thread.env = sys_start->self;
    sys_thread.env_frame = sys_env()->frame;
    sys_exception_begin(sys_ctx(), (uint64_t)(sys_exception_stack + SYS_EXCEPTION_STACK_BYTES));
    sys_memory_begin();
    __libc_init_array();
    exit(main(count, arguments));
}

/*
 * With the first thread's environment all others end.  Only it can end itself,
 * so another thread makes that its next call.
 */
static void first_thread_end(void) {
    uint64_t *registers = sys_ctx()->vector;

    while (exo_env_regs(sys_start->self, EXO_REGS_STOP).value == EXO_EAGAIN) {
    }
    for (uint64_t i = 0; i < 32; i++) registers[i] = 0;
    registers[0] = (uint64_t)exo_exit;
    exo_env_regs(sys_start->self, EXO_REGS_SET);
    exo_env_regs(sys_start->self, EXO_REGS_START);
}

void _exit(int status) {
    sys_console_flush();
    ((struct exo_ctx *)EXO_VA_CTX)->program[SYS_WORD_STATUS] = (uint64_t)status & 0xff;
    if (!sys_is_first()) first_thread_end();
    exo_exit();
}
