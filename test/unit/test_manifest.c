/* SPDX-License-Identifier: MIT */
/*
 * The manifest: what each line means, and that every mistake is told with its
 * line and what would be right.
 */
/* cmocka.h wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "init/manifest.h"

static struct manifest manifest;

/* Read a text that is right; its first program. */
static const struct manifest_program *read_right(const char *text) {
    struct manifest_error error = {0};

    if (!manifest_read(text, strlen(text), &manifest, &error))
        fail_msg("line %u: \"%s\": %s", error.line, error.word, error.text);
    return &manifest.program[0];
}

/* Read a text that is wrong in this line, at this word. */
static void read_wrong(const char *text, uint32_t line, const char *word, const char *part) {
    struct manifest_error error = {0};

    if (manifest_read(text, strlen(text), &manifest, &error)) fail_msg("accepted: %s", text);
    if (error.line != line || strcmp(error.word, word) != 0 || !strstr(error.text, part))
        fail_msg("%s: told line %u, \"%s\": %s", text, error.line, error.word, error.text);
}

static void test_defaults(void **state) {
    (void)state;
    const struct manifest_program *program = read_right("program hello");
    assert_int_equal(manifest.program_count, 1);
    assert_int_equal(program->argument_count, 1);
    assert_string_equal(program->argument[0], "hello");
    assert_int_equal(program->line, 1);
    assert_int_equal(program->frames, 0);
    assert_int_equal(program->run.count, 1);
    assert_true(program->run.hart == MANIFEST_ANY);
    assert_false(program->run.urgent);
    assert_int_equal(program->restart, MANIFEST_NEVER);
    assert_int_equal(program->console, MANIFEST_OUTPUT);
    assert_false(program->optional || program->control);
}

static void test_words(void **state) {
    (void)state;
    const struct manifest_program *program =
        read_right("# a comment\n\n\tprogram  \"a b\" x#y \"\" \"q\\\"\\\\\\n\\t\\x41\" # end\r\n"
                   "program two");
    assert_int_equal(manifest.program_count, 2);
    assert_int_equal(program->line, 3);
    assert_int_equal(program->argument_count, 4);
    assert_string_equal(program->argument[0], "a b");
    assert_string_equal(program->argument[1], "x#y");
    assert_string_equal(program->argument[2], "");
    assert_string_equal(program->argument[3], "q\"\\\n\tA");
    assert_string_equal(manifest.program[1].argument[0], "two");
}

static void test_memory(void **state) {
    static const struct {
        const char *text;
        uint64_t frames;
    } sizes[] = {{"4K", 1},    {"1M", 256},  {"2G", 524288},      {"17 frames", 17},
                 {"share", 0}, {"0x10K", 4}, {"0x10 frames", 16}, {"256G", 1ul << 26}};
    char text[64];
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        snprintf(text, sizeof(text), "program p\nmemory %s\n", sizes[i].text);
        assert_int_equal(read_right(text)->frames, sizes[i].frames);
    }
}

static void test_rows(void **state) {
    (void)state;
    const struct manifest_program *program =
        read_right("program p\nrun 3 urgent hart 2\nrows rest urgent\nrows 12\nrows 4 hart 0\n");
    assert_int_equal(program->run.count, 3);
    assert_int_equal(program->run.hart, 2);
    assert_true(program->run.urgent);
    assert_int_equal(program->rows_count, 3);
    assert_true(program->rows[0].count == MANIFEST_ANY && program->rows[0].hart == MANIFEST_ANY);
    assert_true(program->rows[0].urgent);
    assert_int_equal(program->rows[1].count, 12);
    assert_true(program->rows[1].hart == MANIFEST_ANY && !program->rows[1].urgent);
    assert_int_equal(program->rows[2].count, 4);
    assert_int_equal(program->rows[2].hart, 0);
    assert_int_equal(program->rows[2].line, 5);
}

static void test_disks(void **state) {
    (void)state;
    const struct manifest_program *program =
        read_right("program p\ndisk 0 all\ndisk 1 sectors 34 2014 write entries 32\n"
                   "memory 4K\ndisk 3 partition \"my data\" entries 1 read\n");
    assert_int_equal(program->disk_count, 3);
    assert_int_equal(program->disk[0].extent, MANIFEST_WHOLE);
    assert_true(program->disk[0].entries == MANIFEST_ANY && !program->disk[0].write);
    assert_int_equal(program->disk[1].disk, 1);
    assert_int_equal(program->disk[1].extent, MANIFEST_SECTORS);
    assert_int_equal(program->disk[1].first, 34);
    assert_int_equal(program->disk[1].count, 2014);
    assert_int_equal(program->disk[1].entries, 32);
    assert_true(program->disk[1].write);
    assert_int_equal(program->disk[2].extent, MANIFEST_PARTITION);
    assert_string_equal(program->disk[2].partition, "my data");
    assert_int_equal(program->disk[2].line, 5);
}

static void test_others(void **state) {
    (void)state;
    const struct manifest_program *program =
        read_right("program console\ndevice uart\ndevice 0x10001000\nline uart\nline 10\n"
                   "console driver\nrestart always 3 in 60\noptional\n"
                   "program shell\nconsole input\ncontrol\nrestart fault\n"
                   "program quiet\nconsole none\nrestart never\n");
    assert_int_equal(program->device_count, 2);
    assert_int_equal(program->device[0].kind, EXO_DEVICE_NS16550);
    assert_int_equal(program->device[1].kind, 0);
    assert_int_equal(program->device[1].number, 0x10001000);
    assert_int_equal(program->line_count, 2);
    assert_int_equal(program->irq[1].number, 10);
    assert_int_equal(program->console, MANIFEST_DRIVER);
    assert_int_equal(program->restart, MANIFEST_ALWAYS);
    assert_int_equal(program->restarts_max, 3);
    assert_int_equal(program->restart_seconds, 60);
    assert_true(program->optional && !program->control);
    assert_int_equal(program[1].console, MANIFEST_INPUT);
    assert_true(program[1].control);
    assert_int_equal(program[1].restart, MANIFEST_FAULT);
    assert_int_equal(program[1].restarts_max, MANIFEST_RESTARTS);
    assert_int_equal(program[2].console, MANIFEST_SILENT);
}

static void test_wrong_lines(void **state) {
    static const struct {
        const char *text;
        uint32_t line;
        const char *word, *part;
    } mistakes[] = {
        {"", 0, "", "no program"},
        {"# nothing\n", 0, "", "no program"},
        {"memory 4M\n", 1, "memory", "program NAME must come before"},
        {"program\n", 1, "", "name is missing"},
        {"program \"\"\n", 1, "", "name is missing"},
        {"program p\nmemroy 4M\n", 2, "memroy", "memory run rows"},
        {"program p\nmemory\n", 2, "", "16M"},
        {"program p\nmemory 12Q\n", 2, "12Q", "16M"},
        {"program p\nmemory 12\n", 2, "12", "64 frames"},
        {"program p\nmemory 12 pages\n", 2, "12", "64 frames"},
        {"program p\nmemory 1K\n", 2, "1K", "frames of 4K"},
        {"program p\nmemory 4MB\n", 2, "4MB", "frames of 4K"},
        {"program p\nmemory 0M\n", 2, "0M", "at least 4K"},
        {"program p\nmemory 257G\n", 2, "257G", "at most 256G"},
        {"program p\nmemory 99999999999999999999K\n", 2, "99999999999999999999K", "16M"},
        {"program p\nmemory 4M\nmemory 4M\n", 3, "memory", "already"},
        {"program p\nmemory 4M 5M\n", 2, "5M", "nothing may follow"},
        {"program p\nrun\n", 2, "", "1 to 64"},
        {"program p\nrun 0\n", 2, "0", "1 to 64"},
        {"program p\nrun 65\n", 2, "65", "1 to 64"},
        {"program p\nrun 1 hart 32\n", 2, "32", "0 to 31"},
        {"program p\nrun 1 fast\n", 2, "fast", "urgent and hart"},
        {"program p\nrows some\n", 2, "some", "or rest"},
        {"program p\ndisk 4 all\n", 2, "4", "0 to 3"},
        {"program p\ndisk 0\n", 2, "", "sectors FIRST COUNT"},
        {"program p\ndisk 0 sectors 5\n", 2, "", "first and their number"},
        {"program p\ndisk 0 sectors 5 0\n", 2, "0", "first and their number"},
        {"program p\ndisk 0 sectors 18446744073709551614 2\n", 2, "2", "first and their number"},
        {"program p\ndisk 0 partition\n", 2, "", "name of the partition"},
        {"program p\ndisk 0 all entries 129\n", 2, "129", "1 to 128"},
        {"program p\ndisk 0 all append\n", 2, "append", "read, write"},
        {"program p\ndevice disk\n", 2, "disk", "uart, rtc"},
        {"program p\nline 128\n", 2, "128", "1 to 127"},
        {"program p\nconsole yes\n", 2, "yes", "input, none or driver"},
        {"program p\nconsole input\nprogram q\nconsole input\n", 4, "input", "only one"},
        {"program p\nrestart sometimes\n", 2, "sometimes", "never, fault or always"},
        {"program p\nrestart always 5\n", 2, "", "in SECONDS"},
        {"program p\nrestart always 5 in 0\n", 2, "0", "seconds"},
        {"program p\noptional yes\n", 2, "yes", "nothing may follow"},
        {"program \"p\n", 1, "", "not closed"},
        {"program \"p\"q\n", 1, "", "blank must follow"},
        {"program p\"q\"\n", 1, "", "goes around"},
        {"program \"\\q\"\n", 1, "", "after \\"},
        {"program \"\\x00\"\n", 1, "", "after \\"},
        {"program p\n\001\n", 2, "", "control character"},
        {"program p\nmemory aaaaaaaaaabbbbbbbbbbccccccccccdddd\n", 2,
         "aaaaaaaaaabbbbbbbbbbccccccccccd", "16M"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++)
        read_wrong(mistakes[i].text, mistakes[i].line, mistakes[i].word, mistakes[i].part);
}

/* `line` again and again behind `before`. */
static const char *repeat(const char *before, const char *line, unsigned times) {
    static char text[40000];
    char *at = text + sprintf(text, "%s", before);

    for (unsigned i = 0; i < times; i++) at += sprintf(at, "%s", line);
    return text;
}

static void test_limits(void **state) {
    (void)state;
    read_right(repeat("", "program p\n", MANIFEST_PROGRAMS_MAX));
    read_wrong(repeat("", "program p\n", MANIFEST_PROGRAMS_MAX + 1), 17, "", "16 programs");
    read_right(repeat("program p\n", "rows 1\n", MANIFEST_ITEMS_MAX));
    read_wrong(repeat("program p\n", "rows 1\n", MANIFEST_ITEMS_MAX + 1), 6, "", "at most 4");
    read_right(repeat("program", " a", MANIFEST_ARGUMENTS_MAX));
    read_wrong(repeat("program", " a", MANIFEST_ARGUMENTS_MAX + 1), 1, "", "32 arguments");
    /* "program" and 8,191 bytes of a word fit twice, with their zero bytes. */
    read_right(repeat("program ", "abcdefgh", (MANIFEST_TEXT_BYTES - 16) / 8));
    read_wrong(repeat("program ", "abcdefgh", MANIFEST_TEXT_BYTES / 8), 1, "", "16K");
    /* What property lines say takes no room for ever. */
    read_right(repeat("program p\n", "program p\nmemory 64 frames\n", 15));
    read_wrong(repeat("", "####################################\n", 1000), 0, "", "no program");
    struct manifest_error error;
    static char large[MANIFEST_BYTES_MAX + 1];
    memset(large, '\n', sizeof(large));
    assert_false(manifest_read(large, sizeof(large), &manifest, &error));
    assert_non_null(strstr(error.text, "64K"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),    cmocka_unit_test(test_words),
        cmocka_unit_test(test_memory),      cmocka_unit_test(test_rows),
        cmocka_unit_test(test_disks),       cmocka_unit_test(test_others),
        cmocka_unit_test(test_wrong_lines), cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests_name("manifest", tests, NULL, NULL);
}
