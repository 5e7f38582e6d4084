/* SPDX-License-Identifier: MIT */
/* A line of words: blanks separate them, quotes and backslashes keep them together. */
#include <string.h>

#include "shell.h"

/* Copy one word to *to; *from moves behind it.  False when a quote is not closed. */
static bool word_take(char **from, char **to) {
    char quote = 0;

    for (; **from && (quote || **from != ' '); *from += 1) {
        char c = **from;
        if (quote ? c == quote : c == '"' || c == '\'') {
            quote = quote ? 0 : c;
            continue;
        }
        if (c == '\\' && quote != '\'' && (*from)[1]) c = *++*from;
        *(*to)++ = c;
    }
    return !quote;
}

int words_split(char *text, char **words, int max) {
    char *from = text, *to = text;
    int count = 0;

    for (;;) {
        while (*from == ' ') from++;
        if (!*from || count == max) return count;
        words[count++] = to;
        if (!word_take(&from, &to)) return -1;
        /* The end of the word may be where the next one begins to be read. */
        bool more = *from != 0;
        from += more;
        *to++ = 0;
        if (!more) return count;
    }
}
