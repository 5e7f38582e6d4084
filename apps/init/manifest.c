/* SPDX-License-Identifier: MIT */
/* Reader of the manifest: see manifest.h; the language is told in docs/init.md. */
#include "manifest.h"

#include <string.h>

#define WORDS_MAX (MANIFEST_ARGUMENTS_MAX + 1)
#define FRAMES_MAX (1ul << EXO_FRAME_NUMBER_BITS)
#define RESTARTS_MAX 1000
#define SECONDS_MAX 86400

struct reader {
    struct manifest *manifest;
    struct manifest_error *error;
    struct manifest_program *program; /* the one that lines tell of; NULL before the first */
    uint32_t line;
    uint32_t word_count;
    uint32_t next; /* word of the line */
    const char *word[WORDS_MAX];
};

/* Note what is wrong; false. */
static bool wrong(struct reader *reader, const char *word, const char *text) {
    struct manifest_error *error = reader->error;

    error->line = reader->line;
    error->text = text;
    strncpy(error->word, word ? word : "", sizeof(error->word) - 1);
    error->word[sizeof(error->word) - 1] = 0;
    return false;
}

/* ---- words ---- */

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static int digit_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 16;
}

/* Add a byte to the text of all words. */
static bool text_add(struct reader *reader, char c) {
    struct manifest *manifest = reader->manifest;

    if (manifest->text_bytes == MANIFEST_TEXT_BYTES)
        return wrong(reader, NULL, "the manifest's words are too long: more than 16K in all");
    manifest->text[manifest->text_bytes++] = c;
    return true;
}

/* The character that an escape stands for; *at is behind the backslash and moves on. */
static bool escape_read(struct reader *reader, const char **at, const char *end, char *c) {
    static const char names[] = "\"\\nt", values[] = "\"\\\n\t";
    const char *found = *at < end ? memchr(names, **at, sizeof(names) - 1) : NULL;

    if (found) {
        *c = values[found - names];
        *at += 1;
        return true;
    }
    if (end - *at >= 3 && **at == 'x') {
        int high = digit_value((*at)[1]), low = digit_value((*at)[2]);
        *c = (char)(high << 4 | low);
        *at += 3;
        if (high < 16 && low < 16 && *c) return true;
    }
    return wrong(reader, NULL, "after \\ comes one of \" \\ n t, or x and two digits, not 00");
}

/* A word in quotes; *at is behind the first one. */
static bool quoted_read(struct reader *reader, const char **at, const char *end) {
    while (*at < end && **at != '"') {
        char c = *(*at)++;
        if (c == '\\' && !escape_read(reader, at, end, &c)) return false;
        if (!text_add(reader, c)) return false;
    }
    if (*at == end) return wrong(reader, NULL, "a quote is not closed on its line");
    *at += 1;
    if (*at < end && !is_blank(**at)) return wrong(reader, NULL, "a blank must follow a quote");
    return true;
}

static bool plain_read(struct reader *reader, const char **at, const char *end) {
    for (; *at < end && !is_blank(**at); *at += 1) {
        if (**at == '"') return wrong(reader, NULL, "a quote begins in a word; it goes around it");
        if (!text_add(reader, **at)) return false;
    }
    return true;
}

/* Split a line into words, in the text of the manifest. */
static bool words_read(struct reader *reader, const char *at, const char *end) {
    struct manifest *manifest = reader->manifest;

    reader->word_count = reader->next = 0;
    for (;;) {
        while (at < end && is_blank(*at)) at++;
        if (at == end || *at == '#') return true;
        if (reader->word_count == WORDS_MAX)
            return wrong(reader, NULL, "too many words: a program has up to 32 arguments");
        reader->word[reader->word_count++] = manifest->text + manifest->text_bytes;
        bool quoted = *at == '"';
        at += quoted;
        if (quoted ? !quoted_read(reader, &at, end) : !plain_read(reader, &at, end)) return false;
        if (!text_add(reader, 0)) return false;
    }
}

/* The next word of the line, or NULL. */
static const char *word_next(struct reader *reader) {
    return reader->next < reader->word_count ? reader->word[reader->next++] : NULL;
}

/* Is the next word this one?  Then it is taken. */
static bool word_is(struct reader *reader, const char *word) {
    if (reader->next == reader->word_count || strcmp(reader->word[reader->next], word) != 0)
        return false;
    reader->next++;
    return true;
}

/* ---- numbers ---- */

/* The digits from *at on, decimal or with 0x; false when there are none or they are too many. */
static bool digits_read(const char **at, uint64_t *number) {
    int base = 10;
    const char *first;

    if ((*at)[0] == '0' && (*at)[1] == 'x') {
        base = 16;
        *at += 2;
    }
    first = *at;
    *number = 0;
    for (; digit_value(**at) < base; *at += 1) {
        if (__builtin_mul_overflow(*number, (uint64_t)base, number) ||
            __builtin_add_overflow(*number, (uint64_t)digit_value(**at), number))
            return false;
    }
    return *at > first;
}

/* The next word as a number in these bounds. */
static bool number_read(struct reader *reader, uint64_t least, uint64_t most, const char *right,
                        uint64_t *number) {
    const char *word = word_next(reader), *at = word;

    if (!word || !digits_read(&at, number) || *at || *number < least || *number > most)
        return wrong(reader, word, right);
    return true;
}

static unsigned unit_shift(char unit) {
    return unit == 'K' ? 10 : unit == 'M' ? 20 : unit == 'G' ? 30 : 0;
}

/* A size of memory, as frames: 16M, or 64 frames. */
static bool size_read(struct reader *reader, uint64_t *frames) {
    static const char right[] = "no size; 512K, 16M, 1G, 64 frames or share would be one";
    const char *word = word_next(reader), *at = word;
    uint64_t number;

    if (!word || !digits_read(&at, &number)) return wrong(reader, word, right);
    unsigned shift = unit_shift(*at);
    if (shift == 0) {
        if (*at || !word_is(reader, "frames")) return wrong(reader, word, right);
    } else {
        if (at[1] || number > FRAMES_MAX || (number << shift) % EXO_FRAME_BYTES)
            return wrong(reader, word, "a size is a whole number of frames of 4K");
        number = (number << shift) / EXO_FRAME_BYTES;
    }
    if (number == 0 || number > FRAMES_MAX)
        return wrong(reader, word, "that much memory is no program's; at least 4K, at most 256G");
    *frames = number;
    return true;
}

/* ---- properties ---- */

static bool memory_read(struct reader *reader) {
    return word_is(reader, "share") || size_read(reader, &reader->program->frames);
}

static bool rows_options(struct reader *reader, struct manifest_rows *rows) {
    while (reader->next < reader->word_count) {
        if (word_is(reader, "urgent")) {
            rows->urgent = true;
        } else if (word_is(reader, "hart")) {
            if (!number_read(reader, 0, EXO_HARTS_MAX - 1, "no hart; they count from 0 to 31",
                             &rows->hart))
                return false;
        } else {
            return wrong(reader, word_next(reader), "only urgent and hart N may follow");
        }
    }
    return true;
}

static bool run_read(struct reader *reader) {
    struct manifest_rows *rows = &reader->program->run;

    rows->line = reader->line;
    return number_read(reader, 1, EXO_ROWS, "no number of rows; 1 to 64 would be", &rows->count) &&
           rows_options(reader, rows);
}

static bool rows_read(struct reader *reader) {
    struct manifest_program *program = reader->program;
    struct manifest_rows *rows = &program->rows[program->rows_count];

    if (program->rows_count == MANIFEST_ITEMS_MAX)
        return wrong(reader, NULL, "a program has at most 4 lines of this kind");
    *rows = (struct manifest_rows){reader->line, MANIFEST_ANY, MANIFEST_ANY, false};
    program->rows_count++;
    if (!word_is(reader, "rest") &&
        !number_read(reader, 1, EXO_ROWS, "no number of rows; 1 to 64, or rest, would be",
                     &rows->count))
        return false;
    return rows_options(reader, rows);
}

static bool extent_read(struct reader *reader, struct manifest_disk *disk) {
    static const char sectors[] = "no sectors; their first and their number would be";

    if (word_is(reader, "all")) return true;
    if (word_is(reader, "partition")) {
        disk->extent = MANIFEST_PARTITION;
        disk->partition = word_next(reader);
        return (disk->partition && *disk->partition) ||
               wrong(reader, NULL, "the name of the partition is missing");
    }
    if (word_is(reader, "sectors")) {
        disk->extent = MANIFEST_SECTORS;
        return number_read(reader, 0, ~0ul - 1, sectors, &disk->first) &&
               number_read(reader, 1, ~0ul - disk->first, sectors, &disk->count);
    }
    return wrong(reader, word_next(reader), "all, sectors FIRST COUNT or partition NAME must come");
}

static bool disk_options(struct reader *reader, struct manifest_disk *disk) {
    while (reader->next < reader->word_count) {
        if (word_is(reader, "read")) {
            disk->write = false;
        } else if (word_is(reader, "write")) {
            disk->write = true;
        } else if (word_is(reader, "entries")) {
            if (!number_read(reader, 1, EXO_ENTRIES, "no number of entries; 1 to 128 would be",
                             &disk->entries))
                return false;
        } else {
            return wrong(reader, word_next(reader), "only read, write and entries N may follow");
        }
    }
    return true;
}

static bool disk_read(struct reader *reader) {
    struct manifest_program *program = reader->program;
    struct manifest_disk *disk = &program->disk[program->disk_count];

    if (program->disk_count == MANIFEST_ITEMS_MAX)
        return wrong(reader, NULL, "a program has at most 4 lines of this kind");
    *disk = (struct manifest_disk){.line = reader->line, .entries = MANIFEST_ANY};
    program->disk_count++;
    return number_read(reader, 0, EXO_DISKS_MAX - 1, "no disk; they count from 0 to 3",
                       &disk->disk) &&
           extent_read(reader, disk) && disk_options(reader, disk);
}

/* A kind of device, or a number. */
static bool named_read(struct reader *reader, uint32_t *count, struct manifest_device *items,
                       uint64_t most, const char *right) {
    struct manifest_device *item = &items[*count];

    if (*count == MANIFEST_ITEMS_MAX)
        return wrong(reader, NULL, "a program has at most 4 lines of this kind");
    *item = (struct manifest_device){.line = reader->line};
    *count += 1;
    if (word_is(reader, "uart"))
        item->kind = EXO_DEVICE_NS16550;
    else if (word_is(reader, "rtc"))
        item->kind = EXO_DEVICE_RTC;
    else
        return number_read(reader, 1, most, right, &item->number);
    return true;
}

static bool device_read(struct reader *reader) {
    return named_read(reader, &reader->program->device_count, reader->program->device, ~0ul,
                      "no device; uart, rtc or an address like 0x10000000 would be one");
}

static bool line_read(struct reader *reader) {
    return named_read(reader, &reader->program->line_count, reader->program->irq, EXO_LINES_MAX - 1,
                      "no interrupt line; uart, rtc or 1 to 127 would be one");
}

static bool console_read(struct reader *reader) {
    struct manifest *manifest = reader->manifest;
    struct manifest_program *program = reader->program;

    if (word_is(reader, "output"))
        program->console = MANIFEST_OUTPUT;
    else if (word_is(reader, "none"))
        program->console = MANIFEST_SILENT;
    else if (word_is(reader, "input"))
        program->console = MANIFEST_INPUT;
    else if (word_is(reader, "driver"))
        program->console = MANIFEST_DRIVER;
    else
        return wrong(reader, word_next(reader), "output, input, none or driver must come");
    if (program->console != MANIFEST_INPUT && program->console != MANIFEST_DRIVER) return true;
    for (uint32_t i = 0; i + 1 < manifest->program_count; i++)
        if (manifest->program[i].console == program->console)
            return wrong(reader, reader->word[1], "another program is that; only one can be");
    return true;
}

static bool restart_read(struct reader *reader) {
    struct manifest_program *program = reader->program;

    if (word_is(reader, "always"))
        program->restart = MANIFEST_ALWAYS;
    else if (word_is(reader, "fault"))
        program->restart = MANIFEST_FAULT;
    else if (word_is(reader, "never"))
        return true;
    else
        return wrong(reader, word_next(reader), "never, fault or always must come");
    if (reader->next == reader->word_count) return true;
    if (!number_read(reader, 1, RESTARTS_MAX, "no number of restarts; 1 to 1000 would be",
                     &program->restarts_max))
        return false;
    if (!word_is(reader, "in")) return wrong(reader, word_next(reader), "in SECONDS must come");
    return number_read(reader, 1, SECONDS_MAX, "no number of seconds; 1 to 86400 would be",
                       &program->restart_seconds);
}

static bool optional_read(struct reader *reader) {
    reader->program->optional = true;
    return true;
}

static bool control_read(struct reader *reader) {
    reader->program->control = true;
    return true;
}

/* ---- lines ---- */

static bool program_read(struct reader *reader) {
    struct manifest *manifest = reader->manifest;

    if (manifest->program_count == MANIFEST_PROGRAMS_MAX)
        return wrong(reader, NULL, "there are more than 16 programs");
    if (reader->word_count == 1 || *reader->word[1] == 0)
        return wrong(reader, NULL, "the program's name is missing");
    struct manifest_program *program = &manifest->program[manifest->program_count++];
    *program = (struct manifest_program){
        .line = reader->line,
        .run = {.line = reader->line, .count = 1, .hart = MANIFEST_ANY},
        .restarts_max = MANIFEST_RESTARTS,
        .restart_seconds = MANIFEST_RESTART_SECONDS,
        .argument_count = reader->word_count - 1,
    };
    memcpy(program->argument, reader->word + 1, (reader->word_count - 1) * sizeof(char *));
    reader->program = program;
    return true;
}

static const struct property {
    const char *name;
    bool (*read)(struct reader *reader);
    bool repeated;
} properties[] = {
    {"memory", memory_read, false},   {"run", run_read, false},
    {"rows", rows_read, true},        {"disk", disk_read, true},
    {"device", device_read, true},    {"line", line_read, true},
    {"console", console_read, false}, {"restart", restart_read, false},
    {"control", control_read, false}, {"optional", optional_read, false},
};
#define PROPERTIES (sizeof(properties) / sizeof(properties[0]))

static bool property_read(struct reader *reader) {
    const char *name = reader->word[0];
    uint32_t i = 0;

    while (i < PROPERTIES && strcmp(properties[i].name, name) != 0) i++;
    if (i == PROPERTIES)
        return wrong(reader, name,
                     "no word to begin a line with; these are: program memory run rows disk device "
                     "line console restart control optional");
    if (!reader->program) return wrong(reader, name, "a line with program NAME must come before");
    if (!properties[i].repeated && (reader->program->said >> i & 1))
        return wrong(reader, name, "this program has such a line already");
    reader->program->said |= 1u << i;
    reader->next = 1;
    if (!properties[i].read(reader)) return false;
    return reader->next == reader->word_count ||
           wrong(reader, word_next(reader), "nothing may follow here");
}

static bool line_check(struct reader *reader, const char *at, const char *end) {
    for (; at < end; at++)
        if ((unsigned char)*at < ' ' && !is_blank(*at))
            return wrong(reader, NULL, "a control character; the manifest is text");
    return true;
}

static bool one_line(struct reader *reader, const char *at, const char *end) {
    uint64_t before = reader->manifest->text_bytes;

    if (!line_check(reader, at, end) || !words_read(reader, at, end)) return false;
    if (reader->word_count == 0) return true;
    if (strcmp(reader->word[0], "program") == 0) return program_read(reader);
    if (!property_read(reader)) return false;
    /* Only the name of a partition is still wanted. */
    if (strcmp(reader->word[0], "disk") != 0) reader->manifest->text_bytes = before;
    return true;
}

bool manifest_read(const char *bytes, uint64_t size, struct manifest *manifest,
                   struct manifest_error *error) {
    struct reader reader = {.manifest = manifest, .error = error};
    const char *at = bytes, *end = bytes + size;

    memset(manifest, 0, sizeof(*manifest));
    if (size > MANIFEST_BYTES_MAX) return wrong(&reader, NULL, "it is longer than 64K");
    while (at < end) {
        const char *line_end = memchr(at, '\n', (uint64_t)(end - at));
        if (!line_end) line_end = end;
        reader.line++;
        if (!one_line(&reader, at, line_end)) return false;
        at = line_end < end ? line_end + 1 : end;
    }
    reader.line = 0;
    return manifest->program_count > 0 || wrong(&reader, NULL, "it names no program");
}
