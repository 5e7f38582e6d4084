/* SPDX-License-Identifier: MIT */
/*
 * touch: reserves memory, touches each page of it, and gives it back.
 *
 * Built once with each memory manager of libexo; the bench runs both, so that
 * their difference shows where it arises.
 */
#include "touch.h"

#include <exo/mem.h>

static uint64_t *step_begin(int step) {
    const volatile struct exo_hart_info *hart = &sys_info()->hart[0];
    uint64_t *words = &sys_ctx()->program[TOUCH_WORD + 3 * step];
    words[1] = hart->satp_writes;
    words[2] = hart->sfences;
    words[0] = sys_instructions();
    return words;
}

static void step_end(uint64_t *words) {
    const volatile struct exo_hart_info *hart = &sys_info()->hart[0];
    words[0] = sys_instructions() - words[0];
    words[1] = hart->satp_writes - words[1];
    words[2] = hart->sfences - words[2];
}

int main(int argument_count, char **arguments) {
    (void)arguments;
    (void)argument_count;
    uint64_t *words = step_begin(0);
    volatile char *memory = mem_reserve((uint64_t)TOUCH_PAGES * EXO_FRAME_BYTES);
    step_end(words);
    if (!memory) return 1;
    words = step_begin(1);
    for (uint64_t page = 0; page < TOUCH_PAGES; page++) memory[page * EXO_FRAME_BYTES] = 1;
    step_end(words);
    words = step_begin(2);
    mem_release((void *)memory);
    step_end(words);
    return 0;
}
