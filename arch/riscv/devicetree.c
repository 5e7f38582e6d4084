/* SPDX-License-Identifier: MIT */
/*
 * Reader of the flattened device tree; devicetree.h says what it promises.
 *
 * The nodes are visited in their order, once for all that the machine has and
 * once more for the console, and a property is searched for when it is needed:
 * few nodes need any.  No token is believed that does not fit in the blob.
 */
#include "devicetree.h"

#include <stdbool.h>

#define MAGIC 0xd00dfeed
#define VERSION 17
#define HEADER_BYTES 40

enum { TOKEN_BROKEN, TOKEN_BEGIN_NODE, TOKEN_END_NODE, TOKEN_PROPERTY, TOKEN_NOP, TOKEN_END = 9 };

#define LEVELS 16 /* nodes further down are not looked at */
#define GROUP_BYTES ((uint64_t)EXO_GROUP_FRAMES * EXO_FRAME_BYTES)

/* Bytes of the blob, or of a literal. */
struct text {
    const char *bytes;
    uint32_t length;
};
#define TEXT(literal) ((struct text){literal, sizeof(literal) - 1})

/* A token of the structure block. */
struct token {
    uint32_t kind;
    uint32_t next;     /* offset of the token behind it */
    const char *name;  /* of a node or property */
    struct text value; /* of a property, else without bytes */
};

struct reader {
    const char *structure;
    const char *strings;
    uint32_t structure_bytes;
    uint32_t strings_bytes;
    uint32_t next;  /* offset of the token after those visited */
    uint32_t depth; /* of the current node; the root's is 1 */
    /* Of the current node and those around it: its name, and the offset of its first property. */
    const char *name[LEVELS];
    uint32_t node[LEVELS];
    uint32_t aliases; /* the same offset of the node /aliases */
};

/* An entry of reg, in bytes. */
struct range {
    uint64_t address;
    uint64_t end;
};

/* Byte by byte: a blob need not be aligned. */
static uint32_t word_read(const char *bytes) {
    const uint8_t *b = (const uint8_t *)bytes;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* A number of this many words, two at most. */
static uint64_t number_read(const char *bytes, uint64_t words) {
    uint64_t number = 0;
    for (uint64_t i = 0; i < words; i++) number = number << 32 | word_read(bytes + 4 * i);
    return number;
}

/* An address and a size behind it, of this many words each. */
static struct range range_read(const char *bytes, uint64_t address_words, uint64_t size_words) {
    uint64_t address = number_read(bytes, address_words);
    uint64_t end = address + number_read(bytes + 4 * address_words, size_words);
    return (struct range){address, end < address ? UINT64_MAX : end};
}

/* Whether a string that ends with a zero byte is this text, which holds none. */
static bool string_is(const char *string, struct text text) {
    uint32_t i = 0;
    while (i < text.length && string[i] == text.bytes[i]) i++;
    return i == text.length && string[i] == '\0';
}

/* Whether `string` is among the texts that end with a zero byte or `separator` in `list`. */
static bool list_has(struct text list, char separator, const char *string) {
    const char *rest = string; /* of it, what the text at hand still lacks; 0 if that differs */
    for (uint32_t i = 0; i < list.length; i++) {
        bool end = list.bytes[i] == '\0' || list.bytes[i] == separator;
        if (end && rest && *rest == '\0') return true;
        rest = end ? string : rest && *rest == list.bytes[i] ? rest + 1 : 0;
    }
    return false;
}

/* The token at an offset that is a multiple of 4, as the block's size is, and not above it. */
static struct token token_read(const struct reader *reader, uint32_t at) {
    const char *bytes = reader->structure + at;
    uint32_t room = reader->structure_bytes - at;
    struct token token = {room < 4 ? TOKEN_BROKEN : word_read(bytes), 0, bytes + 4, {0, 0}};
    uint64_t used = 4;
    if (token.kind == TOKEN_BEGIN_NODE) {
        while (used < room && bytes[used] != '\0') used++;
        used++;
    } else if (token.kind == TOKEN_PROPERTY) {
        if (room < 12 || word_read(bytes + 8) >= reader->strings_bytes) return (struct token){0};
        token.name = reader->strings + word_read(bytes + 8);
        token.value = (struct text){bytes + 12, word_read(bytes + 4)};
        used = 12ul + token.value.length;
    }
    if (used > room) return (struct token){0};
    token.next = at + (uint32_t)(used + 3) / 4 * 4;
    return token;
}

/* A property of the node whose first is at this offset; without bytes when there is none. */
static struct text property_at(const struct reader *reader, uint32_t node, struct text name) {
    struct token token = {.next = node};
    do token = token_read(reader, token.next);
    while (token.kind == TOKEN_NOP ||
           (token.kind == TOKEN_PROPERTY && !string_is(token.name, name)));
    return token.value;
}

static struct text property(const struct reader *reader, struct text name) {
    return property_at(reader, reader->node[reader->depth], name);
}

/* A property of one or two words: `otherwise` when it is absent, 0 when it has another length. */
static uint64_t property_number(const struct reader *reader, uint32_t depth, struct text name,
                                uint64_t otherwise) {
    struct text value = property_at(reader, reader->node[depth], name);
    if (value.bytes == 0) return otherwise;
    return value.length == 4 || value.length == 8 ? number_read(value.bytes, value.length / 4) : 0;
}

/* Do the letters after "rv64" name floating point of double precision? */
static bool isa_has_double(struct text isa) {
    for (uint32_t i = 4; i < isa.length && isa.bytes[i] != '_' && isa.bytes[i] != '\0'; i++)
        if (isa.bytes[i] == 'd' || isa.bytes[i] == 'g') return true;
    return false;
}

/* Whether `string` is among the strings of a property. */
static bool property_has(const struct reader *reader, struct text name, const char *string) {
    return list_has(property(reader, name), '\0', string);
}

/* Go to the next node, not deeper than LEVELS; false at the end, or where the structure breaks. */
static bool node_next(struct reader *reader) {
    for (;;) {
        struct token token = token_read(reader, reader->next);
        if (token.kind == TOKEN_BEGIN_NODE)
            reader->depth++;
        else if (token.kind == TOKEN_END_NODE && reader->depth > 0)
            reader->depth--;
        else if (token.kind != TOKEN_PROPERTY && token.kind != TOKEN_NOP)
            return false;
        reader->next = token.next;
        if (token.kind == TOKEN_BEGIN_NODE && reader->depth < LEVELS) {
            reader->name[reader->depth] = token.name;
            reader->node[reader->depth] = token.next;
            return true;
        }
    }
}

/* Is the current node at this depth, and is or lies in this child of the root? */
static bool node_is_in(const struct reader *reader, uint32_t depth, struct text top) {
    return reader->depth == depth && string_is(reader->name[2], top);
}

static bool node_is_enabled(const struct reader *reader) {
    struct text status = property(reader, TEXT("status"));
    return status.bytes == 0 || list_has(status, '\0', "okay") || list_has(status, '\0', "ok");
}

/* Entry `index` of reg, in the cells of the node around it. */
static bool reg_read(const struct reader *reader, uint32_t index, struct range *range) {
    uint64_t address = property_number(reader, reader->depth - 1, TEXT("#address-cells"), 2);
    uint64_t size = property_number(reader, reader->depth - 1, TEXT("#size-cells"), 1);
    struct text reg = property(reader, TEXT("reg"));
    if (address < 1 || address > 2 || size > 2 || reg.length / (4 * (address + size)) <= index)
        return false;
    *range = range_read(reg.bytes + index * 4 * (address + size), address, size);
    return true;
}

/* The address of an enabled device that processors see where reg says; 0: it is none. */
static uint64_t device_read(const struct reader *reader) {
    struct range range;
    for (uint32_t depth = 2; depth < reader->depth; depth++) {
        struct text ranges = property_at(reader, reader->node[depth], TEXT("ranges"));
        if (ranges.bytes == 0 || ranges.length != 0) return 0;
    }
    return node_is_enabled(reader) && reg_read(reader, 0, &range) ? range.address : 0;
}

/* Insert RAM in order. */
static void bank_add(struct exo_info *facts, struct range range) {
    uint64_t first = range.address / GROUP_BYTES + (range.address % GROUP_BYTES != 0);
    uint64_t end = range.end / GROUP_BYTES;
    if (end > DEVICETREE_RAM_LIMIT / GROUP_BYTES) end = DEVICETREE_RAM_LIMIT / GROUP_BYTES;
    if (first >= end || facts->bank_count == EXO_BANKS_MAX) return;
    struct exo_bank *bank = &facts->bank[facts->bank_count++];
    for (; bank > facts->bank && bank[-1].first > first * EXO_GROUP_FRAMES; bank--)
        *bank = bank[-1];
    *bank = (struct exo_bank){first * EXO_GROUP_FRAMES, (end - first) * EXO_GROUP_FRAMES};
}

/* Unlike a bank, a range in use cannot be left out: those that do not fit are counted too. */
static void used_add(struct machine *machine, struct range range) {
    if (range.end == range.address || machine->used_count++ >= MACHINE_USED_MAX) return;
    uint64_t first = range.address / EXO_FRAME_BYTES;
    uint64_t last = (range.end - 1) / EXO_FRAME_BYTES;
    machine->used[machine->used_count - 1] = (struct exo_bank){first, last - first + 1};
}

static void hart_add(const struct reader *reader, struct exo_info *facts, uint64_t boot_hart) {
    struct text mmu = property(reader, TEXT("mmu-type"));
    struct range id;
    if (!property_has(reader, TEXT("device_type"), "cpu") || !node_is_enabled(reader) ||
        mmu.bytes == 0 || list_has(mmu, '\0', "riscv,none") || !reg_read(reader, 0, &id))
        return;
    uint32_t index = id.address == boot_hart ? 0 : facts->hart_count;
    if (index == EXO_HARTS_MAX) return;
    facts->hart_count += index != 0;
    struct text isa = property(reader, TEXT("riscv,isa"));
    uint64_t sstc = list_has(isa, '_', "sstc") ? EXO_HART_SSTC : 0;
    uint64_t has_double = isa_has_double(isa) ? EXO_HART_FLOAT : 0;
    facts->hart[index] = (struct exo_hart_info){.id = id.address, .flags = sstc | has_double};
}

/* The console, if uart.c knows the current node. */
static void uart_read(const struct reader *reader, struct uart *uart) {
    bool sifive = property_has(reader, TEXT("compatible"), "sifive,uart0");
    bool ns16550 = property_has(reader, TEXT("compatible"), "ns16550a") ||
                   property_has(reader, TEXT("compatible"), "snps,dw-apb-uart");
    uint64_t address = sifive || ns16550 ? device_read(reader) : 0;
    uint64_t shift = property_number(reader, reader->depth, TEXT("reg-shift"), sifive ? 2 : 0);
    uint64_t width = property_number(reader, reader->depth, TEXT("reg-io-width"), sifive ? 4 : 1);
    if (address != 0 && shift <= 4 && (width == 1 || (width == 4 && shift >= 2)) &&
        address % width == 0 && address % EXO_FRAME_BYTES + (8u << shift) <= EXO_FRAME_BYTES)
        *uart = (struct uart){sifive ? UART_SIFIVE : UART_NS16550, (uint32_t)shift, (uint32_t)width,
                              address};
}

/* The last name in a path, or an alias; behind a colon are the line's settings. */
static struct text path_name(struct text path) {
    struct text name = {path.bytes, 0};
    for (uint32_t i = 0; i < path.length && path.bytes[i] != '\0' && path.bytes[i] != ':'; i++)
        name = path.bytes[i] == '/' ? (struct text){path.bytes + i + 1, 0}
                                    : (struct text){name.bytes, name.length + 1};
    return name;
}

/*
 * Find the console by its name alone: that has its address, and devices are
 * only read where such an address is that of one device.
 */
static void console_find(struct reader *reader, struct text path, struct uart *uart) {
    struct text name = path_name(path);
    if (path.length > 0 && *path.bytes != '/')
        name = path_name(property_at(reader, reader->aliases, name));
    for (reader->next = 0; node_next(reader) && uart->kind == UART_NONE;)
        if (string_is(reader->name[reader->depth], name)) uart_read(reader, uart);
}

/* Visit all nodes; returns stdout-path. */
static struct text nodes_read(struct reader *reader, struct devicetree *tree, uint64_t boot_hart) {
    struct machine *machine = &tree->machine;
    struct text stdout_path = {0, 0};
    struct range range;
    while (node_next(reader)) {
        if (node_is_in(reader, 2, TEXT("chosen"))) {
            stdout_path = property(reader, TEXT("stdout-path"));
            uint64_t start = property_number(reader, 2, TEXT("linux,initrd-start"), 0);
            uint64_t end = property_number(reader, 2, TEXT("linux,initrd-end"), 0);
            machine->archive_address = start;
            machine->facts.archive_bytes = start < end ? end - start : 0;
        } else if (node_is_in(reader, 2, TEXT("aliases"))) {
            reader->aliases = reader->node[2];
        } else if (node_is_in(reader, 2, TEXT("cpus"))) {
            machine->facts.timebase_hz = property_number(reader, 2, TEXT("timebase-frequency"), 0);
        } else if (node_is_in(reader, 3, TEXT("cpus"))) {
            hart_add(reader, &machine->facts, boot_hart);
        } else if (node_is_in(reader, 3, TEXT("reserved-memory"))) {
            for (uint32_t i = 0; reg_read(reader, i, &range); i++) used_add(machine, range);
        } else if (reader->depth == 2 && property_has(reader, TEXT("device_type"), "memory")) {
            for (uint32_t i = 0; node_is_enabled(reader) && reg_read(reader, i, &range); i++)
                bank_add(&machine->facts, range);
        } else if (property_has(reader, TEXT("compatible"), "sifive,test0")) {
            tree->test_device = device_read(reader);
        }
    }
    return stdout_path;
}

const char *devicetree_read(const void *fdt, uint64_t limit, uint64_t boot_hart,
                            struct devicetree *tree) {
    struct machine *machine = &tree->machine;
    struct exo_info *facts = &machine->facts;
    const char *blob = fdt;
    if (limit < HEADER_BYTES || word_read(blob) != MAGIC) return "there is no device tree";
    uint32_t total = word_read(blob + 4), structure = word_read(blob + 8);
    uint32_t strings = word_read(blob + 12), reserved = word_read(blob + 16);
    uint32_t strings_bytes = word_read(blob + 32), structure_bytes = word_read(blob + 36);
    if (word_read(blob + 20) < VERSION || word_read(blob + 24) > VERSION)
        return "the device tree is of another version than 17";
    if (total > limit || structure > total || total - structure < structure_bytes ||
        strings > total || total - strings < strings_bytes || structure_bytes % 4 != 0)
        return "a block of the device tree lies outside it";
    /* Then every name that begins inside the block ends inside it. */
    if (strings_bytes > 0 && blob[strings + strings_bytes - 1] != '\0')
        return "the last name in the device tree has no end";

    machine->used_count = MACHINE_OTHER;
    for (;; reserved += 16) {
        if (reserved > total || total - reserved < 16)
            return "the memory reservations of the device tree have no end";
        if (number_read(blob + reserved + 8, 2) == 0) break;
        used_add(machine, range_read(blob + reserved, 2, 2));
    }
    /* What is said to begin at the end of the structure is not there. */
    struct reader reader = {.structure = blob + structure,
                            .strings = blob + strings,
                            .structure_bytes = structure_bytes,
                            .strings_bytes = strings_bytes};
    reader.aliases = reader.node[0] = structure_bytes;
    facts->hart_count = 1;
    facts->hart[0].id = ~boot_hart;
    struct text stdout_path = nodes_read(&reader, tree, boot_hart);
    if (token_read(&reader, reader.next).kind != TOKEN_END || reader.depth != 0)
        return "the structure of the device tree is broken";
    console_find(&reader, stdout_path, &tree->uart);
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
