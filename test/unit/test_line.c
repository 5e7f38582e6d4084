/* SPDX-License-Identifier: MIT */
/*
 * The line editor against a terminal of a few lines: whatever is typed, the
 * screen shows the prompt and the text, with the cursor where it belongs.
 */
/* cmocka.h wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <exo/line.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 1000
#define LEFT "\033[D"
#define RIGHT "\033[C"
#define UP "\033[A"
#define DOWN "\033[B"
#define HOME "\033[H"
#define END "\033[F"
#define ERASE "\033[3~" /* the key Delete */
#define CTRL_A "\001"
#define CTRL_C "\003"
#define CTRL_D "\004"
#define CTRL_E "\005"
#define CTRL_K "\013"
#define CTRL_L "\014"
#define CTRL_U "\025"
#define CTRL_W "\027"

/* ---- a terminal: characters by column, of the row where the cursor is ---- */

static struct {
    uint32_t cells[COLUMNS];
    uint32_t column;
    uint32_t character; /* of UTF-8, so far */
    uint32_t rows;      /* line feeds so far */
    bool cleared;
} screen;

static void screen_clear(uint32_t from) {
    for (uint32_t i = from; i < COLUMNS; i++) screen.cells[i] = ' ';
}

static void screen_byte(unsigned char byte) {
    if ((byte & 0xc0) == 0x80) {
        assert_true(screen.column > 0);
        screen.character = screen.character << 8 | byte;
        screen.cells[screen.column - 1] = screen.character;
        return;
    }
    assert_true(byte >= ' ' && byte != 127);
    assert_true(screen.column < COLUMNS);
    screen.character = byte;
    screen.cells[screen.column++] = byte;
}

static void screen_write(const char *bytes, uint64_t count) {
    for (const char *at = bytes, *end = bytes + count; at < end; at++) {
        if (*at == '\b') {
            assert_true(screen.column > 0);
            screen.column--;
        } else if (*at == '\r') {
            screen.column = 0;
        } else if (*at == '\n') {
            screen.rows++;
            screen.column = 0;
            screen_clear(0);
        } else if (*at == '\033') {
            assert_true(end - at >= 3 && at[1] == '[');
            at += 2;
            if (*at == 'K' || *at == 'J') screen_clear(screen.column);
            if (*at == 'H') screen.column = 0, screen.cleared = true;
            assert_non_null(strchr("KJH", *at));
        } else {
            screen_byte((unsigned char)*at);
        }
    }
}

/* Does the screen show this text from a column on, and nothing else?  Columns of it. */
static uint32_t shows(uint32_t column, const char *text, size_t bytes) {
    uint32_t character = 0, from = column;

    for (size_t i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool continued = (byte & 0xc0) == 0x80;
        character = continued ? character << 8 | byte : byte;
        if (!continued) column++;
        /* A character is complete when the next one begins. */
        if (i + 1 == bytes || ((unsigned char)text[i + 1] & 0xc0) != 0x80)
            assert_int_equal(screen.cells[column - 1], character);
    }
    return column - from;
}

static void screen_check(const struct line *line) {
    uint32_t prompt = shows(0, line->prompt, strlen(line->prompt));
    uint32_t text = shows(prompt, line->text, line->length);

    assert_int_equal(strlen(line->text), line->length);
    for (uint32_t i = prompt + text; i < COLUMNS; i++) assert_int_equal(screen.cells[i], ' ');
    assert_int_equal(screen.column, prompt + shows(prompt, line->text, line->cursor));
}

/* ---- typing ---- */

static struct line *line;

static int setup(void **state) {
    (void)state;
    memset(&screen, 0, sizeof(screen));
    screen_clear(0);
    line = calloc(1, sizeof(*line));
    line->write = screen_write;
    line->prompt = "exo> ";
    line_begin(line);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    free(line);
    return 0;
}

static enum line_result type(const char *keys) {
    enum line_result result = LINE_MORE;

    for (; *keys; keys++) {
        assert_int_equal(result, LINE_MORE);
        result = line_key(line, *keys);
        if (result == LINE_MORE) screen_check(line);
    }
    return result;
}

/* Type, and see text and cursor. */
static void expect(const char *keys, const char *text, uint32_t cursor) {
    assert_int_equal(type(keys), LINE_MORE);
    assert_string_equal(line->text, text);
    assert_int_equal(line->cursor, cursor);
}

static void enter(const char *keys) {
    assert_int_equal(type(keys), LINE_MORE);
    assert_int_equal(type("\r"), LINE_DONE);
    line_begin(line);
}

static void test_typing(void **state) {
    (void)state;
    expect("hello", "hello", 5);
    expect(LEFT LEFT "p", "helplo", 4);
    assert_int_equal(type("\r"), LINE_DONE);
    assert_string_equal(line->text, "helplo");
    assert_int_equal(screen.rows, 1);
}

static void test_moves(void **state) {
    (void)state;
    expect("one two", "one two", 7);
    expect(CTRL_A, "one two", 0);
    expect(LEFT, "one two", 0);
    expect(RIGHT RIGHT, "one two", 2);
    expect(CTRL_E, "one two", 7);
    expect(RIGHT, "one two", 7);
    expect(HOME, "one two", 0);
    expect(END, "one two", 7);
    expect("\033[1~", "one two", 0);
    expect("\033[4~", "one two", 7);
    expect("\033OH", "one two", 0);
    expect("\033OF", "one two", 7);
    expect("\002\002\006", "one two", 6);
}

static void test_erasing(void **state) {
    (void)state;
    expect("abc def  ghi", "abc def  ghi", 12);
    expect("\177", "abc def  gh", 11);
    expect("\010", "abc def  g", 10);
    expect(CTRL_W, "abc def  ", 9);
    expect(CTRL_W, "abc ", 4);
    expect(CTRL_A ERASE, "bc ", 0);
    expect(CTRL_D, "c ", 0);
    expect("\177", "c ", 0);
    expect("123" CTRL_K, "123", 3);
    expect(LEFT CTRL_U, "3", 0);
    expect(END ERASE, "3", 1);
}

static void test_utf8(void **state) {
    (void)state;
    expect("a\303\244\342\202\254z", "a\303\244\342\202\254z", 7);
    expect(LEFT LEFT, "a\303\244\342\202\254z", 3);
    expect("\177", "a\342\202\254z", 1);
    expect("\303\266", "a\303\266\342\202\254z", 3);
    expect(ERASE, "a\303\266z", 3);
    expect("\200\377\342\202x\303" LEFT "y", "a\303\266yxz", 4);
}

static void test_history(void **state) {
    (void)state;
    enter("first");
    enter("second");
    enter("second");
    enter("");
    expect("new" UP, "second", 6);
    expect(UP, "first", 5);
    expect(UP, "first", 5);
    expect(DOWN DOWN, "new", 3);
    expect(DOWN, "new", 3);
    expect(UP UP "!", "first!", 6);
    assert_int_equal(type("\r"), LINE_DONE);
    line_begin(line);
    expect(UP, "first!", 6);
    expect("\020\020", "first", 5);
    expect("\016", "second", 6);
    for (int i = 0; i < LINE_HISTORY + 5; i++) enter(i % 2 ? CTRL_U "odd" : CTRL_U "even");
    assert_int_equal(line->history_count, LINE_HISTORY);
}

static void test_ends(void **state) {
    (void)state;
    expect("abc" LEFT, "abc", 2);
    assert_int_equal(type(CTRL_C), LINE_BREAK);
    line_begin(line);
    assert_int_equal(type("a" CTRL_D), LINE_MORE);
    expect("\177", "", 0);
    assert_int_equal(type(CTRL_D), LINE_END);
}

static void test_strange_keys(void **state) {
    (void)state;
    expect("ab\033[5~\033[1;5C\033[200~\033q\033[Z\t\001\0201" CTRL_A, "1ab", 0);
    expect(CTRL_L, "1ab", 0);
    assert_true(screen.cleared);
}

static void test_long_line(void **state) {
    (void)state;
    for (int i = 0; i < LINE_BYTES + 10; i++) type("x");
    assert_int_equal(line->length, LINE_BYTES - 1);
    expect(CTRL_A "y", line->text, 0);
    assert_int_equal(line->text[0], 'x');
}

static void test_hide(void **state) {
    (void)state;
    expect("abc" LEFT, "abc", 2);
    line_hide(line);
    screen_write("a message\n", 10);
    line_show(line);
    screen_check(line);
}

/* Any keys in any order. */
static void test_random(void **state) {
    static const char *const keys[] = {
        "a",    "b c",  " ",    LEFT,   RIGHT,  UP,     DOWN,   HOME,       END,           ERASE,
        CTRL_A, CTRL_E, CTRL_K, CTRL_U, CTRL_W, CTRL_L, "\177", "\303\244", "\342\202\254"};
    uint32_t random = 1;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        random = random * 1103515245 + 12345;
        uint32_t choice = random >> 16;
        if (choice % 50 == 0)
            enter("");
        else if (line->length < COLUMNS / 4)
            type(keys[choice % (sizeof(keys) / sizeof(keys[0]))]);
        else
            type(CTRL_U);
    }
}

#define LINE_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        LINE_TEST(test_typing),       LINE_TEST(test_moves),     LINE_TEST(test_erasing),
        LINE_TEST(test_utf8),         LINE_TEST(test_history),   LINE_TEST(test_ends),
        LINE_TEST(test_strange_keys), LINE_TEST(test_long_line), LINE_TEST(test_hide),
        LINE_TEST(test_random),
    };
    return cmocka_run_group_tests_name("line", tests, NULL, NULL);
}
