/* SPDX-License-Identifier: MIT */
/*
 * The device-tree reader on the trees of dts/, on trees built here at the
 * limits, and on broken ones.  Expectations are written out for the first, and
 * come from libfdt (devicetree_oracle.h) for all.  Every blob lies in a heap
 * block of just its size, so ASan sees a byte read beside it.
 *
 * EXO_QEMU_DTB may name a blob that QEMU wrote (-M virt,dumpdtb=FILE -smp 2): it
 * is then read and compared too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "devicetree_oracle.h"

#define BOOT_HART 1
#define MIB_FRAMES 256

struct blob {
    char *bytes;
    size_t length;
};

static const char *const trees[] = {"virt-like", "hifive-like", "visionfive-like"};
#define TREES (sizeof(trees) / sizeof(trees[0]))

static struct blob file_read(const char *path) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    struct blob blob = {malloc(1 << 21), 0};
    blob.length = fread(blob.bytes, 1, 1 << 21, file);
    fclose(file);
    assert_true(blob.length > 0 && blob.length < 1 << 21);
    blob.bytes = realloc(blob.bytes, blob.length);
    return blob;
}

static struct blob tree_read(const char *name) {
    char path[512];
    snprintf(path, sizeof(path), "%s/%s.dtb", DTB_DIR, name);
    return file_read(path);
}

/* Read a blob, compare with libfdt if it takes the blob too, and return the reader's answer. */
static const char *check(const void *bytes, size_t length, struct devicetree *tree) {
    memset(&devicetree, 0, sizeof(devicetree));
    const char *error = devicetree_read(bytes, length, BOOT_HART);
    *tree = devicetree;
    if (oracle_applies(bytes, length)) {
        struct oracle oracle;
        bool accepted = oracle_read(bytes, BOOT_HART, &oracle);
        if (accepted != (error == NULL)) fail_msg("reader says: %s", error ? error : "accepted");
        const char *difference = accepted ? oracle_difference(tree, &oracle.tree) : NULL;
        if (difference != NULL) fail_msg("differs from libfdt in: %s", difference);
    }
    return error;
}

static void accepted(const void *bytes, size_t length, struct devicetree *tree) {
    const char *error = check(bytes, length, tree);
    if (error != NULL) fail_msg("refused: %s", error);
    assert_true(oracle_applies(bytes, length));
}

static void range_is(struct exo_bank range, uint64_t first, uint64_t count) {
    assert_int_equal(range.first, first);
    assert_int_equal(range.count, count);
}

static void device_is(struct exo_device device, uint32_t kind, uint64_t address, uint32_t line) {
    assert_int_equal(device.kind, kind);
    assert_int_equal(device.address, address);
    assert_int_equal(device.line, line);
}

static void virt_like(void **state) {
    (void)state;
    struct devicetree tree;
    struct blob blob = tree_read("virt-like");
    accepted(blob.bytes, blob.length, &tree);
    const struct machine *machine = &tree.machine;
    const struct exo_info *facts = &machine->facts;
    assert_int_equal(facts->bank_count, 1);
    range_is(facts->bank[0], 0x80000, 128 * MIB_FRAMES);
    assert_int_equal(machine->used_count, MACHINE_OTHER + 1);
    range_is(machine->used[MACHINE_OTHER], 0x80000, 128);
    static const uint64_t ids[] = {1, 0, 2, 3};
    static const uint64_t flags[] = {EXO_HART_SSTC | EXO_HART_FLOAT, EXO_HART_SSTC | EXO_HART_FLOAT,
                                     EXO_HART_FLOAT, EXO_HART_SSTC | EXO_HART_FLOAT};
    assert_int_equal(facts->hart_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(facts->hart[i].id, ids[i]);
        assert_int_equal(facts->hart[i].flags, flags[i]);
    }
    assert_int_equal(facts->timebase_hz, 10000000);
    assert_int_equal(machine->archive_address, 0x84200000);
    assert_int_equal(facts->archive_bytes, 0x100400);
    assert_int_equal(facts->device_count, 4);
    device_is(facts->device[0], EXO_DEVICE_RTC, 0x101000, 11);
    device_is(facts->device[1], EXO_DEVICE_NS16550, 0x10000000, 10);
    device_is(facts->device[2], EXO_DEVICE_VIRTIO, 0x10001000, 1);
    device_is(facts->device[3], EXO_DEVICE_VIRTIO, 0x10002000, 2);
    assert_int_equal(facts->device[1].shift, 0);
    assert_int_equal(facts->device[1].width, 1);
    assert_int_equal(tree.plic, 0xc000000);
    assert_int_equal(machine->lines, 97);
    for (uint32_t i = 0; i < 4; i++) assert_int_equal(tree.context[i], 2 * ids[i] + 1);
    assert_int_equal(tree.test_device, 0x100000);
    free(blob.bytes);
}

static void hifive_like(void **state) {
    (void)state;
    struct devicetree tree;
    struct blob blob = tree_read("hifive-like");
    accepted(blob.bytes, blob.length, &tree);
    const struct machine *machine = &tree.machine;
    const struct exo_info *facts = &machine->facts;
    assert_int_equal(facts->bank_count, 1);
    range_is(facts->bank[0], 0x80000, 8190 * MIB_FRAMES); /* the odd MiB at the end is not used */
    assert_int_equal(machine->used_count, MACHINE_OTHER + 1);
    range_is(machine->used[MACHINE_OTHER], 0x80000, 64);
    assert_int_equal(facts->hart_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(facts->hart[i].id, i + 1);
        assert_int_equal(facts->hart[i].flags, EXO_HART_FLOAT);
    }
    assert_int_equal(facts->timebase_hz, 1000000);
    assert_int_equal(facts->archive_bytes, 0);
    assert_int_equal(facts->device_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        device_is(facts->device[i], EXO_DEVICE_SIFIVE_UART, 0x10010000 + i * 0x1000, 4 + i);
        assert_int_equal(facts->device[i].shift, 2);
        assert_int_equal(facts->device[i].width, 4);
    }
    assert_int_equal(tree.plic, 0xc000000);
    assert_int_equal(machine->lines, 54);
    for (uint32_t i = 0; i < 4; i++) assert_int_equal(tree.context[i], 2 * facts->hart[i].id);
    assert_int_equal(tree.test_device, 0);
    free(blob.bytes);
}

static void visionfive_like(void **state) {
    (void)state;
    struct devicetree tree;
    struct blob blob = tree_read("visionfive-like");
    accepted(blob.bytes, blob.length, &tree);
    const struct machine *machine = &tree.machine;
    const struct exo_info *facts = &machine->facts;
    assert_int_equal(facts->bank_count, 2);
    range_is(facts->bank[0], 0x40000, 3070 * MIB_FRAMES);
    range_is(facts->bank[1], 0x100000, 5120 * MIB_FRAMES);
    assert_int_equal(machine->used_count, MACHINE_OTHER + 2);
    range_is(machine->used[MACHINE_OTHER], 0x40000, 64);
    range_is(machine->used[MACHINE_OTHER + 1], 0x70000, 2); /* unaligned: rounded outwards */
    assert_int_equal(facts->hart_count, 4);
    assert_int_equal(facts->hart[0].id, 1);
    assert_int_equal(facts->timebase_hz, 4000000);
    assert_int_equal(machine->archive_address, 0x46100000);
    assert_int_equal(facts->archive_bytes, 0x800000);
    assert_int_equal(facts->device_count, 2);
    device_is(facts->device[0], EXO_DEVICE_NS16550, 0x10000000, 32);
    device_is(facts->device[1], EXO_DEVICE_NS16550, 0x12020000, 0); /* line 128 is too many */
    assert_int_equal(facts->device[0].shift, 2);
    assert_int_equal(facts->device[0].width, 4);
    assert_int_equal(machine->lines, EXO_LINES_MAX);
    for (uint32_t i = 0; i < 4; i++) assert_int_equal(tree.context[i], 2 * facts->hart[i].id);
    assert_int_equal(tree.test_device, 0);
    free(blob.bytes);
}

static void qemu_tree(void **state) {
    (void)state;
    const char *path = getenv("EXO_QEMU_DTB");
    if (path == NULL) skip();
    struct devicetree tree;
    struct blob blob = file_read(path);
    accepted(blob.bytes, blob.length, &tree);
    assert_int_not_equal(tree.machine.facts.device_count, 0);
    assert_int_not_equal(tree.machine.lines, 1);
    free(blob.bytes);
}

/* A blob that ends anywhere is refused, whether its header says so or not. */
static void truncated(void **state) {
    (void)state;
    struct devicetree tree;
    for (size_t t = 0; t < TREES; t++) {
        struct blob whole = tree_read(trees[t]);
        for (size_t length = 0; length < whole.length; length++) {
            char *cut = malloc(length + (length == 0));
            memcpy(cut, whole.bytes, length);
            assert_non_null(check(cut, length, &tree));
            if (length >= FDT_V17_SIZE) {
                fdt_set_totalsize(cut, (uint32_t)length);
                assert_non_null(check(cut, length, &tree));
            }
            free(cut);
        }
        free(whole.bytes);
    }
}

/* The same tree with its structure block last, so that nothing in the blob follows it. */
static struct blob structure_last(struct blob blob) {
    uint32_t strings = fdt_size_dt_strings(blob.bytes);
    uint32_t structure = fdt_size_dt_struct(blob.bytes);
    uint32_t start = fdt_off_mem_rsvmap(blob.bytes);
    uint32_t reserved = (uint32_t)(fdt_num_mem_rsv(blob.bytes) + 1) * 16;
    struct blob moved = {calloc(1, blob.length + 4), 0};
    memcpy(moved.bytes, blob.bytes, start + reserved);
    uint32_t at = start + reserved;
    memcpy(moved.bytes + at, blob.bytes + fdt_off_dt_strings(blob.bytes), strings);
    fdt_set_off_dt_strings(moved.bytes, at);
    at = (at + strings + 3) / 4 * 4;
    memcpy(moved.bytes + at, blob.bytes + fdt_off_dt_struct(blob.bytes), structure);
    fdt_set_off_dt_struct(moved.bytes, at);
    moved.length = at + structure;
    fdt_set_totalsize(moved.bytes, (uint32_t)moved.length);
    moved.bytes = realloc(moved.bytes, moved.length);
    free(blob.bytes);
    return moved;
}

/* Blocks that lie or end where they must not; each case leaves the rest of the blob as it was. */
static void broken_blocks(void **state) {
    (void)state;
    static const char outside[] = "a block of the device tree has no end inside it";
    static const char broken[] = "the structure of the device tree is broken";
    struct devicetree tree;
    struct blob blob = structure_last(tree_read("hifive-like"));
    uint32_t structure = fdt_size_dt_struct(blob.bytes);
    char *end = blob.bytes + blob.length - 4;
    char *last_name =
        blob.bytes + fdt_off_dt_strings(blob.bytes) + fdt_size_dt_strings(blob.bytes) - 1;
    accepted(blob.bytes, blob.length, &tree);

    fdt_set_size_dt_struct(blob.bytes, structure + 4096);
    assert_string_equal(check(blob.bytes, blob.length, &tree), outside);
    fdt_set_size_dt_struct(blob.bytes, structure + 4);
    assert_string_equal(check(blob.bytes, blob.length, &tree), outside);
    fdt_set_size_dt_struct(blob.bytes, structure - 1);
    assert_string_equal(check(blob.bytes, blob.length, &tree), outside);
    fdt_set_size_dt_struct(blob.bytes, structure - 4);
    assert_string_equal(check(blob.bytes, blob.length, &tree), broken);
    fdt_set_size_dt_struct(blob.bytes, structure);

    static const uint32_t tokens[] = {FDT_NOP, FDT_BEGIN_NODE, FDT_PROP, FDT_END_NODE, 7};
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        fdt32_st(end, tokens[i]);
        assert_string_equal(check(blob.bytes, blob.length, &tree), broken);
    }
    /* A last node whose name runs into the end, with nothing behind it. */
    fdt32_st(end - 4, FDT_BEGIN_NODE);
    memcpy(end, "name", 4);
    assert_string_equal(check(blob.bytes, blob.length, &tree), broken);
    fdt32_st(end - 4, FDT_END_NODE);
    fdt32_st(end, FDT_END);

    *last_name = 'x';
    assert_string_equal(check(blob.bytes, blob.length, &tree), outside);
    *last_name = '\0';
    fdt_set_version(blob.bytes, 16);
    assert_string_equal(check(blob.bytes, blob.length, &tree),
                        "the device tree is of another version than 17");
    free(blob.bytes);
}

/* Any word of a blob may hold anything; most harm is done by tokens, lengths and offsets. */
static void corrupt_words(void **state) {
    (void)state;
    static const uint32_t values[] = {0,          1,          2,       3,          4,
                                      5,          9,          0x7f,    0x80000000, 0x7ffffffc,
                                      0xfffffff4, 0xfffffffc, 0x10000, 0x1000,     0xffffffff};
    struct devicetree tree;
    for (size_t t = 0; t < 2 * TREES; t++) {
        struct blob blob = tree_read(trees[t / 2]);
        if (t % 2 == 1) blob = structure_last(blob);
        uint32_t strings = fdt_size_dt_strings(blob.bytes);
        for (size_t at = 0; at + 4 <= blob.length; at += 4) {
            char kept[4];
            memcpy(kept, blob.bytes + at, 4);
            for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
                fdt32_st(blob.bytes + at, values[v]);
                check(blob.bytes, blob.length, &tree);
            }
            fdt32_st(blob.bytes + at, strings); /* as a name: just behind the last */
            check(blob.bytes, blob.length, &tree);
            memcpy(blob.bytes + at, kept, 4);
        }
        accepted(blob.bytes, blob.length, &tree);
        free(blob.bytes);
    }
}

/* Any byte may be changed: names and values, and lengths by a little. */
static void corrupt_bytes(void **state) {
    (void)state;
    static const unsigned char changes[] = {1, 4, 0x80, 0xff};
    struct devicetree tree;
    for (size_t t = 0; t < TREES; t++) {
        struct blob blob = tree_read(trees[t]);
        for (size_t at = 0; at < blob.length; at++) {
            for (size_t c = 0; c < sizeof(changes); c++) {
                blob.bytes[at] = (char)(blob.bytes[at] ^ changes[c]);
                check(blob.bytes, blob.length, &tree);
                blob.bytes[at] = (char)(blob.bytes[at] ^ changes[c]);
            }
        }
        free(blob.bytes);
    }
}

static void unaligned(void **state) {
    (void)state;
    struct devicetree tree;
    struct devicetree moved;
    struct blob blob = tree_read("virt-like");
    accepted(blob.bytes, blob.length, &tree);
    char *shifted = malloc(blob.length + 1);
    memcpy(shifted + 1, blob.bytes, blob.length);
    memset(&devicetree, 0, sizeof(devicetree));
    assert_null(devicetree_read(shifted + 1, blob.length, BOOT_HART));
    moved = devicetree;
    assert_null(oracle_difference(&tree, &moved));
    free(shifted);
    free(blob.bytes);
}

/* What a built tree has; the rest is as small as the reader accepts. */
struct plan {
    uint32_t harts;        /* ids 1 to `harts` */
    uint32_t banks;        /* 2 MiB each, every other 2 MiB from 1 GiB, in falling order */
    uint32_t reserved;     /* children of /reserved-memory */
    uint32_t depth;        /* nodes within each other in /soc */
    uint64_t more_address; /* one more bank */
    uint64_t more_size;
    const struct node *devices; /* in /soc, up to one without a name */
    uint32_t soc_offset;        /* not 0: /soc sees its children at another address */
    bool extensions;            /* riscv,isa-extensions instead of riscv,isa */
    uint32_t lines;             /* riscv,ndev; 0: there is no PLIC */
    const char *plic_status;
    uint32_t before;  /* contexts before those of harts that have one, two a hart, S-mode second */
    uint32_t without; /* this hart has no context */
};

struct node {
    const char *compatible;
    uint64_t address;
    uint32_t line; /* 0: no such property */
    const char *status;
};

#define PHANDLE 100 /* of hart 0's interrupt controller */

static void reg(void *fdt, uint64_t address, uint64_t size) {
    fdt64_t value[2] = {cpu_to_fdt64(address), cpu_to_fdt64(size)};
    fdt_property(fdt, "reg", value, sizeof(value));
}

static void text(void *fdt, const char *name, const char *value) {
    if (value != NULL) fdt_property(fdt, name, value, (int)strlen(value) + 1);
}

static void plic(void *fdt, const struct plan *plan) {
    fdt32_t *contexts = calloc(2, (plan->before + 2 * plan->harts) * sizeof(*contexts));
    uint32_t count = plan->before;
    for (uint32_t i = 1; i <= plan->harts; i++) {
        if (i == plan->without) continue;
        for (uint32_t mode = 0; mode < 2; mode++, count++) {
            contexts[2 * count] = cpu_to_fdt32(PHANDLE + i);
            contexts[2 * count + 1] = cpu_to_fdt32(mode == 1 ? 9 : i % 2 == 0 ? 11 : 0xffffffff);
        }
    }
    fdt_begin_node(fdt, "plic");
    fdt_property_string(fdt, "compatible", "riscv,plic0");
    reg(fdt, 0xc000000, 0x400000);
    fdt_property_u32(fdt, "riscv,ndev", plan->lines);
    fdt_property(fdt, "interrupts-extended", contexts, (int)(count * 2 * sizeof(*contexts)));
    text(fdt, "status", plan->plic_status);
    fdt_end_node(fdt);
    free(contexts);
}

static struct blob build(const struct plan *plan) {
    size_t room = 1 << 16;
    char *fdt = malloc(room);
    char name[32];
    assert_int_equal(fdt_create(fdt, (int)room), 0);
    fdt_finish_reservemap(fdt);
    fdt_begin_node(fdt, "");
    fdt_property_u32(fdt, "#address-cells", 2);
    fdt_property_u32(fdt, "#size-cells", 2);
    for (uint32_t i = plan->banks; i > 0; i--) {
        snprintf(name, sizeof(name), "memory@%u", i);
        fdt_begin_node(fdt, name);
        fdt_property_string(fdt, "device_type", "memory");
        reg(fdt, 0x40000000 + (i - 1) * 2 * ORACLE_GROUP, ORACLE_GROUP);
        fdt_end_node(fdt);
    }
    if (plan->more_size > 0) {
        fdt_begin_node(fdt, "memory@more");
        fdt_property_string(fdt, "device_type", "memory");
        reg(fdt, plan->more_address, plan->more_size);
        fdt_end_node(fdt);
    }
    fdt_begin_node(fdt, "reserved-memory");
    fdt_property_u32(fdt, "#address-cells", 2);
    fdt_property_u32(fdt, "#size-cells", 2);
    for (uint32_t i = 0; i < plan->reserved; i++) {
        snprintf(name, sizeof(name), "range@%u", i);
        fdt_begin_node(fdt, name);
        reg(fdt, 0x40000000 + i * 4096ull, 4096);
        fdt_end_node(fdt);
    }
    fdt_end_node(fdt);
    fdt_begin_node(fdt, "cpus");
    fdt_property_u32(fdt, "#address-cells", 1);
    fdt_property_u32(fdt, "#size-cells", 0);
    fdt_property_u32(fdt, "timebase-frequency", 1000);
    for (uint32_t i = plan->harts; i > 0; i--) {
        snprintf(name, sizeof(name), "cpu@%x", i);
        fdt_begin_node(fdt, name);
        fdt_property_string(fdt, "device_type", "cpu");
        fdt_property_string(fdt, "mmu-type", "riscv,sv39");
        fdt_property_u32(fdt, "reg", i);
        if (plan->extensions)
            fdt_property(fdt, "riscv,isa-extensions", "i\0m\0sstc\0d", 11);
        else
            fdt_property_string(fdt, "riscv,isa", "rv64imac_sstca_zd");
        fdt_begin_node(fdt, "cache"); /* has a phandle, and is no interrupt controller */
        fdt_property_u32(fdt, "phandle", 1);
        fdt_end_node(fdt);
        fdt_begin_node(fdt, "interrupt-controller");
        fdt_property(fdt, "interrupt-controller", NULL, 0);
        fdt_property_u32(fdt, "phandle", PHANDLE + i);
        fdt_end_node(fdt);
        fdt_end_node(fdt);
    }
    fdt_end_node(fdt);
    fdt_begin_node(fdt, "soc");
    fdt_property_u32(fdt, "#address-cells", 2);
    fdt_property_u32(fdt, "#size-cells", 2);
    if (plan->soc_offset != 0) {
        fdt64_t ranges[3] = {0, cpu_to_fdt64(plan->soc_offset), cpu_to_fdt64(0x40000000)};
        fdt_property(fdt, "ranges", ranges, sizeof(ranges));
    } else {
        fdt_property(fdt, "ranges", NULL, 0);
    }
    for (const struct node *node = plan->devices; node != NULL && node->compatible != NULL;
         node++) {
        fdt_begin_node(fdt, "device");
        text(fdt, "compatible", node->compatible);
        reg(fdt, node->address, 0x100);
        if (node->line != 0) fdt_property_u32(fdt, "interrupts", node->line);
        text(fdt, "status", node->status);
        fdt_end_node(fdt);
    }
    if (plan->lines != 0) plic(fdt, plan);
    for (uint32_t i = 0; i < plan->depth; i++) fdt_begin_node(fdt, "deeper");
    fdt_property_string(fdt, "compatible", "sifive,test0");
    reg(fdt, 0x2000, 0x1000);
    for (uint32_t i = 0; i < plan->depth; i++) fdt_end_node(fdt);
    fdt_end_node(fdt);
    fdt_end_node(fdt);
    assert_int_equal(fdt_finish(fdt), 0);
    size_t length = fdt_totalsize(fdt);
    return (struct blob){realloc(fdt, length), length};
}

static const char *built(struct plan plan, struct devicetree *tree) {
    struct blob blob = build(&plan);
    assert_true(oracle_applies(blob.bytes, blob.length));
    const char *error = check(blob.bytes, blob.length, tree);
    free(blob.bytes);
    return error;
}

static void counts_at_their_limits(void **state) {
    (void)state;
    struct devicetree tree;
    struct plan plan = {.harts = EXO_HARTS_MAX,
                        .banks = EXO_BANKS_MAX,
                        .reserved = MACHINE_USED_MAX - MACHINE_OTHER};
    assert_null(built(plan, &tree));
    assert_int_equal(tree.machine.facts.hart_count, EXO_HARTS_MAX);
    assert_int_equal(tree.machine.facts.bank_count, EXO_BANKS_MAX);
    assert_int_equal(tree.machine.used_count, MACHINE_USED_MAX);
    range_is(tree.machine.facts.bank[0], 0x40000, EXO_GROUP_FRAMES);

    /* Cut, and the boot hart, which comes last in the tree, is not what is left out. */
    plan.harts = EXO_HARTS_MAX + 10;
    plan.banks = EXO_BANKS_MAX + 1;
    assert_null(built(plan, &tree));
    assert_int_equal(tree.machine.facts.hart_count, EXO_HARTS_MAX);
    assert_int_equal(tree.machine.facts.hart[0].id, BOOT_HART);
    assert_int_equal(tree.machine.facts.bank_count, EXO_BANKS_MAX);

    plan.reserved++;
    assert_string_equal(built(plan, &tree), "the device tree reserves too many ranges of memory");
}

static void what_is_missing(void **state) {
    (void)state;
    struct devicetree tree;
    assert_string_equal(built((struct plan){.harts = 2}, &tree), "the device tree names no memory");
    assert_string_equal(built((struct plan){.banks = 1}, &tree),
                        "the boot hart is not an enabled hart with an MMU in the device tree");
    assert_string_equal(devicetree_read("not a device tree at all, but long enough", 42, 0),
                        "there is no device tree");
    assert_string_equal(devicetree_read("", 0, 0), "there is no device tree");
}

static void odd_banks(void **state) {
    (void)state;
    struct devicetree tree;
    struct plan plan = {.harts = 1, .banks = 2};
    plan.more_address = 0x40000000 + ORACLE_GROUP; /* just the gap between the two */
    plan.more_size = ORACLE_GROUP;
    assert_null(built(plan, &tree));
    assert_int_equal(tree.machine.facts.bank_count, 3);
    plan.more_size = ORACLE_GROUP + 4096; /* its last frame is no whole group */
    assert_null(built(plan, &tree));
    plan.more_size = 2 * ORACLE_GROUP;
    assert_string_equal(built(plan, &tree), "banks of memory overlap in the device tree");
    plan.more_address = 0xffffffffffe00000; /* up to the very end, and round it */
    plan.more_size = 0x400000;
    assert_null(built(plan, &tree));
    assert_int_equal(tree.machine.facts.bank_count, 2);
    plan.more_address = DEVICETREE_RAM_LIMIT - ORACLE_GROUP;
    plan.more_size = UINT64_MAX;
    assert_null(built(plan, &tree));
    assert_int_equal(tree.machine.facts.bank_count, 3);
    range_is(tree.machine.facts.bank[2], plan.more_address / 4096, EXO_GROUP_FRAMES);
    plan.more_address = 0x50001000; /* holds no whole group */
    plan.more_size = 2 * ORACLE_GROUP - 8192;
    assert_null(built(plan, &tree));
    assert_int_equal(tree.machine.facts.bank_count, 2);
}

/* Which devices programs are told of: the addresses, ascending. */
static void devices_are(struct plan plan, const struct node *devices, const uint64_t *addresses,
                        uint32_t count) {
    struct devicetree tree;
    plan.harts = plan.banks = 1;
    plan.devices = devices;
    assert_null(built(plan, &tree));
    assert_int_equal(tree.machine.facts.device_count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(tree.machine.facts.device[i].address, addresses[i]);
}

static void devices_and_pages(void **state) {
    (void)state;
    const struct node devices[] = {
        {"ns16550a", 0x3000, 0, NULL},
        {"snps,dw-apb-uart", 0x1000, 0, "ok"},
        {"google,goldfish-rtc", 0x5000, 0, NULL},
        {"virtio,mmio", 0x7000, 0, "okay"},
        {"ns16550a", 0x9000, 0, "disabled"},
        {"ns16550", 0xa000, 0, NULL},
        {"virtio,mmio", 0x7200, 0, NULL}, /* the kernel's own may share a page */
        {"ns16550a", 0x3100, 0, NULL},    /* others may not, and there may be more than two */
        {"sifive,uart0", 0x3200, 0, NULL},
        {"ns16550a", 0x7800, 0, NULL},
        {"ns16550a", 0, 0, NULL},
        {"ns16550a", 1ull << 56, 0, NULL},
        {"ns16550a", (1ull << 56) - 4096, 0, NULL},
        {NULL, 0, 0, NULL}};
    static const uint64_t left[] = {0x1000, 0x5000, 0x7000, 0x7200, (1ull << 56) - 4096};
    devices_are((struct plan){0}, devices, left, 5);
    devices_are((struct plan){.soc_offset = 0x1000}, devices, NULL, 0); /* not where reg says */
}

static void devices_at_their_limit(void **state) {
    (void)state;
    struct node devices[EXO_DEVICES_MAX + 2] = {{0}};
    uint64_t addresses[EXO_DEVICES_MAX];
    for (uint32_t i = 0; i < EXO_DEVICES_MAX; i++) {
        devices[EXO_DEVICES_MAX - 1 - i] = (struct node){"ns16550a", (i + 1) * 4096ul, 0, NULL};
        addresses[i] = (i + 1) * 4096ul;
    }
    devices_are((struct plan){0}, devices, addresses, EXO_DEVICES_MAX);
    /* One more is left out, but its page is nobody's. */
    devices[EXO_DEVICES_MAX] = (struct node){"virtio,mmio", 64, 0, NULL};
    devices_are((struct plan){0}, devices, addresses, EXO_DEVICES_MAX);
    devices[EXO_DEVICES_MAX].address = 4096 + 256;
    devices_are((struct plan){0}, devices, addresses + 1, EXO_DEVICES_MAX - 1);
}

static void lines_are(struct plan plan, uint64_t lines, uint32_t line) {
    const struct node devices[] = {{"ns16550a", 0x1000, line, NULL}, {NULL, 0, 0, NULL}};
    struct devicetree tree;
    plan.harts = 3;
    plan.banks = 1;
    plan.devices = devices;
    assert_null(built(plan, &tree));
    assert_int_equal(tree.machine.lines, lines);
    assert_int_equal(tree.machine.facts.device[0].line, line < lines ? line : 0);
    if (lines == 1) return;
    assert_int_equal(tree.plic, 0xc000000);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(tree.context[i],
                         plan.before + 2 * (tree.machine.facts.hart[i].id - 1) + 1);
}

static void lines_and_contexts(void **state) {
    (void)state;
    lines_are((struct plan){.lines = 8}, 9, 8);
    lines_are((struct plan){.lines = 8}, 9, 9);
    lines_are((struct plan){.lines = 8, .before = 3}, 9, 1);
    lines_are((struct plan){.lines = EXO_LINES_MAX - 2}, EXO_LINES_MAX - 1, EXO_LINES_MAX - 2);
    lines_are((struct plan){.lines = EXO_LINES_MAX}, EXO_LINES_MAX, EXO_LINES_MAX);
    lines_are((struct plan){.lines = UINT32_MAX}, EXO_LINES_MAX, UINT32_MAX);
    /* The last context that there may be, and one more. */
    lines_are((struct plan){.lines = 8, .before = DEVICETREE_CONTEXTS - 6}, 9, 1);
    lines_are((struct plan){.lines = 8, .before = DEVICETREE_CONTEXTS - 5}, 1, 1);
    lines_are((struct plan){.lines = 8, .without = 1}, 1, 1);
    lines_are((struct plan){.lines = 8, .without = 3}, 1, 1);
    lines_are((struct plan){.lines = 8, .plic_status = "okay"}, 9, 1);
    lines_are((struct plan){.lines = 8, .plic_status = "disabled"}, 1, 1);
    lines_are((struct plan){.lines = 8, .soc_offset = 0x1000}, 1, 0);
    lines_are((struct plan){.lines = 0}, 1, 1);
}

static void hart_extensions(void **state) {
    (void)state;
    struct devicetree tree;
    assert_null(built((struct plan){.harts = 1, .banks = 1}, &tree));
    assert_int_equal(tree.machine.facts.hart[0].flags, 0);
    assert_null(built((struct plan){.harts = 1, .banks = 1, .extensions = true}, &tree));
    assert_int_equal(tree.machine.facts.hart[0].flags, EXO_HART_SSTC | EXO_HART_FLOAT);
}

static void deep_nodes(void **state) {
    (void)state;
    struct devicetree tree;
    for (uint32_t depth = 1; depth < 60; depth++)
        assert_null(built((struct plan){.harts = 1, .banks = 1, .depth = depth}, &tree));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(virt_like),          cmocka_unit_test(hifive_like),
        cmocka_unit_test(visionfive_like),    cmocka_unit_test(qemu_tree),
        cmocka_unit_test(truncated),          cmocka_unit_test(broken_blocks),
        cmocka_unit_test(corrupt_words),      cmocka_unit_test(corrupt_bytes),
        cmocka_unit_test(unaligned),          cmocka_unit_test(counts_at_their_limits),
        cmocka_unit_test(what_is_missing),    cmocka_unit_test(odd_banks),
        cmocka_unit_test(devices_and_pages),  cmocka_unit_test(devices_at_their_limit),
        cmocka_unit_test(lines_and_contexts), cmocka_unit_test(hart_extensions),
        cmocka_unit_test(deep_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
