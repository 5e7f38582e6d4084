/* SPDX-License-Identifier: MIT */
/*
 * Reader of the flattened device tree; devicetree.h says what it promises.
 *
 * The nodes are visited once, in their order, and a property is searched for
 * when it is needed: few nodes need any.  No token is believed that does not fit
 * in the blob.
 */
#include "devicetree.h"

#include <stdbool.h>

#define MAGIC 0xd00dfeed
#define LEVELS 16 /* nodes further down are not looked at */
#define GROUP_BYTES ((uint64_t)EXO_GROUP_FRAMES * EXO_FRAME_BYTES)

enum { TOKEN_BROKEN, TOKEN_BEGIN_NODE, TOKEN_END_NODE, TOKEN_PROPERTY, TOKEN_NOP, TOKEN_END = 9 };

/* A token of the structure block. */
struct token {
    uint64_t kind;
    uint64_t next;     /* offset of the token behind it */
    const char *name;  /* of a node or property */
    const char *bytes; /* of a property's value; 0 when this is none */
    uint64_t length;
};

struct devicetree devicetree;

static struct machine *const machine = &devicetree.machine;
static struct exo_info *const facts = &devicetree.machine.facts;

static struct reader {
    const char *structure, *strings;
    uint64_t structure_bytes, strings_bytes;
    uint64_t next;               /* offset of the token after those visited */
    uint32_t depth;              /* of the current node; the root's is 1 */
    uint64_t properties[LEVELS]; /* offset of the first, of the current node and those around it */
    const char *top;             /* name of the one among these that is a child of the root */
    uint32_t hart;           /* the last one that was visited, or EXO_HARTS_MAX if it is left out */
    struct token compatible; /* that property of the current node */
    struct token contexts;   /* interrupts-extended of the PLIC */
} reader;

/* A number of so many words, two at most; byte by byte, since a blob need not be aligned. */
static uint64_t number_read(const char *bytes, uint64_t words) {
    uint64_t number = 0;
    for (uint64_t i = 0; i < 4 * words; i++) number = number << 8 | (uint8_t)bytes[i];
    return number;
}

static bool string_is(const char *a, const char *b) {
    while (*a != '\0' && *a == *b) a++, b++;
    return *a == *b;
}

/* Whether `string` is among the texts that end with a zero byte or `separator` in `list`. */
static bool list_has(struct token list, char separator, const char *string) {
    const char *rest = string; /* of it, what the text at hand still lacks; 0 if that differs */
    for (uint64_t i = 0; i < list.length; i++) {
        bool end = list.bytes[i] == '\0' || list.bytes[i] == separator;
        if (end && rest && *rest == '\0') return true;
        rest = end ? string : rest && *rest == list.bytes[i] ? rest + 1 : 0;
    }
    return false;
}

/* The token at an offset that is a multiple of 4, as the block's size is, and not above it. */
static struct token token_read(uint64_t at) {
    const char *bytes = reader.structure + at;
    uint64_t room = reader.structure_bytes - at, used = 4;
    struct token token = {room < 4 ? TOKEN_BROKEN : number_read(bytes, 1), 0, bytes + 4, 0, 0};
    if (token.kind == TOKEN_BEGIN_NODE)
        for (used = 5; used <= room && bytes[used - 1] != '\0';) used++;
    if (token.kind == TOKEN_PROPERTY) {
        if (room < 12 || number_read(bytes + 8, 1) >= reader.strings_bytes)
            return (struct token){0};
        token.name = reader.strings + number_read(bytes + 8, 1);
        token.bytes = bytes + 12;
        token.length = number_read(bytes + 4, 1);
        used = 12 + token.length;
    }
    if (used > room) return (struct token){0};
    token.next = at + (used + 3) / 4 * 4;
    return token;
}

/* A property of the node at this depth, around the current one; without bytes when there is none. */
static struct token property_at(uint32_t depth, const char *name) {
    struct token token = {.next = reader.properties[depth]};
    do token = token_read(token.next);
    while (token.kind == TOKEN_NOP ||
           (token.kind == TOKEN_PROPERTY && !string_is(token.name, name)));
    return token;
}

/* ... of the current node. */
static struct token property(const char *name) { return property_at(reader.depth, name); }

/* Its one word or two; `otherwise` when it has none. */
static uint64_t number(struct token value, uint64_t otherwise) {
    return value.length < 4 ? otherwise : number_read(value.bytes, value.length < 8 ? 1 : 2);
}

/* Whether this text is among those of a property. */
static bool has(const char *name, const char *text) { return list_has(property(name), 0, text); }

static bool is(const char *name) { return list_has(reader.compatible, 0, name); }

/* Go to the next node, not deeper than LEVELS; false at the end, or where the structure breaks. */
static bool node_next(void) {
    struct token token;
    do {
        token = token_read(reader.next);
        if (token.kind == TOKEN_BROKEN || token.kind > TOKEN_NOP ||
            (token.kind == TOKEN_END_NODE && reader.depth == 0))
            return false;
        if (token.kind == TOKEN_BEGIN_NODE) reader.depth++;
        if (token.kind == TOKEN_END_NODE) reader.depth--;
        reader.next = token.next;
    } while (token.kind != TOKEN_BEGIN_NODE || reader.depth >= LEVELS);
    reader.properties[reader.depth] = token.next;
    reader.compatible = property("compatible");
    if (reader.depth == 2) reader.top = token.name;
    return true;
}

/* Is the current node at this depth, and is or lies in this child of the root? */
static bool is_in(uint32_t depth, const char *top) {
    return reader.depth == depth && string_is(reader.top, top);
}

static bool is_enabled(void) {
    return property("status").bytes == 0 || has("status", "okay") || has("status", "ok");
}

/* Entry `index` of reg, in the cells of the node around it. */
static bool reg_read(uint32_t index, uint64_t *address, uint64_t *size) {
    uint64_t address_words = number(property_at(reader.depth - 1, "#address-cells"), 2);
    uint64_t size_words = number(property_at(reader.depth - 1, "#size-cells"), 1);
    uint64_t entry = 4 * (address_words + size_words);
    struct token reg = property("reg");
    if (address_words < 1 || address_words > 2 || size_words > 2 || reg.length / entry <= index)
        return false;
    *address = number_read(reg.bytes + index * entry, address_words);
    *size = number_read(reg.bytes + index * entry + 4 * address_words, size_words);
    return true;
}

/* The address of an enabled device that processors see where reg says; 0: it is none. */
static uint64_t device_address(void) {
    uint64_t address, size;
    for (uint32_t depth = 2; depth < reader.depth; depth++) {
        struct token ranges = property_at(depth, "ranges");
        if (ranges.bytes == 0 || ranges.length != 0) return 0;
    }
    if (!is_enabled() || !reg_read(0, &address, &size)) return 0;
    return address < DEVICETREE_ADDRESS_LIMIT ? address : 0;
}

/* Insert RAM in order. */
static void bank_add(uint64_t address, uint64_t size) {
    uint64_t end = size < DEVICETREE_RAM_LIMIT ? address + size : DEVICETREE_RAM_LIMIT;
    uint64_t first = address / GROUP_BYTES + (address % GROUP_BYTES != 0);
    end = (end < DEVICETREE_RAM_LIMIT ? end : DEVICETREE_RAM_LIMIT) / GROUP_BYTES;
    if (first >= end || facts->bank_count == EXO_BANKS_MAX) return;
    struct exo_bank *bank = &facts->bank[facts->bank_count++];
    for (; bank > facts->bank && bank[-1].first > first * EXO_GROUP_FRAMES; bank--)
        *bank = bank[-1];
    *bank = (struct exo_bank){first * EXO_GROUP_FRAMES, (end - first) * EXO_GROUP_FRAMES};
}

/* Unlike a bank, a range in use cannot be left out: those that do not fit are counted too. */
static void used_add(uint64_t address, uint64_t size) {
    if (size == 0 || machine->used_count++ >= MACHINE_USED_MAX) return;
    uint64_t first = address / EXO_FRAME_BYTES;
    uint64_t last = (size - 1 > ~address ? UINT64_MAX : address + size - 1) / EXO_FRAME_BYTES;
    machine->used[machine->used_count - 1] = (struct exo_bank){first, last - first + 1};
}

static void hart_add(uint64_t boot_hart) {
    struct exo_hart_info hart = {0};
    struct token isa = property("riscv,isa");
    uint64_t size;
    reader.hart = EXO_HARTS_MAX;
    if (!has("device_type", "cpu") || !is_enabled() || property("mmu-type").bytes == 0 ||
        has("mmu-type", "riscv,none") || !reg_read(0, &hart.id, &size))
        return;
    if (list_has(isa, '_', "sstc") || has("riscv,isa-extensions", "sstc"))
        hart.flags |= EXO_HART_SSTC;
    if (has("riscv,isa-extensions", "d")) hart.flags |= EXO_HART_FLOAT;
    /* The letters after "rv64": d and g have floating point of double precision. */
    for (uint64_t i = 4; i < isa.length && isa.bytes[i] != '_' && isa.bytes[i] != '\0'; i++)
        if (isa.bytes[i] == 'd' || isa.bytes[i] == 'g') hart.flags |= EXO_HART_FLOAT;
    reader.hart = hart.id == boot_hart ? 0 : facts->hart_count;
    if (reader.hart == EXO_HARTS_MAX) return;
    if (reader.hart != 0) facts->hart_count++;
    facts->hart[reader.hart] = hart;
}

/* A device for programs or, VIRTIO, for the kernel; others that share a page become kind 0. */
static void device_add(uint32_t kind, uint64_t shift, uint64_t width) {
    struct token line = property("interrupts");
    struct exo_device device = {.address = device_address(),
                                .kind = kind,
                                .line = (uint32_t)number_read(line.bytes, line.length >= 4),
                                .shift = (uint32_t)number(property("reg-shift"), shift),
                                .width = (uint32_t)number(property("reg-io-width"), width)};
    if (device.address == 0) return;
    for (uint32_t i = 0; i < facts->device_count; i++) {
        struct exo_device *other = &facts->device[i];
        if (other->address / EXO_FRAME_BYTES != device.address / EXO_FRAME_BYTES) continue;
        if (other->kind != EXO_DEVICE_VIRTIO) other->kind = 0;
        if (device.kind != EXO_DEVICE_VIRTIO) device.kind = 0;
    }
    if (facts->device_count == EXO_DEVICES_MAX) return;
    struct exo_device *at = &facts->device[facts->device_count++];
    for (; at > facts->device && at[-1].address > device.address; at--) *at = at[-1];
    *at = device;
}

static void node_read(uint64_t boot_hart) {
    uint64_t address, size;
    if (is_in(2, "chosen")) {
        uint64_t end = number(property("linux,initrd-end"), 0);
        address = machine->archive_address = number(property("linux,initrd-start"), 0);
        facts->archive_bytes = address < end ? end - address : 0;
    } else if (is_in(2, "cpus")) {
        facts->timebase_hz = number(property("timebase-frequency"), 0);
    } else if (is_in(3, "cpus")) {
        hart_add(boot_hart);
    } else if (is_in(4, "cpus")) {
        if (reader.hart < EXO_HARTS_MAX && property("interrupt-controller").bytes != 0)
            devicetree.context[reader.hart] = number(property("phandle"), 0);
    } else if (is_in(3, "reserved-memory")) {
        for (uint32_t i = 0; reg_read(i, &address, &size); i++) used_add(address, size);
    } else if (reader.depth == 2 && has("device_type", "memory")) {
        for (uint32_t i = 0; is_enabled() && reg_read(i, &address, &size); i++)
            bank_add(address, size);
    } else if (is("sifive,test0")) {
        devicetree.test_device = device_address();
    } else if (is("sifive,plic-1.0.0") || is("riscv,plic0")) {
        devicetree.plic = device_address();
        machine->lines = number(property("riscv,ndev"), 0);
        reader.contexts = property("interrupts-extended");
    } else if (is("ns16550a") || is("snps,dw-apb-uart")) {
        device_add(EXO_DEVICE_NS16550, 0, 1);
    } else if (is("sifive,uart0")) {
        device_add(EXO_DEVICE_SIFIVE_UART, 2, 4);
    } else if (is("google,goldfish-rtc")) {
        device_add(EXO_DEVICE_RTC, 0, 0);
    } else if (is("virtio,mmio")) {
        device_add(EXO_DEVICE_VIRTIO, 0, 0);
    }
}

/*
 * When all nodes are known: each hart's context is where the PLIC names its
 * interrupt controller, and without one of them no line is of use.
 */
static void devices_end(void) {
    uint64_t contexts = devicetree.plic == 0 ? 0 : reader.contexts.length / 8;
    if (contexts > DEVICETREE_CONTEXTS) contexts = DEVICETREE_CONTEXTS;
    machine->lines = machine->lines < EXO_LINES_MAX ? machine->lines + 1 : EXO_LINES_MAX;
    for (uint32_t hart = 0; hart < facts->hart_count; hart++) {
        uint64_t entry = devicetree.context[hart] << 32 | 9, i = 0; /* supervisor external */
        while (i < contexts && number_read(reader.contexts.bytes + 8 * i, 2) != entry) i++;
        if (i == contexts) machine->lines = 1;
        devicetree.context[hart] = i;
    }
    uint32_t devices = facts->device_count;
    facts->device_count = 0;
    for (uint32_t i = 0; i < devices; i++) {
        if (facts->device[i].line >= machine->lines) facts->device[i].line = 0;
        if (facts->device[i].kind != 0) facts->device[facts->device_count++] = facts->device[i];
    }
}

const char *devicetree_read(const void *fdt, uint64_t limit, uint64_t boot_hart) {
    const char *blob = fdt;
    if (limit < 40 || number_read(blob, 1) != MAGIC) return "there is no device tree";
    if (number_read(blob + 20, 1) < 17 || number_read(blob + 24, 1) > 17)
        return "the device tree is of another version than 17";
    uint64_t total = number_read(blob + 4, 1), structure = number_read(blob + 8, 1);
    uint64_t strings = number_read(blob + 12, 1), reserved = number_read(blob + 16, 1);
    uint64_t strings_bytes = number_read(blob + 32, 1), structure_bytes = number_read(blob + 36, 1);
    /* With a zero byte at its end, every name that begins inside the block of strings ends there. */
    if (total > limit || structure + structure_bytes > total || structure_bytes % 4 != 0 ||
        strings + strings_bytes > total ||
        (strings_bytes > 0 && blob[strings + strings_bytes - 1] != '\0'))
        return "a block of the device tree has no end inside it";

    /* What is said to begin at the end of the structure is not there. */
    reader = (struct reader){blob + structure, blob + strings, structure_bytes, strings_bytes,
                             .properties[0] = structure_bytes};
    machine->used_count = MACHINE_OTHER;
    for (; reserved + 16 <= total && number_read(blob + reserved + 8, 2) != 0; reserved += 16)
        used_add(number_read(blob + reserved, 2), number_read(blob + reserved + 8, 2));
    facts->hart_count = 1;
    facts->hart[0].id = ~boot_hart;
    while (node_next()) node_read(boot_hart);
    if (token_read(reader.next).kind != TOKEN_END || reader.depth != 0)
        return "the structure of the device tree is broken";
    devices_end();
    if (machine->used_count > MACHINE_USED_MAX)
        return "the device tree reserves too many ranges of memory";
    if (facts->bank_count == 0) return "the device tree names no memory";
    for (uint32_t i = 1; i < facts->bank_count; i++)
        if (facts->bank[i].first < facts->bank[i - 1].first + facts->bank[i - 1].count)
            return "banks of memory overlap in the device tree";
    if (facts->timebase_hz == 0) return "the device tree has no timebase-frequency";
    if (facts->hart[0].id != boot_hart)
        return "the boot hart is not an enabled hart with an MMU in the device tree";
    return 0;
}
