/* SPDX-License-Identifier: MIT */
/*
 * A UART: bytes out, bytes in, and what it interrupts for.
 *
 * Firmware has set up speed and form of the line, and the kernel writes to the
 * same transmitter when somebody calls debug_write: only registers that neither
 * minds are changed.
 */
#pragma once
#include <exo/abi.h>
#include <stdbool.h>

struct uart {
    const struct exo_device *device;
    volatile void *registers;
};

/* A UART whose registers are mapped there; false when it is of no kind that is known. */
bool uart_open(struct uart *uart, const struct exo_device *device, volatile void *registers);

/* Begin to send.  What came before is to be received first: it may be lost by this. */
void uart_begin(const struct uart *uart);

/* Send bytes as far as there is room; how many. */
uint32_t uart_send(const struct uart *uart, const char *bytes, uint32_t count);

/* The next byte that has come, or -1. */
int uart_receive(const struct uart *uart);

/* Interrupt when a byte has come, and when there is room to send one; or not. */
void uart_interrupt(const struct uart *uart, bool received, bool room);
