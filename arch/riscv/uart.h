/* SPDX-License-Identifier: MIT */
/* The console: a UART that the device tree names, or the firmware's. */
#pragma once
#include <stdint.h>

#include "devicetree.h"

/*
 * From now on write to this UART, whose registers the kernel sees at
 * `registers`.  Before, and with UART_NONE, the firmware writes.
 */
void uart_open(enum uart_kind kind, volatile void *registers, uint32_t shift, uint32_t width);

/*
 * Write a text that ends with a zero byte before the machine stops: waits for
 * the transmitter (for a time) and heeds no other hart that writes.
 */
void uart_write_last(const char *text);
