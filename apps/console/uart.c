/* SPDX-License-Identifier: MIT */
/*
 * UARTs: the 16550 and its relatives (PC16550D data sheet, section 8), and
 * sifive,uart0 (FU540-C000 manual, chapter 13).
 */
#include "uart.h"

/* 16550: registers by their number, and bits in them. */
enum { BYTE = 0, INTERRUPT_ENABLE = 1, FIFO_CONTROL = 2, LINE_STATUS = 5 };
#define ENABLE_RECEIVED 1
#define ENABLE_ROOM 2
#define FIFO_ENABLE 1 /* if they were not, they are empty then */
#define STATUS_RECEIVED 1
#define STATUS_EMPTY 0x20
#define FIFO_BYTES 16 /* that may be sent when it is empty */

/* sifive,uart0: registers of 32 bits by their number, and bits in them. */
enum { SEND = 0, RECEIVE = 1, SEND_CONTROL = 2, RECEIVE_CONTROL = 3, SIFIVE_ENABLE = 4 };
#define SEND_FULL 0x80000000
#define RECEIVE_EMPTY 0x80000000
#define CONTROL_ENABLE 1
#define CONTROL_LEVEL_SHIFT 16 /* interrupt below (sending) or above (receiving) so many bytes */
#define SIFIVE_ENABLE_ROOM 1
#define SIFIVE_ENABLE_RECEIVED 2

static bool is_sifive(const struct uart *uart) {
    return uart->device->kind == EXO_DEVICE_SIFIVE_UART;
}

static volatile void *register_at(const struct uart *uart, uint32_t number) {
    uint32_t shift = is_sifive(uart) ? 2 : uart->device->shift;
    return (volatile char *)uart->registers + ((uint64_t)number << shift);
}

static uint32_t get(const struct uart *uart, uint32_t number) {
    volatile void *at = register_at(uart, number);
    bool wide = is_sifive(uart) || uart->device->width == 4;
    return wide ? *(volatile uint32_t *)at : *(volatile uint8_t *)at;
}

static void set(const struct uart *uart, uint32_t number, uint32_t value) {
    volatile void *at = register_at(uart, number);
    if (is_sifive(uart) || uart->device->width == 4)
        *(volatile uint32_t *)at = value;
    else
        *(volatile uint8_t *)at = (uint8_t)value;
}

bool uart_open(struct uart *uart, const struct exo_device *device, volatile void *registers) {
    *uart = (struct uart){device, registers};
    return device->kind == EXO_DEVICE_NS16550 || device->kind == EXO_DEVICE_SIFIVE_UART;
}

void uart_begin(const struct uart *uart) {
    if (is_sifive(uart)) {
        set(uart, SEND_CONTROL, CONTROL_ENABLE | 1 << CONTROL_LEVEL_SHIFT);
        set(uart, RECEIVE_CONTROL, CONTROL_ENABLE);
    } else {
        set(uart, FIFO_CONTROL, FIFO_ENABLE);
    }
}

uint32_t uart_send(const struct uart *uart, const char *bytes, uint32_t count) {
    uint32_t done = 0;

    if (is_sifive(uart)) {
        while (done < count && !(get(uart, SEND) & SEND_FULL))
            set(uart, SEND, (uint8_t)bytes[done++]);
        return done;
    }
    if (!(get(uart, LINE_STATUS) & STATUS_EMPTY)) return 0;
    while (done < count && done < FIFO_BYTES) set(uart, BYTE, (uint8_t)bytes[done++]);
    return done;
}

int uart_receive(const struct uart *uart) {
    if (is_sifive(uart)) {
        uint32_t value = get(uart, RECEIVE);
        return value & RECEIVE_EMPTY ? -1 : (int)(value & 0xff);
    }
    return get(uart, LINE_STATUS) & STATUS_RECEIVED ? (int)(get(uart, BYTE) & 0xff) : -1;
}

void uart_interrupt(const struct uart *uart, bool received, bool room) {
    if (is_sifive(uart))
        set(uart, SIFIVE_ENABLE,
            (received ? SIFIVE_ENABLE_RECEIVED : 0) | (room ? SIFIVE_ENABLE_ROOM : 0));
    else
        set(uart, INTERRUPT_ENABLE, (received ? ENABLE_RECEIVED : 0) | (room ? ENABLE_ROOM : 0));
}
