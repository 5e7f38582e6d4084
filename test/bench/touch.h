/* SPDX-License-Identifier: MIT */
/*
 * What touch.c tells the bench: for each step instructions, satp writes and
 * sfences of all pages, in words of exo_ctx.program from TOUCH_WORD on.
 */
#pragma once
#include <exo/sys.h>

#define TOUCH_PAGES 1024
#define TOUCH_FRAMES (4 * EXO_GROUP_FRAMES) /* memory of the program */
#define TOUCH_WORD 8
#define TOUCH_STEPS 3

static const char *const touch_steps[TOUCH_STEPS] = {"reserve", "touch", "release"};
