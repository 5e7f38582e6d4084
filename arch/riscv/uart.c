/* SPDX-License-Identifier: MIT */
/*
 * The console's transmitter: a UART or the firmware's console.  Firmware has
 * set the line up; the kernel only looks for room and writes, takes no
 * interrupt and receives nothing.
 */
#include "arch.h"
#include "platform.h"

#define NS16550_LINE_STATUS 5
#define NS16550_ROOM 0x20
#define SIFIVE_FULL 0x80000000 /* in what the transmit register reads as */
#define PATIENCE 100000000     /* looks at a full transmitter before giving it up */

static struct uart uart;

void uart_open(struct uart found) { uart = found; }

static volatile void *register_at(uint32_t index) {
    return (volatile char *)uart.address + ((uint64_t)index << uart.shift);
}

static uint32_t register_read(uint32_t index) {
    volatile void *at = register_at(index);
    return uart.width == 4 ? *(volatile uint32_t *)at : *(volatile uint8_t *)at;
}

/* Write one byte if there is room for it. */
static bool byte_write(char byte) {
    uint8_t value = (uint8_t)byte;
    if (uart.kind == UART_NONE) {
        if (sbi_call(SBI_WRITE_BYTE, value, 0, 0, 0, 0).error != 0)
            sbi_call(SBI_PUTCHAR, value, 0, 0, 0, 0);
        return true;
    }
    if (uart.kind == UART_SIFIVE ? (register_read(0) & SIFIVE_FULL) != 0
                                 : (register_read(NS16550_LINE_STATUS) & NS16550_ROOM) == 0)
        return false;
    if (uart.width == 4)
        *(volatile uint32_t *)uart.address = value;
    else
        *(volatile uint8_t *)uart.address = value;
    return true;
}

uint64_t arch_console_write(const char *bytes, uint64_t length) {
    uint64_t done = 0;
    while (done < length && byte_write(bytes[done])) done++;
    return done;
}

void uart_write_last(const char *text) {
    for (uint32_t patience = PATIENCE; *text != '\0' && patience > 0; patience--)
        if (byte_write(*text)) text++;
}
