/* SPDX-License-Identifier: MIT */
/*
 * crash: a program that dies in its own exception handler, and what its parent
 * can tell.
 *
 * The child handles breakpoints and runs into one.  Its handler reads address
 * 8: no handler is entered for that, since one is running, so the kernel stops
 * the child and tells the parent.  The parent prints cause and registers and
 * follows the child's stack, through the handler back to its main;
 * scripts/run adds function, file and line.
 */
#include <exo/task.h>
#include <stdio.h>
#include <string.h>

#define CHILD_FRAMES 128

/* ---- the child ---- */

struct order {
    uint64_t number;
    uint64_t price;
};

static struct order *volatile next_order; /* nobody ever set it */

static __attribute__((noipa)) uint64_t order_price(const struct order *order) {
    return order->price;
}

static bool breakpoint(struct exo_ctx *ctx, uint64_t cause, uint64_t value) {
    (void)cause;
    (void)value;
    ctx->exception_pc += order_price(next_order);
    return true;
}

static __attribute__((noipa)) void stop_here(unsigned depth) {
    if (depth > 0)
        stop_here(depth - 1);
    else
        __asm__ volatile("ebreak");
    __asm__ volatile("" ::: "memory"); /* so that the call above is one, not a jump */
}

static int child_main(void) {
    sys_handler_set(SYS_CAUSE_BREAKPOINT, breakpoint);
    printf("crash: the child stops at a breakpoint, and its handler reads what is not there\n");
    stop_here(2);
    return 0;
}

/* ---- the parent ---- */

int main(int argument_count, char **arguments) {
    static const char *const words[] = {"crash", "child"};
    const struct task_options options = {
        .arguments = words, .argument_count = 2, .frames = CHILD_FRAMES};
    struct task child;

    if (argument_count == 2 && strcmp(arguments[1], "child") == 0) return child_main();
    int64_t error = task_spawn(&child, "crash", &options);
    /* Without a row it runs in this program's slices. */
    if (!error && task_start_taking(&child, ROW_ANY_HART, EXO_SLICE_BIND) < 0)
        error = task_start(&child);
    if (error) {
        printf("crash: %s\n", task_error_text(error));
        return 1;
    }
    task_run(&child, 1);
    bool crashed = task_state(&child) == TASK_FAULTED;
    if (crashed)
        task_show_fault(&child, "the child");
    else
        printf("crash: the child has not crashed\n");
    error = task_end(&child);
    return crashed && !error ? 0 : 1;
}
