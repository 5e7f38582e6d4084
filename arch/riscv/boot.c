/* SPDX-License-Identifier: MIT */
/*
 * The kernel's page tables and the start of the machine.
 *
 * The upper half of an address space is the kernel's and the same in all:
 *
 *   DIRECT_MAP + PA    all banks of RAM, read and write; the alias of the
 *                      kernel's own text and constants is read-only
 *   _start             the image: text executable, constants read-only, data
 *                      writable, page by page
 *   DEVICE_MAP         one page each for the UART and the test device
 *
 * Nothing is writable and executable anywhere, no entry has G, and nothing
 * changes once other harts run.
 */
#include "arch.h"
#include "devicetree.h"
#include "machine.h"
#include "power.h"
#include "sbi.h"
#include "uart.h"

#define PTE_W 0x4
#define PTE_X 0x8
#define PTE_READ (PTE_V | PTE_R | PTE_A)
#define PTE_TEXT (PTE_READ | PTE_X)
#define PTE_DATA (PTE_READ | PTE_W | PTE_D)

#define ENTRIES 512
#define KERNEL_HALF 256
#define ROOT_IMAGE 510 /* the entry of _start */
#define GIB 0x40000000ul
#define GROUP 0x200000ul
#define GIB_OF(address) (((address) >> 30) % ENTRIES)
#define GROUP_OF(address) (((address) >> 21) % ENTRIES)

#define DEVICE_MAP ((uint64_t)_start + GROUP)
#define DEVICE_UART 0
#define DEVICE_TEST 1

#define FDT_LIMIT 0x200000 /* bytes of a device tree that are believed */

#define SATP_SV39 8ul
#define SATP_MODE_SHIFT 60
#define SATP_ASID_SHIFT 44
#define SATP_ASID_MASK 0xffff

#define SBI_VERSION_LEAST 2 /* 0.2: the first with numbered extensions */

/* A bank has two ends inside a GiB at most, and the image's own GiB has no large leaf. */
#define DIRECTORIES (2 * EXO_BANKS_MAX + 1)

struct table {
    _Alignas(EXO_FRAME_BYTES) uint64_t entry[ENTRIES];
};

extern char _start[];
extern char image_rodata[];
extern char image_data[];
extern char image_end[];

/* Read by boot.S before translation is on. */
uint64_t kernel_satp;

static struct table root;
static struct table image_directory;
static struct table image_pages;
static struct table device_pages;
static struct table image_alias; /* direct map of the image's 2 MiB */
static struct table directories[DIRECTORIES];
static uint32_t directories_used;
static uint64_t image_address; /* physical */
static struct devicetree tree;

/* Called from boot.S only. */
uint64_t early_map(uint64_t fdt);
_Noreturn void boot_main(uint64_t hart_id, uint64_t fdt, uint64_t instructions);
_Noreturn void boot_exception(void);

/* In boot.S. */
_Noreturn void hart_begin(struct hart *hart);
void hart_entry(void);

static uint64_t leaf(uint64_t address, uint64_t flags) {
    return address >> EXO_FRAME_SHIFT << PTE_FRAME_SHIFT | flags;
}

/*
 * Map the image, and the device tree through leaves of 1 GiB that only read.
 * Runs with translation off, where the address of a variable is physical; it
 * calls nothing and uses no table of pointers.
 */
uint64_t early_map(uint64_t fdt) {
    uint64_t start = (uint64_t)_start;
    for (uint64_t at = start; at < (uint64_t)image_end; at += EXO_FRAME_BYTES) {
        uint64_t flags = at < (uint64_t)image_rodata ? PTE_TEXT
                         : at < (uint64_t)image_data ? PTE_READ
                                                     : PTE_DATA;
        image_pages.entry[(at - start) / EXO_FRAME_BYTES] = leaf(at, flags);
    }
    image_directory.entry[0] = leaf((uint64_t)&image_pages, PTE_V);
    image_directory.entry[1] = leaf((uint64_t)&device_pages, PTE_V);
    root.entry[ROOT_IMAGE] = leaf((uint64_t)&image_directory, PTE_V);
    if (fdt < DEVICETREE_RAM_LIMIT) {
        uint64_t first = fdt / GIB * GIB;
        root.entry[KERNEL_HALF + GIB_OF(first)] = leaf(first, PTE_READ);
        root.entry[KERNEL_HALF + GIB_OF(first + GIB)] = leaf(first + GIB, PTE_READ);
    }
    image_address = start;
    return SATP_SV39 << SATP_MODE_SHIFT | (uint64_t)&root >> EXO_FRAME_SHIFT;
}

/* The physical address of something in the image. */
static uint64_t image_physical(const void *p) {
    return (uint64_t)p - (uint64_t)_start + image_address;
}

static uint64_t table_pointer(const struct table *table) {
    return leaf(image_physical(table), PTE_V);
}

/* The entry of the direct map for this group of frames, with the directory that it lies in. */
static uint64_t *group_entry(uint64_t address) {
    uint64_t *entry = &root.entry[KERNEL_HALF + GIB_OF(address)];
    if (*entry == 0) {
        kernel_assert(directories_used < DIRECTORIES);
        *entry = table_pointer(&directories[directories_used++]);
    }
    uint64_t table = pte_frame(*entry) << EXO_FRAME_SHIFT;
    struct table *directory = (struct table *)(table - image_address + (uint64_t)_start);
    return &directory->entry[GROUP_OF(address)];
}

static void bank_map(uint64_t address, uint64_t end) {
    while (address < end) {
        if (address % GIB == 0 && end - address >= GIB && address != image_address / GIB * GIB) {
            root.entry[KERNEL_HALF + GIB_OF(address)] = leaf(address, PTE_DATA);
            address += GIB;
        } else {
            *group_entry(address) = leaf(address, PTE_DATA);
            address += GROUP;
        }
    }
}

/* Build the direct map in place of what early_map put there. */
static void direct_map(const struct machine *machine) {
    for (uint32_t i = KERNEL_HALF; i < ROOT_IMAGE; i++) root.entry[i] = 0;
    for (uint32_t i = 0; i < machine->bank_count; i++) {
        uint64_t first = machine->bank[i].first << EXO_FRAME_SHIFT;
        bank_map(first, first + (machine->bank[i].count << EXO_FRAME_SHIFT));
    }
    uint64_t *entry = group_entry(image_address);
    if (*entry == 0) arch_stop("the kernel is not in memory that the device tree names");
    for (uint32_t i = 0; i < ENTRIES; i++) {
        uint64_t at = (uint64_t)_start + i * EXO_FRAME_BYTES;
        image_alias.entry[i] = leaf(image_address + i * EXO_FRAME_BYTES,
                                    at < (uint64_t)image_data ? PTE_READ : PTE_DATA);
    }
    *entry = table_pointer(&image_alias);
}

/* Map the page of a device register and return where the kernel sees that register. */
static volatile void *device_map(uint32_t index, uint64_t address) {
    device_pages.entry[index] = leaf(address, PTE_DATA);
    return (volatile void *)(DEVICE_MAP + index * EXO_FRAME_BYTES + address % EXO_FRAME_BYTES);
}

/*
 * Choose the kernel's own ASID and return how many spaces may use: those that
 * this hart keeps of all bits, the kernel's one taken off.
 */
static uint64_t asid_probe(uint64_t satp) {
    uint64_t kept;
    arch_root_write(satp | (uint64_t)SATP_ASID_MASK << SATP_ASID_SHIFT);
    asm volatile("csrr %0, satp" : "=r"(kept));
    uint64_t most = kept >> SATP_ASID_SHIFT & SATP_ASID_MASK;
    uint64_t count = most < HART_ASIDS ? most : HART_ASIDS;
    kernel_satp = satp | count << SATP_ASID_SHIFT;
    arch_root_write(kernel_satp);
    arch_tlb_flush_all();
    return count > 0 ? count : 1;
}

/* Whether firmware can start, interrupt and flush other harts. */
static bool firmware_has_harts(void) {
    static const uint32_t extensions[] = {SBI_HSM, SBI_IPI, SBI_RFENCE};
    for (uint32_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++)
        if (sbi_call(SBI_BASE, SBI_BASE_PROBE, extensions[i], 0, 0, 0, 0).value == 0) return false;
    return true;
}

/* The boot hart at the kernel's virtual address: read the machine and start it. */
_Noreturn void boot_main(uint64_t hart_id, uint64_t fdt, uint64_t instructions) {
    struct machine *machine = &tree.machine;
    struct sbi_result version = sbi_call(SBI_BASE, SBI_BASE_VERSION, 0, 0, 0, 0, 0);
    if (version.error != 0 || version.value < SBI_VERSION_LEAST)
        arch_stop("the firmware has no SBI 0.2 or later");
    if (image_address % GROUP != 0 || image_address >= DEVICETREE_RAM_LIMIT)
        arch_stop("the kernel was loaded at an address that is not a multiple of 2 MiB");
    if (fdt >= DEVICETREE_RAM_LIMIT) arch_stop("the device tree lies beyond 192 GiB");
    const char *error = devicetree_read(arch_pointer(fdt), FDT_LIMIT, hart_id, &tree);
    if (error != 0) arch_stop(error);
    direct_map(machine);
    /* The tables it had were this root as well, so one fence makes all of that true. */
    arch_tlb_flush_all();
    if (tree.uart.kind != UART_NONE) {
        uart_open(tree.uart.kind, device_map(DEVICE_UART, tree.uart.address), tree.uart.shift,
                  tree.uart.width);
    }
    if (tree.test_device != 0) power_open(device_map(DEVICE_TEST, tree.test_device));

    machine->sbi_version = (uint32_t)version.value;
    machine->asid_count =
        asid_probe(SATP_SV39 << SATP_MODE_SHIFT | image_physical(&root) >> EXO_FRAME_SHIFT);
    machine->kernel.first = image_address >> EXO_FRAME_SHIFT;
    machine->kernel.count = (uint64_t)(image_end - _start) / EXO_FRAME_BYTES;
    machine->boot_instructions = instructions;
    if (!firmware_has_harts()) machine->hart_count = 1;
    kernel_boot(machine);

    /* Firmware starts them in its own time; one that it cannot start stays off. */
    for (uint32_t i = 1; i < machine->hart_count; i++) {
        sbi_call(SBI_HSM, SBI_HSM_START, machine->hart[i].id, image_physical(hart_entry),
                 (uint64_t)harts[i], 0, 0);
    }
    hart_begin(harts[0]);
}

/* An exception on the boot hart before traps have their own handler. */
_Noreturn void boot_exception(void) {
    arch_panic("an exception while it started", __FILE__, __LINE__);
}

uint64_t arch_satp(uint64_t root_frame, uint64_t asid) {
    return SATP_SV39 << SATP_MODE_SHIFT | asid << SATP_ASID_SHIFT | root_frame;
}

uint64_t arch_satp_kernel(void) { return kernel_satp; }

void arch_root_init(uint64_t *table) {
    for (uint32_t i = KERNEL_HALF; i < ENTRIES; i++) table[i] = root.entry[i];
}
