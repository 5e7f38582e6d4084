/* SPDX-License-Identifier: MIT */
/* Powering the machine off; exo/arch.h has the function that does it. */
#pragma once
#include <stdint.h>

/* From now on end the machine by this register of a sifive,test0. */
void power_open(volatile uint32_t *device);
