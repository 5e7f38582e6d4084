/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target of init's reader of the manifest: no input makes it touch a
 * byte outside the file or the manifest (ASan watches); one that it refuses has
 * an error with a line and a text; one that it accepts keeps the limits, and
 * written out again it is read as the same.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "init/manifest.h"

#define TEXT_BYTES (8 * MANIFEST_BYTES_MAX)

static void sure(int condition, const char *what) {
    if (condition) return;
    fprintf(stderr, "a rule of the manifest is broken: %s\n", what);
    abort();
}

/* ---- writing it out ---- */

static char text[TEXT_BYTES];
static size_t text_bytes;

static __attribute__((format(printf, 1, 2))) void put(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(text + text_bytes, TEXT_BYTES - text_bytes, format, arguments);
    va_end(arguments);
    text_bytes += (size_t)bytes;
    sure(text_bytes < TEXT_BYTES, "length of the text");
}

static void put_word(const char *word) {
    put(" \"");
    for (; *word; word++) put("\\x%02x", (unsigned char)*word);
    put("\"");
}

static void put_rows(const char *name, const struct manifest_rows *rows) {
    put("%s", name);
    if (rows->count == MANIFEST_ANY)
        put(" rest");
    else
        put(" %" PRIu64, rows->count);
    if (rows->urgent) put(" urgent");
    if (rows->hart != MANIFEST_ANY) put(" hart %" PRIu64, rows->hart);
    put("\n");
}

static void put_disk(const struct manifest_disk *disk) {
    put("disk %" PRIu64, disk->disk);
    if (disk->extent == MANIFEST_WHOLE) put(" all");
    if (disk->extent == MANIFEST_SECTORS)
        put(" sectors %" PRIu64 " %" PRIu64, disk->first, disk->count);
    if (disk->extent == MANIFEST_PARTITION) {
        put(" partition");
        put_word(disk->partition);
    }
    put(disk->write ? " write" : " read");
    if (disk->entries != MANIFEST_ANY) put(" entries %" PRIu64, disk->entries);
    put("\n");
}

static void put_device(const char *name, const struct manifest_device *device) {
    if (device->kind == EXO_DEVICE_NS16550)
        put("%s uart\n", name);
    else if (device->kind == EXO_DEVICE_RTC)
        put("%s rtc\n", name);
    else
        put("%s %" PRIu64 "\n", name, device->number);
}

static void put_program(const struct manifest_program *program) {
    static const char *const consoles[] = {"output", "input", "none", "driver"};
    static const char *const restarts[] = {"never", "fault", "always"};

    put("program");
    for (uint32_t i = 0; i < program->argument_count; i++) put_word(program->argument[i]);
    put("\n");
    if (program->frames) put("memory %" PRIu64 " frames\n", program->frames);
    put_rows("run", &program->run);
    for (uint32_t i = 0; i < program->rows_count; i++) put_rows("rows", &program->rows[i]);
    for (uint32_t i = 0; i < program->disk_count; i++) put_disk(&program->disk[i]);
    for (uint32_t i = 0; i < program->device_count; i++) put_device("device", &program->device[i]);
    for (uint32_t i = 0; i < program->line_count; i++) put_device("line", &program->irq[i]);
    put("console %s\n", consoles[program->console]);
    put("restart %s", restarts[program->restart]);
    if (program->restart != MANIFEST_NEVER)
        put(" %" PRIu64 " in %" PRIu64, program->restarts_max, program->restart_seconds);
    put("\n");
    if (program->optional) put("optional\n");
    if (program->control) put("control\n");
}

/* ---- comparing ---- */

static int rows_same(const struct manifest_rows *a, const struct manifest_rows *b) {
    return a->count == b->count && a->hart == b->hart && a->urgent == b->urgent;
}

static int disk_same(const struct manifest_disk *a, const struct manifest_disk *b) {
    return a->extent == b->extent && a->disk == b->disk && a->first == b->first &&
           a->count == b->count && a->entries == b->entries && a->write == b->write &&
           (a->extent != MANIFEST_PARTITION || strcmp(a->partition, b->partition) == 0);
}

static int device_same(const struct manifest_device *a, const struct manifest_device *b) {
    return a->kind == b->kind && a->number == b->number;
}

static void program_compare(const struct manifest_program *a, const struct manifest_program *b) {
    sure(a->argument_count == b->argument_count, "arguments");
    for (uint32_t i = 0; i < a->argument_count; i++)
        sure(strcmp(a->argument[i], b->argument[i]) == 0, "argument");
    sure(a->frames == b->frames && rows_same(&a->run, &b->run), "memory and rows");
    sure(a->rows_count == b->rows_count && a->disk_count == b->disk_count &&
             a->device_count == b->device_count && a->line_count == b->line_count,
         "counts");
    for (uint32_t i = 0; i < a->rows_count; i++) sure(rows_same(&a->rows[i], &b->rows[i]), "rows");
    for (uint32_t i = 0; i < a->disk_count; i++) sure(disk_same(&a->disk[i], &b->disk[i]), "disk");
    for (uint32_t i = 0; i < a->device_count; i++)
        sure(device_same(&a->device[i], &b->device[i]), "device");
    for (uint32_t i = 0; i < a->line_count; i++) sure(device_same(&a->irq[i], &b->irq[i]), "line");
    sure(a->console == b->console && a->restart == b->restart &&
             a->restarts_max == b->restarts_max && a->restart_seconds == b->restart_seconds &&
             a->optional == b->optional && a->control == b->control,
         "console, restarts, words");
}

/* ---- limits ---- */

static void rows_check(const struct manifest_rows *rows, int rest) {
    sure((rows->count >= 1 && rows->count <= EXO_ROWS) || (rest && rows->count == MANIFEST_ANY),
         "number of rows");
    sure(rows->hart < EXO_HARTS_MAX || rows->hart == MANIFEST_ANY, "hart");
}

static void program_check(const struct manifest *manifest, const struct manifest_program *program) {
    sure(program->argument_count >= 1 && program->argument_count <= MANIFEST_ARGUMENTS_MAX,
         "number of arguments");
    for (uint32_t i = 0; i < program->argument_count; i++) {
        const char *word = program->argument[i];
        sure(word >= manifest->text && word < manifest->text + MANIFEST_TEXT_BYTES &&
                 memchr(word, 0, (size_t)(manifest->text + MANIFEST_TEXT_BYTES - word)),
             "argument within the text");
    }
    sure(*program->argument[0] && program->frames <= 1ul << EXO_FRAME_NUMBER_BITS, "memory");
    sure(program->rows_count <= MANIFEST_ITEMS_MAX && program->disk_count <= MANIFEST_ITEMS_MAX &&
             program->device_count <= MANIFEST_ITEMS_MAX &&
             program->line_count <= MANIFEST_ITEMS_MAX,
         "number of lines");
    rows_check(&program->run, 0);
    for (uint32_t i = 0; i < program->rows_count; i++) rows_check(&program->rows[i], 1);
    for (uint32_t i = 0; i < program->disk_count; i++) {
        const struct manifest_disk *disk = &program->disk[i];
        sure(disk->disk < EXO_DISKS_MAX && disk->first + disk->count >= disk->first, "sectors");
        sure(disk->extent != MANIFEST_SECTORS || disk->count > 0, "number of sectors");
    }
    for (uint32_t i = 0; i < program->line_count; i++)
        sure(program->irq[i].number < EXO_LINES_MAX, "interrupt line");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct manifest manifest, again;
    struct manifest_error error = {0};
    char *copy = malloc(size + !size); /* so that ASan sees a byte behind it */

    memcpy(copy, data, size);
    bool right = manifest_read(copy, size, &manifest, &error);
    free(copy);
    if (!right) {
        sure(error.text && *error.text, "error text");
        sure(memchr(error.word, 0, sizeof(error.word)) != NULL, "error word");
        return 0;
    }
    text_bytes = 0;
    for (uint32_t i = 0; i < manifest.program_count; i++) {
        program_check(&manifest, &manifest.program[i]);
        put_program(&manifest.program[i]);
    }
    if (text_bytes > MANIFEST_BYTES_MAX) return 0;
    sure(manifest_read(text, text_bytes, &again, &error), "it is read again");
    sure(manifest.program_count == again.program_count, "number of programs");
    for (uint32_t i = 0; i < manifest.program_count; i++)
        program_compare(&manifest.program[i], &again.program[i]);
    return 0;
}
