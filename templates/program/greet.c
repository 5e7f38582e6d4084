/* SPDX-License-Identifier: MIT */
/* greet [NAME]: says hello. */
#include <stdio.h>

int main(int argument_count, char **arguments) {
    printf("hello, %s\n", argument_count > 1 ? arguments[1] : "whoever you are");
    return 0;
}
