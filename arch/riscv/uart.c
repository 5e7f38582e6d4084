/* SPDX-License-Identifier: MIT */
/*
 * Drivers of the console's transmitter.  Firmware has set the line up; the
 * kernel only fills the transmit FIFO, takes no interrupt and receives nothing.
 */
#include "uart.h"

#include <stdbool.h>

#include "arch.h"
#include "sbi.h"

/* NS16550 registers and bits. */
#define NS_DATA 0
#define NS_FIFO_CONTROL 2
#define NS_FIFO_ENABLE 1
#define NS_IDENTIFICATION 2
#define NS_FIFO_ENABLED 0xc0
#define NS_LINE_STATUS 5
#define NS_TRANSMITTER_EMPTY 0x20
#define NS_FIFO_BYTES 16

/* SiFive registers and bits. */
#define SIFIVE_TRANSMIT 0
#define SIFIVE_FULL 0x80000000
#define SIFIVE_TRANSMIT_CONTROL 2
#define SIFIVE_TRANSMIT_ENABLE 1

#define BURST 16           /* bytes at most that the firmware writes in one go */
#define PATIENCE 100000000 /* looks at a full transmitter before giving it up */

static struct {
    enum uart_kind kind;
    volatile void *registers;
    uint32_t shift;
    uint32_t width;
    uint32_t room; /* bytes that an empty NS16550 takes */
    uint32_t busy; /* 1 while a hart writes */
} uart;

static uint32_t register_read(uint32_t index) {
    uint64_t offset = (uint64_t)index << uart.shift;
    if (uart.width == 4) return *(volatile uint32_t *)((volatile char *)uart.registers + offset);
    return *((volatile uint8_t *)uart.registers + offset);
}

static void register_write(uint32_t index, uint32_t value) {
    uint64_t offset = (uint64_t)index << uart.shift;
    if (uart.width == 4)
        *(volatile uint32_t *)((volatile char *)uart.registers + offset) = value;
    else
        *((volatile uint8_t *)uart.registers + offset) = (uint8_t)value;
}

void uart_open(enum uart_kind kind, volatile void *registers, uint32_t shift, uint32_t width) {
    uart.registers = registers;
    uart.shift = shift;
    uart.width = width;
    if (kind == UART_NS16550) {
        /* Some have no FIFO, and then take one byte at a time. */
        register_write(NS_FIFO_CONTROL, NS_FIFO_ENABLE);
        bool fifo = (register_read(NS_IDENTIFICATION) & NS_FIFO_ENABLED) == NS_FIFO_ENABLED;
        uart.room = fifo ? NS_FIFO_BYTES : 1;
    } else if (kind == UART_SIFIVE) {
        register_write(SIFIVE_TRANSMIT_CONTROL,
                       register_read(SIFIVE_TRANSMIT_CONTROL) | SIFIVE_TRANSMIT_ENABLE);
    }
    uart.kind = kind;
}

static void firmware_write(char byte) {
    uint64_t value = (uint8_t)byte;
    if (sbi_call(SBI_CONSOLE, SBI_CONSOLE_WRITE_BYTE, value, 0, 0, 0, 0).error != 0)
        sbi_call(SBI_PUTCHAR, 0, value, 0, 0, 0, 0);
}

static uint64_t fill(const char *bytes, uint64_t length) {
    uint64_t done = 0;
    if (uart.kind == UART_NS16550) {
        /* The only thing known of its FIFO is when it is empty. */
        if (!(register_read(NS_LINE_STATUS) & NS_TRANSMITTER_EMPTY)) return 0;
        while (done < length && done < uart.room) register_write(NS_DATA, (uint8_t)bytes[done++]);
    } else if (uart.kind == UART_SIFIVE) {
        while (done < length && !(register_read(SIFIVE_TRANSMIT) & SIFIVE_FULL))
            register_write(SIFIVE_TRANSMIT, (uint8_t)bytes[done++]);
    } else {
        while (done < length && done < BURST) firmware_write(bytes[done++]);
    }
    return done;
}

uint64_t arch_console_write(const char *bytes, uint64_t length) {
    /* Two harts that both see room would overrun it; who comes second has none. */
    if (__atomic_exchange_n(&uart.busy, 1, __ATOMIC_ACQUIRE)) return 0;
    uint64_t done = fill(bytes, length);
    __atomic_store_n(&uart.busy, 0, __ATOMIC_RELEASE);
    return done;
}

void uart_write_last(const char *text) {
    uint32_t patience = PATIENCE;
    while (*text != '\0' && patience > 0)
        if (fill(text, 1) == 1)
            text++;
        else
            patience--;
}
