/* SPDX-License-Identifier: MIT */
/* Modelled devices: see device.h. */
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC 0x74726976
#define BLOCK 2
#define VERSION_1 1u /* in the high word of the features */
#define FEATURES_OK 8u
#define DRIVER_OK 4u

struct host_disk host_disks[EXO_DISKS_MAX];
static uint32_t disks_made;

static struct {
    bool level, claimed;
    uint32_t enabled; /* a bit for each hart */
} host_lines[EXO_LINES_MAX];

/* ---- lines ---- */

static bool line_level(uint64_t line) {
    bool disk = line >= 1 && line <= disks_made;
    return host_lines[line].level || (disk && host_disks[line - 1].interrupt);
}

static uint64_t line_waiting(uint64_t hart) {
    for (uint64_t line = 1; line < HOST_LINES; line++)
        if (host_lines[line].enabled >> hart & 1 && !host_lines[line].claimed && line_level(line))
            return line;
    return 0;
}

bool host_line_pending(uint64_t hart) { return line_waiting(hart) != 0; }

bool host_line_enabled(uint64_t hart, uint64_t line) {
    return host_lines[line].enabled >> hart & 1;
}

bool host_line_masked(uint64_t line) { return host_lines[line].claimed; }

void host_line_level(uint64_t line, bool level) { host_lines[line].level = level; }

void arch_line_enable(const struct hart *hart, uint64_t line, bool enable) {
    kernel_assert(line && line < HOST_LINES);
    uint32_t bit = 1u << hart->index;
    host_lines[line].enabled =
        enable ? host_lines[line].enabled | bit : host_lines[line].enabled & ~bit;
}

uint64_t arch_line_claim(const struct hart *hart) {
    uint64_t line = line_waiting(hart->index);
    if (line) host_lines[line].claimed = true;
    return line;
}

/* A completion for a hart on which the line is not enabled is ignored, as the specification says. */
void arch_line_complete(const struct hart *hart, uint64_t line) {
    if (host_lines[line].enabled >> hart->index & 1) host_lines[line].claimed = false;
}

/* ---- making ---- */

void host_disks_make(uint32_t count, uint64_t sectors) {
    for (uint64_t i = 0; i < EXO_DISKS_MAX; i++) {
        free(host_disks[i].image);
        host_disks[i] = (struct host_disk){0};
    }
    disks_made = count;
    for (uint64_t i = 0; i < count; i++)
        host_disks[i] = (struct host_disk){.image = calloc(sectors, EXO_SECTOR_BYTES),
                                           .sectors = sectors,
                                           .version = 2,
                                           .segments = 30,
                                           .offered = 1u << 28 | 1u << 2 | EXO_DISK_FLUSH |
                                                      EXO_DISK_DISCARD | EXO_DISK_ZEROES};
}

void host_disks_describe(struct machine *machine) {
    memset(host_lines, 0, sizeof(host_lines));
    machine->lines = disks_made ? HOST_LINES : 0;
    machine->facts.device_count = disks_made;
    for (uint32_t i = 0; i < disks_made; i++)
        machine->facts.device[i] =
            (struct exo_device){.address = HOST_DEVICE_ADDRESS + i * EXO_FRAME_BYTES,
                                .kind = EXO_DEVICE_VIRTIO,
                                .line = 1 + i};
}

/* ---- what a disk does ---- */

static struct exo_descriptor *descriptors_of(const struct host_disk *disk) {
    return arch_pointer(disk->address[0]);
}

/* The members of struct exo_ring that come first are laid out as the rings' parts are. */
static uint16_t *ring_words(const struct host_disk *disk, unsigned ring) {
    return arch_pointer(disk->address[ring]);
}

/* Told that there is more: take it. */
static void disk_take(struct host_disk *disk) {
    const uint16_t *available = ring_words(disk, 1);
    while (disk->seen != available[1]) {
        kernel_assert(disk->given_count < EXO_ENTRIES);
        disk->given[disk->given_count++] = available[2 + disk->seen++ % disk->queue_size];
    }
}

static void disk_use(struct host_disk *disk, uint32_t id, uint32_t bytes) {
    uint16_t *used = ring_words(disk, 2);
    struct exo_used *at = (struct exo_used *)(used + 2) + disk->ended++ % disk->queue_size;
    *at = (struct exo_used){id, bytes};
    __atomic_store_n(&used[1], disk->ended, __ATOMIC_RELEASE);
    disk->interrupt |= 1;
}

void host_disk_lie(uint64_t disk, uint32_t id) { disk_use(&host_disks[disk], id, 0); }

/* The request of an indirect table: its bytes to or from the image.  Returns how many it wrote. */
static uint32_t table_do(struct host_disk *disk, const struct exo_descriptor *table,
                         uint64_t count) {
    const struct exo_block_header *header = arch_pointer(table[0].address);
    uint64_t at = header->sector * EXO_SECTOR_BYTES, written = 0;
    kernel_assert(table[0].bytes == sizeof(*header) && header->name == 0);
    for (uint64_t i = 1; i + 1 < count; i++) {
        uint8_t *memory = arch_pointer(table[i].address);
        if (header->type == EXO_BLOCK_READ || header->type == EXO_BLOCK_WRITE)
            kernel_assert(at + table[i].bytes <= disk->sectors * EXO_SECTOR_BYTES);
        if (header->type == EXO_BLOCK_READ) {
            kernel_assert(table[i].flags & EXO_DESCRIPTOR_WRITE);
            memcpy(memory, disk->image + at, table[i].bytes);
            written += table[i].bytes;
        } else if (header->type == EXO_BLOCK_WRITE) {
            memcpy(disk->image + at, memory, table[i].bytes);
        } else if (header->type == EXO_BLOCK_DISCARD || header->type == EXO_BLOCK_ZEROES) {
            const struct exo_block_range *range = arch_pointer(table[i].address);
            kernel_assert(range->sector + range->sectors <= disk->sectors);
            memset(disk->image + range->sector * EXO_SECTOR_BYTES, 0,
                   (uint64_t)range->sectors * EXO_SECTOR_BYTES);
        }
        at += table[i].bytes;
    }
    return (uint32_t)written;
}

void host_disk_end(uint64_t index, uint64_t n, uint8_t status) {
    struct host_disk *disk = &host_disks[index];
    kernel_assert(n < disk->given_count && !disk->hung);
    uint16_t head = disk->given[n];
    disk->given_count--;
    memmove(&disk->given[n], &disk->given[n + 1], (disk->given_count - n) * sizeof(disk->given[0]));
    const struct exo_descriptor *entry = &descriptors_of(disk)[head];
    const struct exo_descriptor *table = arch_pointer(entry->address);
    uint64_t count = entry->bytes / sizeof(*table);
    kernel_assert(entry->flags == EXO_DESCRIPTOR_INDIRECT && count >= 2);
    kernel_assert(count <= disk->segments + 2);
    uint32_t written = status == EXO_BLOCK_OK ? table_do(disk, table, count) : 0;
    *(uint8_t *)arch_pointer(table[count - 1].address) = status;
    disk_use(disk, head, written + 1);
}

/* ---- registers ---- */

static void disk_reset(struct host_disk *disk) {
    if (disk->hung) return;
    disk->resets++;
    disk->status = disk->ready = disk->interrupt = 0;
    disk->seen = disk->ended = 0;
    disk->given_count = 0;
}

static struct host_disk *disk_at(uint64_t address, uint64_t *offset) {
    uint64_t index = (address - HOST_DEVICE_ADDRESS) / EXO_FRAME_BYTES;
    *offset = address % EXO_FRAME_BYTES;
    if (address < HOST_DEVICE_ADDRESS || index >= disks_made) {
        fprintf(stderr, "KERNEL BUG: there is no register at %#lx\n", address);
        abort();
    }
    return &host_disks[index];
}

uint32_t arch_register_read(uint64_t address) {
    uint64_t offset;
    const struct host_disk *disk = disk_at(address, &offset);
    switch (offset) {
    case 0x000: return MAGIC;
    case 0x004: return disk->version;
    case 0x008: return BLOCK;
    case 0x010: return disk->select ? VERSION_1 : disk->offered;
    case 0x034: return 1024;
    case 0x044: return disk->ready;
    case 0x060: return disk->interrupt;
    case 0x070: return disk->status;
    case 0x100: return (uint32_t)disk->sectors;
    case 0x104: return (uint32_t)(disk->sectors >> 32);
    case 0x10c: return disk->segments;
    default: return 0;
    }
}

static void address_set(struct host_disk *disk, uint64_t offset, uint32_t value) {
    uint64_t *address = &disk->address[(offset - 0x80) / 0x10];
    *address = offset % 8 ? (*address & 0xffffffff) | (uint64_t)value << 32 : value;
}

void arch_register_write(uint64_t address, uint32_t value) {
    uint64_t offset;
    struct host_disk *disk = disk_at(address, &offset);
    switch (offset) {
    case 0x014: disk->select = value; break;
    case 0x020: disk->accepted[disk->accepted_select & 1] = value; break;
    case 0x024: disk->accepted_select = value; break;
    case 0x038: disk->queue_size = value; break;
    case 0x044: disk->ready = value; break;
    case 0x050:
        kernel_assert(disk->status & DRIVER_OK && disk->ready);
        disk_take(disk);
        break;
    case 0x064: disk->interrupt &= ~value; break;
    case 0x070:
        if (value == 0)
            disk_reset(disk);
        else if (disk->accepted[1] == VERSION_1 && !(disk->accepted[0] & ~disk->offered))
            disk->status = value;
        else
            disk->status = value & ~FEATURES_OK;
        break;
    case 0x080:
    case 0x084:
    case 0x090:
    case 0x094:
    case 0x0a0:
    case 0x0a4: address_set(disk, offset, value); break;
    default: break;
    }
}
