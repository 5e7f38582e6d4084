/* SPDX-License-Identifier: MIT */
/*
 * The kernel's page tables and the start of the machine.
 *
 * The upper half of an address space is the kernel's and the same in all:
 *
 *   DIRECT_MAP + PA    all banks of RAM, read and write; the alias of the
 *                      kernel's own text and constants is read-only
 *   image_start        the image: text executable, constants read-only, data
 *                      writable, page by page; its last two pages are the UART
 *                      and the test device
 *
 * Nothing is writable and executable anywhere, no entry has G, and nothing
 * changes once other harts run.
 */
#include "arch.h"
#include "platform.h"

#define PTE_W 0x4
#define PTE_X 0x8
#define PTE_READ (PTE_V | PTE_R | PTE_A)
#define PTE_TEXT (PTE_READ | PTE_X)
#define PTE_DATA (PTE_READ | PTE_W | PTE_D)

#define ENTRIES 512
#define KERNEL_HALF 256
#define ROOT_IMAGE 510 /* the entry of image_start */
#define GIB 0x40000000ul
#define GROUP 0x200000ul
#define GIB_OF(address) (((address) >> 30) % ENTRIES)
#define GROUP_OF(address) (((address) >> 21) % ENTRIES)

/* Pages of the image's 2 MiB that kernel.lds leaves for devices. */
#define PAGE_UART 510
#define PAGE_TEST 511

#define FDT_LIMIT 0x200000 /* bytes of a device tree that are believed */

#define SATP_SV39 8ul
#define SATP_MODE_SHIFT 60
#define SATP_ASID_SHIFT 44
#define SATP_ASID_MASK 0xffff

#define SBI_VERSION_LEAST 2 /* 0.2: the first with numbered extensions */

/* A bank has two ends inside a GiB at most, and the image's own GiB has no large leaf. */
#define DIRECTORIES (2 * EXO_BANKS_MAX + 1)

extern char image_start[];
extern char image_rodata[];
extern char image_data[];
extern char image_end[];

/* Read by boot.S before translation is on. */
uint64_t kernel_satp;
/* What boot_again waits for; not in bss, which the boot hart clears. */
uint32_t harts_ready __attribute__((section(".data")));

/* Page tables; image_alias is the direct map of the image's 2 MiB. */
static _Alignas(EXO_FRAME_BYTES) uint64_t root[ENTRIES], image_directory[ENTRIES],
    image_pages[ENTRIES], image_alias[ENTRIES], directories[DIRECTORIES][ENTRIES];
static uint32_t directories_used;
static uint64_t image_address; /* physical */
static struct devicetree tree;

/* Called from boot.S only. */
uint64_t early_map(uint64_t fdt);
_Noreturn void boot_main(uint64_t hart_id, uint64_t fdt, uint64_t instructions);

/* In boot.S. */
_Noreturn void hart_begin(struct hart *hart);
void hart_entry(void);

static uint64_t leaf(uint64_t address, uint64_t flags) {
    return address >> EXO_FRAME_SHIFT << PTE_FRAME_SHIFT | flags;
}

/*
 * Map the image, and the device tree through leaves of 1 GiB that only read.
 * Runs with translation off, where the address of a variable is physical; it
 * uses no table of pointers.
 */
uint64_t early_map(uint64_t fdt) {
    uint64_t start = (uint64_t)image_start;
    for (uint64_t at = start; at < (uint64_t)image_end; at += EXO_FRAME_BYTES) {
        uint64_t flags = at < (uint64_t)image_rodata ? PTE_TEXT
                         : at < (uint64_t)image_data ? PTE_READ
                                                     : PTE_DATA;
        image_pages[(at - start) / EXO_FRAME_BYTES] = leaf(at, flags);
    }
    image_directory[0] = leaf((uint64_t)image_pages, PTE_V);
    root[ROOT_IMAGE] = leaf((uint64_t)image_directory, PTE_V);
    if (fdt < DEVICETREE_RAM_LIMIT) {
        uint64_t first = fdt / GIB * GIB;
        root[KERNEL_HALF + GIB_OF(first)] = leaf(first, PTE_READ);
        root[KERNEL_HALF + GIB_OF(first + GIB)] = leaf(first + GIB, PTE_READ);
    }
    image_address = start;
    return arch_satp((uint64_t)root >> EXO_FRAME_SHIFT, 0);
}

/* The physical address of something in the image. */
static uint64_t image_physical(const void *p) {
    return (uint64_t)p - (uint64_t)image_start + image_address;
}

/* The entry of the direct map for this group of frames, with the directory that it lies in. */
static uint64_t *group_entry(uint64_t address) {
    uint64_t *entry = &root[KERNEL_HALF + GIB_OF(address)];
    if (*entry == 0) *entry = leaf(image_physical(directories[directories_used++]), PTE_V);
    return (uint64_t *)(pte_address(*entry) - image_address + (uint64_t)image_start) +
           GROUP_OF(address);
}

/* Build the direct map in place of what early_map put there. */
static void direct_map(const struct exo_info *facts) {
    for (uint32_t i = KERNEL_HALF; i < ROOT_IMAGE; i++) root[i] = 0;
    for (uint32_t i = 0; i < facts->bank_count; i++) {
        uint64_t address = facts->bank[i].first << EXO_FRAME_SHIFT;
        uint64_t end = address + (facts->bank[i].count << EXO_FRAME_SHIFT);
        for (uint64_t size; address < end; address += size) {
            bool large =
                address % GIB == 0 && end - address >= GIB && address != image_address / GIB * GIB;
            uint64_t *entry = large ? &root[KERNEL_HALF + GIB_OF(address)] : group_entry(address);
            *entry = leaf(address, PTE_DATA);
            size = large ? GIB : GROUP;
        }
    }
    uint64_t *entry = group_entry(image_address);
    if (*entry == 0) arch_stop("the kernel is not in memory that the device tree names");
    for (uint32_t i = 0; i < ENTRIES; i++) {
        bool constant = i * EXO_FRAME_BYTES < (uint64_t)(image_data - image_start);
        image_alias[i] = leaf(image_address + i * EXO_FRAME_BYTES, constant ? PTE_READ : PTE_DATA);
    }
    *entry = leaf(image_physical(image_alias), PTE_V);
}

/* Map the page of a device register and return where the kernel sees that register; 0: none. */
static uint64_t device_map(uint32_t page, uint64_t address) {
    if (address == 0) return 0;
    image_pages[page] = leaf(address, PTE_DATA);
    return (uint64_t)image_start + page * EXO_FRAME_BYTES + address % EXO_FRAME_BYTES;
}

/*
 * Choose the kernel's own ASID and return how many spaces may use: those that
 * this hart keeps of all bits, the kernel's one taken off.
 */
static uint64_t asid_probe(void) {
    uint64_t frame = image_physical(root) >> EXO_FRAME_SHIFT;
    arch_root_write(arch_satp(frame, SATP_ASID_MASK));
    uint64_t most = CSR_READ(satp) >> SATP_ASID_SHIFT & SATP_ASID_MASK;
    uint64_t count = most < HART_ASIDS ? most : HART_ASIDS;
    kernel_satp = arch_satp(frame, count);
    arch_root_write(kernel_satp);
    arch_tlb_flush_all();
    return count > 0 ? count : 1;
}

/* The boot hart at the kernel's virtual address: read the machine and start it. */
_Noreturn void boot_main(uint64_t hart_id, uint64_t fdt, uint64_t instructions) {
    struct machine *machine = &tree.machine;
    struct exo_info *facts = &machine->facts;
    struct sbi_result version = sbi_call(SBI_VERSION, 0, 0, 0, 0, 0);
    if (version.error != 0 || version.value < SBI_VERSION_LEAST)
        arch_stop("the firmware has no SBI 0.2 or later");
    if (image_address % GROUP != 0 || image_address >= DEVICETREE_RAM_LIMIT)
        arch_stop("the kernel was loaded at an address that is not a multiple of 2 MiB");
    if (fdt >= DEVICETREE_RAM_LIMIT) arch_stop("the device tree lies beyond 192 GiB");
    const char *error = devicetree_read(arch_pointer(fdt), FDT_LIMIT, hart_id, &tree);
    if (error != 0) arch_stop(error);
    direct_map(facts);
    tree.uart.address = device_map(PAGE_UART, tree.uart.address);
    tree.test_device = device_map(PAGE_TEST, tree.test_device);
    facts->asid_count = asid_probe(); /* ends with the fence that makes all of that true */
    uart_open(tree.uart);
    power_open((volatile uint32_t *)tree.test_device);

    facts->sbi_version = (uint32_t)version.value;
    facts->boot_instructions = instructions;
    machine->used[MACHINE_KERNEL] = (struct exo_bank){
        image_address >> EXO_FRAME_SHIFT, (uint64_t)(image_end - image_start) >> EXO_FRAME_SHIFT};
    kernel_boot(machine);
    __atomic_store_n(&harts_ready, 1, __ATOMIC_RELEASE);

    /* Firmware starts them in its own time; one that it cannot start stays off. */
    for (uint32_t i = 1; i < hart_count; i++)
        sbi_call(SBI_HART_START, harts[i]->id, image_physical(hart_entry), (uint64_t)harts[i], 0,
                 0);
    hart_begin(harts[0]);
}

uint64_t arch_satp(uint64_t root_frame, uint64_t asid) {
    return SATP_SV39 << SATP_MODE_SHIFT | asid << SATP_ASID_SHIFT | root_frame;
}

uint64_t arch_satp_kernel(void) { return kernel_satp; }

void arch_root_init(uint64_t *table) {
    for (uint32_t i = KERNEL_HALF; i < ENTRIES; i++) table[i] = root[i];
}
