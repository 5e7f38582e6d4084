/* SPDX-License-Identifier: MIT */
/*
 * Line editing on a terminal, with history (exo::line).
 *
 * A struct line takes bytes as they were typed and writes what a terminal needs
 * to show them (ECMA-48: backspace, carriage return, CSI K, CSI H, CSI J).  It
 * reads nothing itself, so a program can wait for other things meanwhile, and it
 * depends on nothing of exo.
 *
 *   arrows, Ctrl-B Ctrl-F, Home End, Ctrl-A Ctrl-E   move
 *   Backspace, Delete, Ctrl-D                        erase a character
 *   Ctrl-U Ctrl-K Ctrl-W                             ... to the begin, to the end, a word
 *   up, down, Ctrl-P Ctrl-N                          older and newer lines
 *   Ctrl-L                                           clear the screen
 *   Enter; Ctrl-C; Ctrl-D on an empty line           end the line
 *
 * Text is UTF-8; every character is taken to be one column wide, and a line that
 * is wider than the terminal looks odd.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define LINE_BYTES 512 /* of a line, with its zero byte */
#define LINE_HISTORY 32

typedef void line_write(const char *bytes, uint64_t count);

struct line {
    line_write *write; /* the program fills in these two */
    const char *prompt;
    char text[LINE_BYTES]; /* ends with a zero byte */
    uint32_t length;
    uint32_t cursor;    /* offset in the text */
    uint32_t escape;    /* what came of an escape sequence */
    uint32_t parameter; /* ... and its number */
    char character[4];  /* of UTF-8, as far as it came */
    uint32_t character_bytes;
    uint32_t older; /* how many lines back the one that is shown comes from; 0: it is new */
    uint32_t history_count;
    char history[LINE_HISTORY][LINE_BYTES]; /* the newest first */
    char edited[LINE_BYTES];                /* the new line while an older one is shown */
};

enum line_result {
    LINE_MORE,
    LINE_DONE,  /* it is in `text` */
    LINE_BREAK, /* Ctrl-C */
    LINE_END,   /* Ctrl-D on an empty line */
};

/* Begin a line: show the prompt. */
void line_begin(struct line *line);

/* Take one typed byte. */
enum line_result line_key(struct line *line, char key);

/* Take the line from the screen so that something else can be written there, and show it again. */
void line_hide(struct line *line);
void line_show(struct line *line);
