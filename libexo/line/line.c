/* SPDX-License-Identifier: MIT */
/* Line editing: see exo/line.h. */
#include <exo/line.h>
#include <string.h>

#define CONTROL(letter) ((letter)-64)
#define BACKSPACE 8
#define ESCAPE 27
#define DELETE 127
#define ERASE_TO_END "\033[K"
#define ERASE_ALL "\033[H\033[J"

/* States of an escape sequence. */
enum { NONE, BEGUN, SEQUENCE, ONE_MORE };

/* What cursor keys mean, as the control key that does the same. */
#define KEY_LEFT CONTROL('B')
#define KEY_RIGHT CONTROL('F')
#define KEY_OLDER CONTROL('P')
#define KEY_NEWER CONTROL('N')
#define KEY_HOME CONTROL('A')
#define KEY_LAST CONTROL('E')
#define KEY_NOTHING 0

/* ---- characters of UTF-8 ---- */

static bool is_continued(char byte) { return ((unsigned char)byte & 0xc0) == 0x80; }

static uint32_t place_before(const struct line *line, uint32_t place) {
    while (place > 0)
        if (!is_continued(line->text[--place])) break;
    return place;
}

static uint32_t place_after(const struct line *line, uint32_t place) {
    if (place < line->length) place++;
    while (place < line->length && is_continued(line->text[place])) place++;
    return place;
}

static uint32_t word_before(const struct line *line) {
    uint32_t place = line->cursor;

    while (place > 0 && line->text[place - 1] == ' ') place--;
    while (place > 0 && line->text[place - 1] != ' ') place--;
    return place;
}

/* ---- the screen ---- */

static void put(struct line *line, const char *bytes, uint64_t count) {
    if (count > 0) line->write(bytes, count);
}

static void put_text(struct line *line, uint32_t from, uint32_t to) {
    put(line, line->text + from, to - from);
}

/* Go back over the columns of this text. */
static void put_back(struct line *line, uint32_t from, uint32_t to) {
    char back[LINE_BYTES];
    uint64_t columns = 0;

    for (uint32_t i = from; i < to; i++)
        if (!is_continued(line->text[i])) back[columns++] = BACKSPACE;
    put(line, back, columns);
}

static void cursor_move(struct line *line, uint32_t to) {
    if (to < line->cursor)
        put_back(line, to, line->cursor);
    else
        put_text(line, line->cursor, to);
    line->cursor = to;
}

/* Show what is behind the cursor, and leave the cursor where it is. */
static void tail_show(struct line *line) {
    put_text(line, line->cursor, line->length);
    put_back(line, line->cursor, line->length);
}

void line_hide(struct line *line) { put(line, "\r" ERASE_TO_END, sizeof("\r" ERASE_TO_END) - 1); }

void line_show(struct line *line) {
    put(line, line->prompt, strlen(line->prompt));
    put_text(line, 0, line->cursor);
    tail_show(line);
}

/* ---- editing ---- */

static void insert(struct line *line, const char *bytes, uint32_t count) {
    if (count >= LINE_BYTES - line->length) return;
    memmove(line->text + line->cursor + count, line->text + line->cursor,
            line->length - line->cursor + 1);
    memcpy(line->text + line->cursor, bytes, count);
    line->length += count;
    cursor_move(line, line->cursor + count);
    tail_show(line);
}

/* How many bytes the character has that begins with this one; 0 if none does. */
static uint32_t character_length(char first) {
    unsigned char byte = (unsigned char)first;
    return byte < 0x80   ? 1
           : byte < 0xc2 ? 0
           : byte < 0xe0 ? 2
           : byte < 0xf0 ? 3
           : byte < 0xf5 ? 4
                         : 0;
}

/* Insert a character when its last byte has come.  What is no UTF-8 is left out. */
static void character(struct line *line, char byte) {
    if (!is_continued(byte)) line->character_bytes = 0;
    if (line->character_bytes == 0 && character_length(byte) == 0) return;
    line->character[line->character_bytes++] = byte;
    if (line->character_bytes < character_length(line->character[0])) return;
    insert(line, line->character, line->character_bytes);
    line->character_bytes = 0;
}

static void erase(struct line *line, uint32_t from, uint32_t to) {
    if (from == to) return;
    cursor_move(line, from);
    memmove(line->text + from, line->text + to, line->length - to + 1);
    line->length -= to - from;
    put(line, ERASE_TO_END, sizeof(ERASE_TO_END) - 1);
    tail_show(line);
}

static void replace(struct line *line, const char *text) {
    cursor_move(line, 0);
    line->length = (uint32_t)strlen(text);
    memcpy(line->text, text, line->length + 1);
    put(line, ERASE_TO_END, sizeof(ERASE_TO_END) - 1);
    cursor_move(line, line->length);
}

/* ---- history ---- */

static void history_show(struct line *line, uint32_t older) {
    if (older > line->history_count) return;
    if (line->older == 0) memcpy(line->edited, line->text, LINE_BYTES);
    line->older = older;
    replace(line, older ? line->history[older - 1] : line->edited);
}

static void history_add(struct line *line) {
    if (line->length == 0) return;
    if (line->history_count > 0 && strcmp(line->history[0], line->text) == 0) return;
    memmove(line->history[1], line->history[0], (LINE_HISTORY - 1) * LINE_BYTES);
    memcpy(line->history[0], line->text, LINE_BYTES);
    if (line->history_count < LINE_HISTORY) line->history_count++;
}

/* ---- keys ---- */

/* The key that a complete escape sequence stands for. */
static char sequence_key(const struct line *line, char last) {
    switch (last) {
    case 'A': return KEY_OLDER;
    case 'B': return KEY_NEWER;
    case 'C': return KEY_RIGHT;
    case 'D': return KEY_LEFT;
    case 'H': return KEY_HOME;
    case 'F': return KEY_LAST;
    case '~': break;
    default: return KEY_NOTHING;
    }
    switch (line->parameter) {
    case 1:
    case 7: return KEY_HOME;
    case 4:
    case 8: return KEY_LAST;
    case 3: return DELETE; /* told apart from the key of this code by the caller */
    default: return KEY_NOTHING;
    }
}

static void control(struct line *line, char key) {
    switch (key) {
    case KEY_LEFT: cursor_move(line, place_before(line, line->cursor)); break;
    case KEY_RIGHT: cursor_move(line, place_after(line, line->cursor)); break;
    case KEY_HOME: cursor_move(line, 0); break;
    case KEY_LAST: cursor_move(line, line->length); break;
    case KEY_OLDER: history_show(line, line->older + 1); break;
    case KEY_NEWER:
        if (line->older > 0) history_show(line, line->older - 1);
        break;
    case CONTROL('D'): erase(line, line->cursor, place_after(line, line->cursor)); break;
    case CONTROL('U'): erase(line, 0, line->cursor); break;
    case CONTROL('K'): erase(line, line->cursor, line->length); break;
    case CONTROL('W'): erase(line, word_before(line), line->cursor); break;
    case CONTROL('L'):
        put(line, ERASE_ALL, sizeof(ERASE_ALL) - 1);
        line_show(line);
        break;
    case BACKSPACE:
    case DELETE: erase(line, place_before(line, line->cursor), line->cursor); break;
    default: break;
    }
}

/* Take a byte of an escape sequence: CSI (ESC [ numbers letter) or SS3 (ESC O letter). */
static void escape(struct line *line, char byte) {
    if (line->escape == BEGUN) {
        line->parameter = 0;
        line->escape = byte == '[' ? SEQUENCE : byte == 'O' ? ONE_MORE : NONE;
        return;
    }
    if (line->escape == SEQUENCE && byte < 0x40) {
        if (byte >= '0' && byte <= '9' && line->parameter < 1000)
            line->parameter = line->parameter * 10 + (uint32_t)(byte - '0');
        return;
    }
    line->escape = NONE;
    char key = sequence_key(line, byte);
    control(line, key == DELETE ? CONTROL('D') : key);
}

void line_begin(struct line *line) {
    line->length = line->cursor = line->escape = line->older = line->character_bytes = 0;
    line->text[0] = 0;
    line_show(line);
}

enum line_result line_key(struct line *line, char key) {
    if (line->escape != NONE) {
        escape(line, key);
    } else if (key == ESCAPE) {
        line->escape = BEGUN;
    } else if (key == '\r' || key == '\n') {
        cursor_move(line, line->length);
        put(line, "\n", 1);
        history_add(line);
        return LINE_DONE;
    } else if (key == CONTROL('C')) {
        cursor_move(line, line->length);
        put(line, "^C\n", 3);
        return LINE_BREAK;
    } else if (key == CONTROL('D') && line->length == 0) {
        put(line, "\n", 1);
        return LINE_END;
    } else if ((unsigned char)key < ' ' || key == DELETE) {
        control(line, key);
    } else {
        character(line, key);
    }
    return LINE_MORE;
}
