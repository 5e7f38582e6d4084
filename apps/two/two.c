/* SPDX-License-Identifier: MIT */
/*
 * two: two environments that share one frame and cannot reach each other's
 * other frames.
 *
 * Started without arguments it builds both from its own memory, each from the
 * file that it was itself built from, and lends them one frame in common.
 * Each of the two writes a word to the shared frame for the other, and then
 * tries to map the other's private frame with each capability that it holds.
 */
#include <exo/task.h>
#include <stdio.h>
#include <string.h>

#define MEMORY_FRAMES 256
#define PRIVATE_WORD 0x5ec7e7
#define WAIT_TURNS 100000000

/* What lies in the shared frame, one for each side. */
struct side {
    char message[48];
    uint64_t private_frame;
    uint64_t ready; /* written last */
    uint64_t done;  /* the other's attempts are over */
};

/* Wait for a word of the other side; it gets the hart meanwhile. */
static bool wait_for(const uint64_t *word) {
    for (uint64_t turns = 0; turns < WAIT_TURNS; turns++) {
        if (__atomic_load_n(word, __ATOMIC_ACQUIRE)) return true;
        exo_yield(EXO_NONE);
    }
    return false;
}

/* Try to map a frame with each capability that this program holds; how many of them allow it. */
static unsigned attempts(uint64_t frame, unsigned *tried, int64_t *refusal) {
    static _Alignas(EXO_FRAME_BYTES) char page[EXO_FRAME_BYTES];
    unsigned allowed = 0;

    space_unmap(&space_self, (uint64_t)page, 1);
    for (uint64_t index = 0; index < EXO_ENV_SLOTS; index++) {
        uint64_t word = sys_slot(0, index)->word;
        if (EXO_CAP_STATE(word) != EXO_SLOT_LIVE || EXO_CAP_CLASS(word) != EXO_CLASS_PAGE) continue;
        int64_t value = exo_page_map(EXO_SELF, (uint64_t)page, EXO_CAP_HANDLE(word, index), frame,
                                     1, EXO_PAGE_R)
                            .value;
        (*tried)++;
        if (value > 0)
            allowed++;
        else
            *refusal = value;
    }
    return allowed;
}

static int side_run(const char *name, unsigned which) {
    struct side *sides = mem_map_frames(sys_start->lent[0], sys_slot(0, SYS_SLOT_LENT)->first, 1,
                                        EXO_PAGE_R | EXO_PAGE_W);
    volatile uint64_t *own = mem_reserve(EXO_FRAME_BYTES);
    if (!sides || !own) return 1;
    struct side *mine = &sides[which], *other = &sides[!which];

    *own = PRIVATE_WORD + which;
    bool large;
    space_frames((uint64_t)own, 1, &mine->private_frame, &large);
    snprintf(mine->message, sizeof(mine->message), "greetings from %s", name);
    __atomic_store_n(&mine->ready, 1, __ATOMIC_RELEASE);
    if (!wait_for(&other->ready)) return 1;
    printf("%s: the shared frame says: %s\n", name, other->message);

    unsigned tried = 0;
    int64_t refusal = 0;
    unsigned allowed = attempts(other->private_frame, &tried, &refusal);
    if (allowed == 0)
        printf("%s: %u capabilities tried on the other's frame %#lx: %s\n", name, tried,
               other->private_frame, sys_error_text(refusal));
    else
        printf("%s: %u capabilities of %u reach the other's frame\n", name, allowed, tried);
    __atomic_store_n(&mine->done, 1, __ATOMIC_RELEASE);
    /* The other's attempts are worth something only while this frame is in use. */
    wait_for(&other->done);
    printf("%s: my own frame is as I left it: %s\n", name,
           *own == PRIVATE_WORD + which ? "yes" : "no");
    return allowed || *own != PRIVATE_WORD + which;
}

static int64_t side_spawn(struct task *task, const char *file, const char *name, uint64_t frame) {
    const char *arguments[] = {file, name};
    const struct task_lend shared = {
        .slot = frame_slot(frame),
        .first = frame,
        .count = 1,
        .rights = EXO_PAGE_R | EXO_PAGE_W,
    };
    const struct task_options options = {
        .arguments = arguments,
        .argument_count = 2,
        .frames = MEMORY_FRAMES,
        .lend = &shared,
        .lend_count = 1,
    };
    int64_t error = task_spawn(task, file, &options);
    return error ? error : task_start(task);
}

static int both_run(const char *file) {
    struct task tasks[2];
    uint64_t frame = frame_alloc();
    void *shared = mem_map_frames(frame_slot(frame), frame, 1, EXO_PAGE_R | EXO_PAGE_W);

    if (!shared) return 1;
    memset(shared, 0, EXO_FRAME_BYTES);
    mem_unmap_frames(shared);
    int64_t error = side_spawn(&tasks[0], file, "left", frame);
    if (!error) error = side_spawn(&tasks[1], file, "right", frame);
    if (error) {
        printf("two: %s\n", task_error_text(error));
        return 1;
    }
    task_run(tasks, 2);

    int status = 0;
    for (unsigned i = 0; i < 2; i++) {
        if (task_state(&tasks[i]) == TASK_FAULTED) task_show_fault(&tasks[i], i ? "right" : "left");
        status |= task_state(&tasks[i]) != TASK_EXITED || task_status(&tasks[i]) != 0;
        task_end(&tasks[i]);
    }
    printf("two: %s\n", status ? "something is wrong" : "shared one frame and nothing else");
    return status;
}

int main(int argument_count, char **arguments) {
    if (argument_count > 1) return side_run(arguments[1], strcmp(arguments[1], "right") == 0);
    return both_run(arguments[0]);
}
