/* SPDX-License-Identifier: MIT */
/*
 * init: the first program.  Starts what the archive's file `manifest` says,
 * starts again who is to be, and powers the machine off when all have ended who
 * end at all (docs/init.md).
 *
 * The status is the first that is not 0: a program's own, 128 and the cause for
 * one that was stopped by an exception, 127 for one that cannot be started, or
 * for a manifest that is wrong.
 *
 * This thread only sleeps until a program ends, and then calls the service.  It
 * holds the root capabilities, and nobody else ever does.
 */
#include "init.h"

#include <stdio.h>

static _Noreturn void give_up(const char *what, const char *why) {
    printf("init: %s: %s\n", what, why);
    power_off(STATUS_NOT_STARTED);
}

static void manifest_load(void) {
    struct archive_file file = {0};
    struct manifest_error error;
    const char *bytes = archive_find("manifest", &file) ? archive_map(&file) : NULL;

    if (!bytes) give_up("manifest", "the boot archive has no such file, or it is empty");
    if (!manifest_read(bytes, file.bytes, &manifest, &error)) {
        if (*error.word)
            plan_wrong(error.line, "\"%s\": %s", error.word, error.text);
        else
            plan_wrong(error.line, "%s", error.text);
        power_off(STATUS_NOT_STARTED);
    }
    mem_unmap_frames((void *)bytes);
}

/* Have the service do what is to be done. */
static void look(void) {
    struct sys_words words = {{INIT_LOOK}};
    int64_t error;

    do error = sys_service(&words);
    while (error == EXO_EBUSY);
    if (error) give_up("the service", sys_error_text(error));
}

int main(void) {
    int64_t error = consoles_make();
    if (error) give_up("the console", sys_error_text(error));
    manifest_load();
    error = service_make();
    if (error) give_up("the service", sys_error_text(error));
    if (!plan_make()) power_off(STATUS_NOT_STARTED);
    for (;;) {
        look();
        exo_wait(1ul << EXO_EVENT_CHILD, EXO_NEVER);
    }
}
