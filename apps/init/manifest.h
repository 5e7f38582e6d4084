/* SPDX-License-Identifier: MIT */
/*
 * Reader of the manifest: the text in the boot archive that says which programs
 * init starts, and with what (docs/init.md).
 *
 * It reads bytes from outside, so any input gives a manifest that keeps the
 * limits below or an error that names the line.  It knows nothing of the machine:
 * whether there is such a hart or disk init finds out.  It allocates nothing and
 * depends on nothing of exo but the ABI's limits: host programs compile it too.
 */
#pragma once
#include <exo/abi.h>
#include <stdbool.h>

#define MANIFEST_PROGRAMS_MAX 16
#define MANIFEST_ARGUMENTS_MAX 32
#define MANIFEST_ITEMS_MAX 4      /* `rows`, `disk`, `device` and `line` lines of a program, each */
#define MANIFEST_TEXT_BYTES 16384 /* of all arguments and names, each with a zero byte */
#define MANIFEST_BYTES_MAX 65536  /* of the file */
#define MANIFEST_ANY (~0ul)       /* instead of a number: what the line did not say */
#define MANIFEST_RESTARTS 5       /* in ... */
#define MANIFEST_RESTART_SECONDS 10

/* Rows of harts. */
struct manifest_rows {
    uint32_t line;
    uint64_t count; /* MANIFEST_ANY: all that are left */
    uint64_t hart;  /* MANIFEST_ANY: init chooses, or each */
    bool urgent;
};

enum manifest_extent { MANIFEST_WHOLE, MANIFEST_SECTORS, MANIFEST_PARTITION };

/* A range of a disk. */
struct manifest_disk {
    uint32_t line;
    enum manifest_extent extent;
    uint64_t disk;
    uint64_t first; /* of SECTORS */
    uint64_t count;
    const char *partition; /* of PARTITION: its name in the GPT */
    uint64_t entries;      /* of the disk's ring; MANIFEST_ANY: an equal share */
    bool write;
};

/* A device, or its interrupt line: by kind, or by the number of kind 0. */
struct manifest_device {
    uint32_t line;
    uint32_t kind;   /* EXO_DEVICE_NS16550 stands for any UART */
    uint64_t number; /* physical address, or interrupt line */
};

enum manifest_restart { MANIFEST_NEVER, MANIFEST_FAULT, MANIFEST_ALWAYS };
enum manifest_console { MANIFEST_OUTPUT, MANIFEST_INPUT, MANIFEST_SILENT, MANIFEST_DRIVER };

struct manifest_program {
    uint32_t line;
    uint32_t argument_count; /* the first is the program's name in the archive */
    const char *argument[MANIFEST_ARGUMENTS_MAX];
    uint64_t frames;          /* of memory; 0: an equal share of what is left */
    struct manifest_rows run; /* those that it runs by */
    uint32_t rows_count;      /* those that it may bind itself */
    uint32_t disk_count;
    uint32_t device_count;
    uint32_t line_count;
    struct manifest_rows rows[MANIFEST_ITEMS_MAX];
    struct manifest_disk disk[MANIFEST_ITEMS_MAX];
    struct manifest_device device[MANIFEST_ITEMS_MAX];
    struct manifest_device irq[MANIFEST_ITEMS_MAX];
    enum manifest_restart restart;
    uint64_t restarts_max; /* in restart_seconds */
    uint64_t restart_seconds;
    enum manifest_console console;
    bool optional; /* without it the others run all the same */
    bool control;  /* it may ask init about the other programs, and to end them */
    uint32_t said; /* the reader's own: properties that were there already */
};

struct manifest {
    uint32_t program_count;
    struct manifest_program program[MANIFEST_PROGRAMS_MAX];
    uint64_t text_bytes; /* used of text */
    char text[MANIFEST_TEXT_BYTES];
};

#define MANIFEST_WORD_BYTES 32 /* of the offending word, cut to that */

struct manifest_error {
    uint32_t line;                  /* from 1; 0: the whole file */
    const char *text;               /* what is wrong, and what would be right */
    char word[MANIFEST_WORD_BYTES]; /* where; may be empty */
};

/* Read the file in bytes[0, size).  False and *error, and *manifest is undefined; else true. */
bool manifest_read(const char *bytes, uint64_t size, struct manifest *manifest,
                   struct manifest_error *error);
