/* SPDX-License-Identifier: MIT */
/*
 * What the device-tree reader should find, worked out with libfdt.
 *
 * Shared by the unit test and the fuzz target.  The rules (which nodes count,
 * what is cut, what is an error) are written down here a second time; finding
 * nodes and properties is libfdt's, which shares no code with the reader.
 */
#pragma once
#include <libfdt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devicetree.h"

#define ORACLE_DEPTH 15 /* levels that the reader looks at, the root being the first */
#define ORACLE_GROUP 0x200000ull

struct oracle {
    const void *fdt;
    uint64_t boot_hart;
    struct devicetree tree;
    bool boot_hart_found;
    uint32_t used_wanted; /* ranges in use, those beyond the array included */
    uint32_t hart;        /* whose node was the last one */
    uint64_t phandle[EXO_HARTS_MAX];
    int plic;                   /* node */
    struct exo_device *devices; /* all that are on the list, in the tree's order */
    uint32_t devices_wanted;
};

/*
 * Whether what may be a property has a length beyond the blob: libfdt 1.6.1
 * then computes a wrapped offset and may go round for ever.
 */
static inline bool oracle_would_wrap(const void *fdt, size_t bytes) {
    const char *blob = fdt;
    for (size_t at = fdt_off_dt_struct(fdt); at + 8 <= bytes; at += 4)
        if (fdt32_ld((const void *)(blob + at)) == FDT_PROP &&
            fdt32_ld((const void *)(blob + at + 4)) > bytes)
            return true;
    return false;
}

/* Whether a blob is one that both readers take: the reader refuses a few that libfdt takes. */
static inline bool oracle_applies(const void *fdt, size_t bytes) {
    /* Other versions first: fdt_check_full may crash on them. */
    if (bytes < FDT_V17_SIZE || fdt_check_header(fdt) != 0 || fdt_version(fdt) < 17 ||
        oracle_would_wrap(fdt, bytes) || fdt_check_full(fdt, bytes) != 0 ||
        fdt_size_dt_struct(fdt) % 4 != 0)
        return false;
    const char *strings = (const char *)fdt + fdt_off_dt_strings(fdt);
    if (fdt_size_dt_strings(fdt) > 0 && strings[fdt_size_dt_strings(fdt) - 1] != '\0') return false;
    int next;
    return fdt_next_tag(fdt, 0, &next) == FDT_BEGIN_NODE;
}

static inline uint64_t oracle_words(const void *bytes, int words) {
    return words == 0 ? 0 : words == 1 ? fdt32_ld(bytes) : fdt64_ld(bytes);
}

static inline uint64_t oracle_number(const void *fdt, int node, const char *name,
                                     uint64_t otherwise) {
    int length;
    const void *value = fdt_getprop(fdt, node, name, &length);
    return value == NULL || length < 4 ? otherwise : oracle_words(value, length < 8 ? 1 : 2);
}

static inline bool oracle_has(const void *fdt, int node, const char *name, const char *string) {
    return fdt_stringlist_search(fdt, node, name, string) >= 0;
}

static inline bool oracle_is_enabled(const void *fdt, int node) {
    return fdt_getprop(fdt, node, "status", NULL) == NULL ||
           oracle_has(fdt, node, "status", "okay") || oracle_has(fdt, node, "status", "ok");
}

static inline bool oracle_reg(const void *fdt, int node, int index, uint64_t *address,
                              uint64_t *size) {
    int parent = fdt_parent_offset(fdt, node);
    uint64_t address_words = parent < 0 ? 2 : oracle_number(fdt, parent, "#address-cells", 2);
    uint64_t size_words = parent < 0 ? 1 : oracle_number(fdt, parent, "#size-cells", 1);
    int length;
    const char *reg = fdt_getprop(fdt, node, "reg", &length);
    if (reg == NULL || address_words < 1 || address_words > 2 || size_words > 2) return false;
    int stride = 4 * (int)(address_words + size_words);
    if ((int64_t)(index + 1) * stride > length) return false;
    *address = oracle_words(reg + index * stride, (int)address_words);
    *size = oracle_words(reg + index * stride + 4 * address_words, (int)size_words);
    return true;
}

static inline bool oracle_device(const void *fdt, int node, uint64_t *address) {
    uint64_t size;
    for (int around = fdt_parent_offset(fdt, node); around > 0;
         around = fdt_parent_offset(fdt, around)) {
        int length;
        if (fdt_getprop(fdt, around, "ranges", &length) == NULL || length != 0) return false;
    }
    return oracle_is_enabled(fdt, node) && oracle_reg(fdt, node, 0, address, &size) &&
           *address != 0 && *address >> 56 == 0;
}

static inline void oracle_bank(struct exo_info *facts, uint64_t address, uint64_t size) {
    uint64_t end = size > UINT64_MAX - address ? UINT64_MAX : address + size;
    if (end > DEVICETREE_RAM_LIMIT) end = DEVICETREE_RAM_LIMIT;
    if (address >= end) return;
    address = (address + ORACLE_GROUP - 1) / ORACLE_GROUP * ORACLE_GROUP;
    end = end / ORACLE_GROUP * ORACLE_GROUP;
    if (address < end && facts->bank_count < EXO_BANKS_MAX) {
        facts->bank[facts->bank_count].first = address / 4096;
        facts->bank[facts->bank_count].count = (end - address) / 4096;
        facts->bank_count++;
    }
}

static inline void oracle_used(struct oracle *oracle, uint64_t address, uint64_t size) {
    struct machine *machine = &oracle->tree.machine;
    uint64_t end = size > UINT64_MAX - address ? UINT64_MAX : address + size;
    if (end == address) return;
    oracle->used_wanted++;
    if (machine->used_count < MACHINE_USED_MAX) {
        struct exo_bank *range = &machine->used[machine->used_count++];
        range->first = address / 4096;
        range->count = (end - 1) / 4096 - range->first + 1;
    }
}

static inline void oracle_hart(struct oracle *oracle, int node) {
    struct exo_info *facts = &oracle->tree.machine.facts;
    const void *fdt = oracle->fdt;
    uint64_t id;
    uint64_t size;
    oracle->hart = EXO_HARTS_MAX;
    if (!oracle_has(fdt, node, "device_type", "cpu") || !oracle_is_enabled(fdt, node) ||
        fdt_getprop(fdt, node, "mmu-type", NULL) == NULL ||
        oracle_has(fdt, node, "mmu-type", "riscv,none") || !oracle_reg(fdt, node, 0, &id, &size))
        return;
    bool sstc = false, has_double = false;
    int length;
    const char *isa = fdt_getprop(fdt, node, "riscv,isa", &length);
    if (isa != NULL) {
        char *copy = malloc((size_t)length + 1);
        memcpy(copy, isa, (size_t)length);
        copy[length] = '\0';
        if (length > 4) has_double = strcspn(copy + 4, "dg") < strcspn(copy + 4, "_");
        for (int i = 0; i < length; i++) copy[i] = copy[i] == '_' ? '\0' : copy[i];
        for (int at = 0; at < length; at += (int)strnlen(copy + at, (size_t)(length - at)) + 1)
            sstc |= length - at > 4 && memcmp(copy + at, "sstc", 5) == 0;
        free(copy);
    }
    sstc |= oracle_has(fdt, node, "riscv,isa-extensions", "sstc");
    has_double |= oracle_has(fdt, node, "riscv,isa-extensions", "d");
    uint32_t index = facts->hart_count;
    if (id == oracle->boot_hart) {
        oracle->boot_hart_found = true;
        index = 0;
    } else if (index < EXO_HARTS_MAX) {
        facts->hart_count++;
    } else {
        return;
    }
    oracle->hart = index;
    facts->hart[index].id = id;
    facts->hart[index].flags = (sstc ? EXO_HART_SSTC : 0) | (has_double ? EXO_HART_FLOAT : 0);
}

static inline void oracle_device_add(struct oracle *oracle, int node, uint32_t kind) {
    const void *fdt = oracle->fdt;
    bool sifive = kind == EXO_DEVICE_SIFIVE_UART, uart = sifive || kind == EXO_DEVICE_NS16550;
    struct exo_device device = {.kind = kind};
    if (!oracle_device(fdt, node, &device.address)) return;
    int length;
    const void *line = fdt_getprop(fdt, node, "interrupts", &length);
    if (line != NULL && length >= 4) device.line = fdt32_ld(line);
    device.shift = (uint32_t)oracle_number(fdt, node, "reg-shift", sifive ? 2 : 0);
    device.width = (uint32_t)oracle_number(fdt, node, "reg-io-width", sifive ? 4 : uart ? 1 : 0);
    oracle->devices =
        realloc(oracle->devices, (oracle->devices_wanted + 1) * sizeof(*oracle->devices));
    oracle->devices[oracle->devices_wanted++] = device;
}

/* Lines and contexts; a hart without a context has none to interrupt it. */
static inline void oracle_plic(struct oracle *oracle) {
    const void *fdt = oracle->fdt;
    struct devicetree *tree = &oracle->tree;
    tree->machine.lines = 1;
    if (oracle->plic < 0 || !oracle_device(fdt, oracle->plic, &tree->plic)) return;
    int length;
    const char *entries = fdt_getprop(fdt, oracle->plic, "interrupts-extended", &length);
    uint64_t found = 0;
    for (int i = entries == NULL ? -1 : length / 8 - 1; i >= 0; i--) {
        if (i >= DEVICETREE_CONTEXTS || fdt32_ld((const void *)(entries + 8 * i + 4)) != 9)
            continue;
        for (uint32_t hart = 0; hart < tree->machine.facts.hart_count; hart++) {
            if (oracle->phandle[hart] != fdt32_ld((const void *)(entries + 8 * i))) continue;
            tree->context[hart] = (uint64_t)i;
            found |= 1ull << hart;
        }
    }
    if (found + 1 != 1ull << tree->machine.facts.hart_count) return;
    uint64_t devices = oracle_number(fdt, oracle->plic, "riscv,ndev", 0);
    tree->machine.lines = devices >= EXO_LINES_MAX ? EXO_LINES_MAX : devices + 1;
}

/* Of the first EXO_DEVICES_MAX those that have their page for themselves, or are the kernel's. */
static inline void oracle_devices(struct oracle *oracle) {
    struct exo_info *facts = &oracle->tree.machine.facts;
    for (uint32_t i = 0; i < oracle->devices_wanted && i < EXO_DEVICES_MAX; i++) {
        struct exo_device device = oracle->devices[i];
        bool shared = false;
        for (uint32_t j = 0; j < oracle->devices_wanted; j++)
            shared |= j != i && oracle->devices[j].address >> 12 == device.address >> 12;
        if (shared && device.kind != EXO_DEVICE_VIRTIO) continue;
        if (device.line >= oracle->tree.machine.lines) device.line = 0;
        uint32_t place = 0;
        while (place < facts->device_count && facts->device[place].address <= device.address)
            place++;
        memmove(&facts->device[place + 1], &facts->device[place],
                (facts->device_count++ - place) * sizeof(device));
        facts->device[place] = device;
    }
    free(oracle->devices);
    oracle->devices = NULL;
}

/* Fill oracle->tree from a blob to which the oracle applies; false if the reader must refuse it. */
static inline bool oracle_read(const void *fdt, uint64_t boot_hart, struct oracle *oracle) {
    struct machine *machine = &oracle->tree.machine;
    struct exo_info *facts = &machine->facts;
    memset(oracle, 0, sizeof(*oracle));
    oracle->fdt = fdt;
    oracle->boot_hart = boot_hart;
    oracle->hart = EXO_HARTS_MAX;
    oracle->plic = -1;
    facts->hart_count = 1;
    machine->used_count = oracle->used_wanted = MACHINE_OTHER;
    uint64_t address;
    uint64_t size;
    for (int i = 0; i < fdt_num_mem_rsv(fdt); i++) {
        fdt_get_mem_rsv(fdt, i, &address, &size);
        oracle_used(oracle, address, size);
    }
    char top[64] = "";
    int depth = -1;
    for (int node = fdt_next_node(fdt, -1, &depth); node >= 0 && depth >= 0;
         node = fdt_next_node(fdt, node, &depth)) {
        const char *name = fdt_get_name(fdt, node, NULL);
        if (depth == 1) snprintf(top, sizeof(top), "%s", name);
        if (depth >= ORACLE_DEPTH) continue;
        if (depth == 1 && strcmp(top, "chosen") == 0) {
            machine->archive_address = oracle_number(fdt, node, "linux,initrd-start", 0);
            uint64_t end = oracle_number(fdt, node, "linux,initrd-end", 0);
            facts->archive_bytes =
                machine->archive_address < end ? end - machine->archive_address : 0;
        } else if (depth == 1 && strcmp(top, "cpus") == 0) {
            facts->timebase_hz = oracle_number(fdt, node, "timebase-frequency", 0);
        } else if (depth == 1 && oracle_has(fdt, node, "device_type", "memory")) {
            for (int i = 0;
                 oracle_is_enabled(fdt, node) && oracle_reg(fdt, node, i, &address, &size); i++)
                oracle_bank(facts, address, size);
        } else if (depth == 2 && strcmp(top, "reserved-memory") == 0) {
            for (int i = 0; oracle_reg(fdt, node, i, &address, &size); i++)
                oracle_used(oracle, address, size);
        } else if (depth == 2 && strcmp(top, "cpus") == 0) {
            oracle_hart(oracle, node);
        } else if (depth == 3 && strcmp(top, "cpus") == 0) {
            if (oracle->hart < EXO_HARTS_MAX &&
                fdt_getprop(fdt, node, "interrupt-controller", NULL) != NULL)
                oracle->phandle[oracle->hart] = (uint32_t)oracle_number(fdt, node, "phandle", 0);
        } else if (oracle_has(fdt, node, "compatible", "sifive,test0")) {
            oracle->tree.test_device = oracle_device(fdt, node, &address) ? address : 0;
        } else if (oracle_has(fdt, node, "compatible", "sifive,plic-1.0.0") ||
                   oracle_has(fdt, node, "compatible", "riscv,plic0")) {
            oracle->plic = node;
        } else if (oracle_has(fdt, node, "compatible", "ns16550a") ||
                   oracle_has(fdt, node, "compatible", "snps,dw-apb-uart")) {
            oracle_device_add(oracle, node, EXO_DEVICE_NS16550);
        } else if (oracle_has(fdt, node, "compatible", "sifive,uart0")) {
            oracle_device_add(oracle, node, EXO_DEVICE_SIFIVE_UART);
        } else if (oracle_has(fdt, node, "compatible", "google,goldfish-rtc")) {
            oracle_device_add(oracle, node, EXO_DEVICE_RTC);
        } else if (oracle_has(fdt, node, "compatible", "virtio,mmio")) {
            oracle_device_add(oracle, node, EXO_DEVICE_VIRTIO);
        }
    }
    oracle_plic(oracle);
    oracle_devices(oracle);
    for (uint32_t i = 0; i < facts->bank_count; i++) {
        for (uint32_t j = i + 1; j < facts->bank_count; j++) {
            struct exo_bank *a = &facts->bank[i];
            struct exo_bank *b = &facts->bank[j];
            if (a->first < b->first + b->count && b->first < a->first + a->count) return false;
            if (b->first < a->first) {
                struct exo_bank swap = *a;
                *a = *b;
                *b = swap;
            }
        }
    }
    return oracle->boot_hart_found && facts->bank_count > 0 && facts->timebase_hz != 0 &&
           oracle->used_wanted <= MACHINE_USED_MAX;
}

/* What differs between two results of an accepted blob; NULL for nothing. */
static inline const char *oracle_difference(const struct devicetree *a,
                                            const struct devicetree *b) {
    const struct machine *m = &a->machine;
    const struct machine *n = &b->machine;
    if (m->facts.bank_count != n->facts.bank_count ||
        memcmp(m->facts.bank, n->facts.bank, m->facts.bank_count * sizeof(m->facts.bank[0])) != 0)
        return "banks";
    if (m->used_count != n->used_count ||
        memcmp(m->used, n->used, m->used_count * sizeof(m->used[0])) != 0)
        return "ranges in use";
    if (m->facts.hart_count != n->facts.hart_count ||
        memcmp(m->facts.hart, n->facts.hart, m->facts.hart_count * sizeof(m->facts.hart[0])) != 0)
        return "harts";
    if (m->facts.timebase_hz != n->facts.timebase_hz) return "timebase";
    if (m->facts.archive_bytes != n->facts.archive_bytes ||
        (m->facts.archive_bytes != 0 && m->archive_address != n->archive_address))
        return "archive";
    if (m->facts.device_count != n->facts.device_count ||
        memcmp(m->facts.device, n->facts.device,
               m->facts.device_count * sizeof(m->facts.device[0])) != 0)
        return "devices";
    if (m->lines != n->lines) return "lines";
    if (m->lines > 1 &&
        (a->plic != b->plic ||
         memcmp(a->context, b->context, m->facts.hart_count * sizeof(a->context[0])) != 0))
        return "PLIC";
    return a->test_device != b->test_device ? "test device" : NULL;
}
