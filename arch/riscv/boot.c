/* SPDX-License-Identifier: MIT */
/*
 * The kernel's page tables and the start of the machine.
 *
 * The upper half of an address space is the kernel's and the same in all:
 *
 *   DIRECT_MAP + PA    all banks of RAM, read and write; the image in it has
 *                      the rights that its parts have below
 *   image_start        the image and the rest of its 2 MiB: text executable,
 *                      constants read-only, data writable, page by page
 *   DEVICES            the device registers that the kernel uses, read and
 *                      write, in the groups that device_register was asked for
 *
 * Nothing is writable and executable anywhere, no entry has G, and nothing
 * changes once other harts run.
 */
#include "arch.h"
#include "platform.h"

#define ENTRIES 512
#define KERNEL_HALF 256
#define ROOT_IMAGE 510   /* the entry of image_start */
#define ROOT_DEVICES 511 /* ... and of DEVICES */
#define DEVICES 0xffffffffc0000000ul
#define GIB 0x40000000ul
#define GROUP 0x200000ul
#define GROUP_OF(address) (((address) >> 21) % ENTRIES)

#define FDT_LIMIT 0x200000 /* bytes of a device tree that are believed */

#define SATP_SV39 (8ul << 60)
#define SATP_ASID_SHIFT 44
#define SATP_ASID_MASK 0xffff

/* A bank has two ends inside a GiB at most, and the image's own GiB has no large leaf. */
#define DIRECTORIES (2 * EXO_BANKS_MAX + 1)

extern char image_start[], image_rodata[], image_data[], image_end[];

/* Read by boot.S before translation is on. */
uint64_t kernel_satp;
/* 0, then 1 when a hart boots, and something else when boot.S may go on with others; not in bss. */
uint32_t boot_state __attribute__((section(".data")));

static _Alignas(EXO_FRAME_BYTES) uint64_t root[ENTRIES], image_directory[ENTRIES],
    image_pages[ENTRIES], device_groups[ENTRIES], directories[DIRECTORIES][ENTRIES];
static uint64_t image_address; /* physical */

/* Called from boot.S only. */
uint64_t early_map(void);
void boot_main(uint64_t hart_id, uint64_t fdt, uint64_t instructions);

/* In trap.S: values of the members of struct hart. */
extern char trap_entry[], float_trap_entry[];

/* The physical address of something in the image; what it is before translation is on, too. */
static uint64_t image_physical(const void *p) {
    return (uint64_t)p - (uint64_t)image_start + image_address;
}

static uint64_t table(const uint64_t *entries) {
    return pte_table(image_physical(entries) >> EXO_FRAME_SHIFT);
}

static uint64_t leaf(uint64_t address, uint64_t rights) {
    return pte_leaf(address >> EXO_FRAME_SHIFT, rights) & ~(uint64_t)PTE_U;
}

/*
 * Map the image, and whatever the device tree may lie in, to be read.  Runs with
 * translation off, where the address of a variable is physical; it uses no table
 * of pointers.
 */
uint64_t early_map(void) {
    image_address = (uint64_t)image_start;
    for (uint64_t i = 0; i < ENTRIES; i++) {
        uint64_t at = image_address + i * EXO_FRAME_BYTES;
        uint64_t right = at < (uint64_t)image_rodata ? EXO_PAGE_X
                         : at < (uint64_t)image_data ? 0
                                                     : EXO_PAGE_W;
        image_pages[i] = leaf(at, EXO_PAGE_R | right);
    }
    image_directory[0] = table(image_pages);
    root[ROOT_IMAGE] = table(image_directory);
    root[ROOT_DEVICES] = table(device_groups);
    for (uint64_t at = 0; at < DEVICETREE_RAM_LIMIT; at += GIB)
        root[KERNEL_HALF + at / GIB] = leaf(at, EXO_PAGE_R);
    return arch_satp((uint64_t)root >> EXO_FRAME_SHIFT, 0);
}

/* Build the direct map in place of what early_map put there; banks ascend, and so do directories. */
static void direct_map(const struct exo_info *facts) {
    uint32_t used = 0;
    bool image_found = false;
    for (uint32_t i = KERNEL_HALF; i < ROOT_IMAGE; i++) root[i] = 0;
    for (uint32_t i = 0; i < facts->bank_count; i++) {
        uint64_t address = facts->bank[i].first << EXO_FRAME_SHIFT;
        uint64_t end = address + (facts->bank[i].count << EXO_FRAME_SHIFT);
        for (uint64_t size; address < end; address += size) {
            uint64_t *entry = &root[KERNEL_HALF + address / GIB];
            bool large =
                address % GIB == 0 && end - address >= GIB && address / GIB != image_address / GIB;
            size = large ? GIB : GROUP;
            if (!large) {
                if (*entry == 0) *entry = table(directories[used++]);
                entry = &directories[used - 1][GROUP_OF(address)];
            }
            *entry = address == image_address ? table(image_pages)
                                              : leaf(address, EXO_PAGE_R | EXO_PAGE_W);
            image_found |= address == image_address;
        }
    }
    if (!image_found) arch_stop("the kernel is not in memory that the device tree names");
}

/* A group is mapped where its address modulo 1 GiB says, or in the next place that is free. */
void *device_register(uint64_t address) {
    uint64_t group = leaf(address / GROUP * GROUP, EXO_PAGE_R | EXO_PAGE_W);
    uint64_t i = GROUP_OF(address);
    while (device_groups[i] != group && device_groups[i] != 0) i = (i + 1) % ENTRIES;
    if (device_groups[i] == 0) {
        device_groups[i] = group;
        arch_tlb_flush_all();
    }
    return (void *)(DEVICES + i * GROUP + address % GROUP);
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
void boot_main(uint64_t hart_id, uint64_t fdt, uint64_t instructions) {
    struct machine *machine = &devicetree.machine;
    struct exo_info *facts = &machine->facts;
    struct sbi_result version = sbi_call(0, 0, 0, 0, 0, SBI_VERSION);
    console_open();
    /* 0.2 is the first with numbered extensions. */
    if (version.error != 0 || version.value < 2) arch_stop("the firmware has no SBI 0.2 or later");
    if (image_address % GROUP != 0 || image_address >= DEVICETREE_RAM_LIMIT)
        arch_stop("the kernel was loaded at an address that is not a multiple of 2 MiB");
    if (fdt >= DEVICETREE_RAM_LIMIT) arch_stop("the device tree lies beyond 192 GiB");
    const char *error = devicetree_read(arch_pointer(fdt), FDT_LIMIT, hart_id);
    if (error != 0) arch_stop(error);
    direct_map(facts);
    facts->asid_count = asid_probe(); /* ends with the fence that makes all of that true */
    if (devicetree.test_device != 0) device_register(devicetree.test_device);
    for (uint32_t i = 0; i < facts->device_count; i++)
        if (facts->device[i].kind == EXO_DEVICE_VIRTIO) device_register(facts->device[i].address);
    lines_open();

    facts->sbi_version = (uint32_t)version.value;
    facts->boot_instructions = instructions;
    machine->used[MACHINE_KERNEL] = (struct exo_bank){
        image_address >> EXO_FRAME_SHIFT, (uint64_t)(image_end - image_start) >> EXO_FRAME_SHIFT};
    kernel_boot(machine);
    for (uint32_t i = 0; i < hart_count; i++) {
        harts[i]->trap = (uint64_t)trap_entry;
        if (facts->hart[i].flags & EXO_HART_FLOAT)
            harts[i]->float_trap = (uint64_t)float_trap_entry;
    }
    __atomic_store_n(&boot_state, 2, __ATOMIC_RELEASE);

    /* Firmware starts them in its own time; one that it cannot start stays off. */
    for (uint32_t i = 1; i < hart_count; i++)
        sbi_call(harts[i]->id, image_address, 0, 0, 0, SBI_HART_START);
}

uint64_t arch_satp(uint64_t root_frame, uint64_t asid) {
    return SATP_SV39 | asid << SATP_ASID_SHIFT | root_frame;
}

uint64_t arch_satp_kernel(void) { return kernel_satp; }

void arch_root_init(uint64_t *table) {
    for (uint32_t i = KERNEL_HALF; i < ENTRIES; i++) table[i] = root[i];
}
