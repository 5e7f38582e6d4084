/* SPDX-License-Identifier: MIT */
/*
 * Reader of the flattened device tree; devicetree.h says what it promises.
 *
 * The blob is checked once as a whole, so that everything after need not ask
 * whether a token is sound.  Then its nodes are visited in their order, and a
 * property is searched for when it is needed: few nodes need any.
 */
#include "devicetree.h"

#include <stdbool.h>

#define MAGIC 0xd00dfeed
#define VERSION 17
#define HEADER_BYTES 40

#define TOKEN_BEGIN_NODE 1
#define TOKEN_END_NODE 2
#define TOKEN_PROPERTY 3
#define TOKEN_NOP 4
#define TOKEN_END 9

#define LEVELS 16 /* nodes further down are not looked at */
#define GROUP_BYTES ((uint64_t)EXO_GROUP_FRAMES * EXO_FRAME_BYTES)

/* Bytes of the blob, or of a literal. */
struct text {
    const char *bytes;
    uint32_t length;
};
#define TEXT(literal) ((struct text){literal, sizeof(literal) - 1})

/* A token of the structure block: its kind, 0 for a broken one, and where the next begins. */
struct token {
    uint32_t kind;
    uint32_t next;
    const char *name;  /* of a node or property */
    struct text value; /* of a property */
};

struct reader {
    struct machine *machine;
    const char *error;
    const char *structure;
    const char *strings;
    uint32_t structure_bytes;
    uint32_t strings_bytes;
    uint32_t next;  /* offset of the token after those visited */
    uint32_t depth; /* of the current node; the root's is 1 */
    const char *name;
    /* Where the properties of the current node and of those around it begin. */
    uint32_t node[LEVELS];
};

/* Byte by byte: a blob need not be aligned. */
static uint32_t word_read(const char *bytes) {
    const uint8_t *b = (const uint8_t *)bytes;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* A number of this many words, two at most. */
static uint64_t number_read(const char *bytes, uint32_t words) {
    uint64_t number = 0;
    for (uint32_t i = 0; i < words; i++) number = number << 32 | word_read(bytes + 4 * i);
    return number;
}

/* Whether a string that ends with a zero byte begins with this text, which holds none. */
static bool string_starts(const char *string, struct text text) {
    uint32_t i = 0;
    while (i < text.length && string[i] == text.bytes[i]) i++;
    return i == text.length;
}

static bool string_is(const char *string, struct text text) {
    return string_starts(string, text) && string[text.length] == '\0';
}

/* Whether the text is among those that end with a zero byte or `separator` in `list`. */
static bool list_has(struct text list, char separator, struct text text) {
    uint32_t start = 0;
    for (uint32_t i = 0; i < list.length; i++) {
        if (list.bytes[i] == '\0' || list.bytes[i] == separator) {
            if (i - start == text.length && string_starts(list.bytes + start, text)) return true;
            start = i + 1;
        }
    }
    return false;
}

/* The bytes before the first zero byte or `stop`. */
static struct text text_until(struct text text, char stop) {
    uint32_t length = 0;
    while (length < text.length && text.bytes[length] != '\0' && text.bytes[length] != stop)
        length++;
    return (struct text){text.bytes, length};
}

/*
 * The token at an offset that is a multiple of 4, as the block's size is, and
 * not above it; so `next` is both too.
 */
static struct token token_read(const struct reader *reader, uint32_t at) {
    const char *bytes = reader->structure + at;
    uint32_t room = reader->structure_bytes - at;
    struct token token = {room < 4 ? 0 : word_read(bytes), at + 4, 0, {0, 0}};
    if (token.kind == TOKEN_BEGIN_NODE) {
        uint32_t end = 4;
        while (end < room && bytes[end] != '\0') end++;
        token.kind = end < room ? token.kind : 0;
        token.name = bytes + 4;
        token.next = at + (end + 4) / 4 * 4;
    } else if (token.kind == TOKEN_PROPERTY) {
        if (room < 12 || room - 12 < word_read(bytes + 4) ||
            word_read(bytes + 8) >= reader->strings_bytes) {
            token.kind = 0;
            return token;
        }
        token.name = reader->strings + word_read(bytes + 8);
        token.value = (struct text){bytes + 12, word_read(bytes + 4)};
        token.next = at + 12 + (token.value.length + 3) / 4 * 4;
    } else if (token.kind != TOKEN_END_NODE && token.kind != TOKEN_NOP && token.kind != TOKEN_END) {
        token.kind = 0;
    }
    return token;
}

/* A property of the node at this depth; without bytes when there is none. */
static struct text property_at(const struct reader *reader, uint32_t depth, struct text name) {
    struct token token = {TOKEN_NOP, reader->node[depth], 0, {0, 0}};
    while (token.kind == TOKEN_NOP || token.kind == TOKEN_PROPERTY) {
        token = token_read(reader, token.next);
        if (token.kind == TOKEN_PROPERTY && string_is(token.name, name)) return token.value;
    }
    return (struct text){0, 0};
}

static struct text property(const struct reader *reader, struct text name) {
    return property_at(reader, reader->depth, name);
}

/* A property of one or two words: `otherwise` when it is absent, 0 when it has another length. */
static uint64_t property_number(const struct reader *reader, uint32_t depth, struct text name,
                                uint64_t otherwise) {
    struct text value = property_at(reader, depth, name);
    if (value.bytes == 0) return otherwise;
    return value.length == 4 || value.length == 8 ? number_read(value.bytes, value.length / 4) : 0;
}

/* Go to the next node, not deeper than LEVELS; false at the end. */
static bool node_next(struct reader *reader) {
    for (;;) {
        struct token token = token_read(reader, reader->next);
        if (token.kind == TOKEN_END) return false;
        reader->next = token.next;
        reader->depth -= token.kind == TOKEN_END_NODE;
        reader->depth += token.kind == TOKEN_BEGIN_NODE;
        if (token.kind == TOKEN_BEGIN_NODE && reader->depth < LEVELS) {
            reader->name = token.name;
            reader->node[reader->depth] = token.next;
            return true;
        }
    }
}

static bool node_is_enabled(const struct reader *reader) {
    struct text status = property(reader, TEXT("status"));
    return status.bytes == 0 || list_has(status, '\0', TEXT("okay")) ||
           list_has(status, '\0', TEXT("ok"));
}

/* Entry `index` of reg, in the cells of the node around it. */
static bool reg_read(const struct reader *reader, uint32_t index, uint64_t *address,
                     uint64_t *size) {
    uint32_t around = reader->depth - 1;
    struct text reg = property(reader, TEXT("reg"));
    uint64_t address_words = property_number(reader, around, TEXT("#address-cells"), 2);
    uint64_t size_words = property_number(reader, around, TEXT("#size-cells"), 1);
    if (address_words < 1 || address_words > 2 || size_words > 2 ||
        reg.length / (4 * (address_words + size_words)) <= index)
        return false;
    const char *bytes = reg.bytes + index * 4 * (address_words + size_words);
    *address = number_read(bytes, (uint32_t)address_words);
    *size = number_read(bytes + 4 * address_words, (uint32_t)size_words);
    return true;
}

/* The address of a device whose registers processors see where reg says. */
static bool device_read(const struct reader *reader, uint64_t *address) {
    for (uint32_t depth = 2; depth < reader->depth; depth++) {
        struct text ranges = property_at(reader, depth, TEXT("ranges"));
        if (ranges.bytes == 0 || ranges.length != 0) return false;
    }
    uint64_t size;
    return node_is_enabled(reader) && reg_read(reader, 0, address, &size);
}

static uint64_t range_end(uint64_t address, uint64_t size) {
    return address + size < address ? UINT64_MAX : address + size;
}

/* Insert RAM in order. */
static void bank_add(struct machine *machine, uint64_t address, uint64_t size) {
    uint64_t limit = range_end(address, size);
    limit = limit < DEVICETREE_RAM_LIMIT ? limit : DEVICETREE_RAM_LIMIT;
    uint64_t first = address / GROUP_BYTES + (address % GROUP_BYTES != 0);
    uint64_t end = limit / GROUP_BYTES;
    if (first >= end || machine->bank_count == EXO_BANKS_MAX) return;
    uint32_t i = machine->bank_count++;
    for (; i > 0 && machine->bank[i - 1].first > first * EXO_GROUP_FRAMES; i--)
        machine->bank[i] = machine->bank[i - 1];
    machine->bank[i].first = first * EXO_GROUP_FRAMES;
    machine->bank[i].count = (end - first) * EXO_GROUP_FRAMES;
}

/* Unlike a bank, a reserved range cannot be left out: it is somebody's memory. */
static void reserved_add(struct reader *reader, uint64_t address, uint64_t size) {
    struct machine *machine = reader->machine;
    if (machine->reserved_count == MACHINE_RESERVED_MAX) {
        reader->error = "the device tree reserves too many ranges of memory";
    } else if (size > 0) {
        uint64_t last = range_end(address, size) - 1;
        uint64_t first = address / EXO_FRAME_BYTES;
        machine->reserved[machine->reserved_count++] =
            (struct frame_range){first, last / EXO_FRAME_BYTES - first + 1};
    }
}

static void hart_add(const struct reader *reader, uint64_t boot_hart) {
    struct machine *machine = reader->machine;
    struct text mmu = property(reader, TEXT("mmu-type"));
    uint64_t id;
    uint64_t size;
    if (!list_has(property(reader, TEXT("device_type")), '\0', TEXT("cpu")) ||
        !node_is_enabled(reader) || mmu.bytes == 0 || list_has(mmu, '\0', TEXT("riscv,none")) ||
        !reg_read(reader, 0, &id, &size))
        return;
    uint32_t index = id == boot_hart ? 0 : machine->hart_count;
    if (index < EXO_HARTS_MAX) {
        bool sstc = list_has(property(reader, TEXT("riscv,isa")), '_', TEXT("sstc"));
        machine->hart[index].id = id;
        machine->hart[index].flags = sstc ? EXO_HART_SSTC : 0;
        machine->hart_count += index != 0;
    }
}

static void uart_read(const struct reader *reader, struct devicetree *tree) {
    struct text compatible = property(reader, TEXT("compatible"));
    bool sifive = list_has(compatible, '\0', TEXT("sifive,uart0"));
    bool ns16550 = list_has(compatible, '\0', TEXT("ns16550a")) ||
                   list_has(compatible, '\0', TEXT("snps,dw-apb-uart"));
    uint64_t shift = sifive ? 2 : property_number(reader, reader->depth, TEXT("reg-shift"), 0);
    uint64_t width = sifive ? 4 : property_number(reader, reader->depth, TEXT("reg-io-width"), 1);
    uint64_t address;
    if ((sifive || ns16550) && device_read(reader, &address) && shift <= 4 &&
        (width == 1 || (width == 4 && shift >= 2)) && address % width == 0 &&
        address % EXO_FRAME_BYTES + (8u << shift) <= EXO_FRAME_BYTES) {
        tree->uart.kind = sifive ? UART_SIFIVE : UART_NS16550;
        tree->uart.address = address;
        tree->uart.shift = (uint32_t)shift;
        tree->uart.width = (uint32_t)width;
    }
}

/*
 * Go to the node with this path, of which a unit address may be left out: at
 * each level to the first node that fits.
 */
static bool path_find(struct reader *reader, struct text path) {
    uint32_t depth = 1; /* down to which the path was followed */
    reader->next = 0;
    reader->depth = 0;
    if (!node_next(reader)) return false;
    for (;;) {
        while (path.length > 0 && *path.bytes == '/')
            path = (struct text){path.bytes + 1, path.length - 1};
        if (path.length == 0) return depth > 1;
        struct text component = text_until(path, '/');
        bool has_unit = text_until(component, '@').length < component.length;
        char behind;
        do {
            if (!node_next(reader) || reader->depth <= depth) return false;
            behind = string_starts(reader->name, component) ? reader->name[component.length] : '/';
        } while (reader->depth > depth + 1 || !(behind == '\0' || (behind == '@' && !has_unit)));
        path.bytes += component.length;
        path.length -= component.length;
        depth++;
    }
}

/* Find the console: a path or an alias, with the line's settings as ":115200n8" behind it. */
static void stdout_read(struct reader *reader, struct text path, struct devicetree *tree) {
    path = text_until(path, ':');
    if (path.length > 0 && *path.bytes != '/') {
        if (!path_find(reader, TEXT("/aliases"))) return;
        path = text_until(property(reader, path), '\0');
    }
    if (path.length > 0 && *path.bytes == '/' && path_find(reader, path)) uart_read(reader, tree);
}

/* Visit all nodes; returns stdout-path. */
static struct text nodes_read(struct reader *reader, uint64_t boot_hart, struct devicetree *tree) {
    struct machine *machine = reader->machine;
    struct text stdout_path = {0, 0};
    const char *top = ""; /* the node at depth 2 that the current node is in, or is */
    uint64_t address;
    uint64_t size;
    while (node_next(reader)) {
        top = reader->depth == 2 ? reader->name : top;
        if (reader->depth == 2 && string_is(top, TEXT("chosen"))) {
            stdout_path = property(reader, TEXT("stdout-path"));
            uint64_t start = property_number(reader, 2, TEXT("linux,initrd-start"), 0);
            uint64_t end = property_number(reader, 2, TEXT("linux,initrd-end"), 0);
            machine->archive_address = start;
            machine->archive_bytes = start < end ? end - start : 0;
        } else if (reader->depth == 2 && string_is(top, TEXT("cpus"))) {
            machine->timebase_hz = property_number(reader, 2, TEXT("timebase-frequency"), 0);
        } else if (reader->depth == 2 &&
                   list_has(property(reader, TEXT("device_type")), '\0', TEXT("memory"))) {
            for (uint32_t i = 0; node_is_enabled(reader) && reg_read(reader, i, &address, &size);
                 i++)
                bank_add(machine, address, size);
        } else if (reader->depth == 3 && string_is(top, TEXT("reserved-memory"))) {
            for (uint32_t i = 0; reg_read(reader, i, &address, &size) && reader->error == 0; i++)
                reserved_add(reader, address, size);
        } else if (reader->depth == 3 && string_is(top, TEXT("cpus"))) {
            hart_add(reader, boot_hart);
        } else if (list_has(property(reader, TEXT("compatible")), '\0', TEXT("sifive,test0")) &&
                   device_read(reader, &address)) {
            tree->test_device = address;
        }
    }
    return stdout_path;
}

/* Check that the structure block is one whole tree. */
static const char *structure_check(struct reader *reader) {
    struct token token = {0, 0, 0, {0, 0}};
    uint32_t depth = 0;
    do {
        reader->node[0] = token.next; /* in the end the last token: around the root is nothing */
        token = token_read(reader, token.next);
        if (token.kind == 0 || (token.kind == TOKEN_END_NODE && depth == 0))
            return "the structure of the device tree is broken";
        depth += token.kind == TOKEN_BEGIN_NODE;
        depth -= token.kind == TOKEN_END_NODE;
    } while (token.kind != TOKEN_END);
    return depth == 0 ? 0 : "the structure of the device tree is broken";
}

/* Check and find the blocks of the blob, and read the one of memory reservations. */
static const char *header_check(struct reader *reader, const char *blob, uint64_t limit) {
    if (limit < HEADER_BYTES || word_read(blob) != MAGIC) return "there is no device tree";
    uint32_t total = word_read(blob + 4);
    uint32_t structure = word_read(blob + 8);
    uint32_t strings = word_read(blob + 12);
    uint32_t reserved = word_read(blob + 16);
    reader->strings_bytes = word_read(blob + 32);
    reader->structure_bytes = word_read(blob + 36);
    reader->structure = blob + structure;
    reader->strings = blob + strings;
    if (word_read(blob + 20) < VERSION || word_read(blob + 24) > VERSION)
        return "the device tree is of another version than 17";
    if (total > limit || structure > total || total - structure < reader->structure_bytes ||
        strings > total || total - strings < reader->strings_bytes ||
        reader->structure_bytes % 4 != 0)
        return "a block of the device tree lies outside it";
    /* Then every name that begins inside the block ends inside it. */
    if (reader->strings_bytes > 0 && reader->strings[reader->strings_bytes - 1] != '\0')
        return "the last name in the device tree has no end";
    for (; reserved <= total && total - reserved >= 16; reserved += 16) {
        uint64_t address = number_read(blob + reserved, 2);
        uint64_t size = number_read(blob + reserved + 8, 2);
        if (size == 0) return reader->error;
        reserved_add(reader, address, size);
    }
    return "the memory reservations of the device tree have no end";
}

const char *devicetree_read(const void *fdt, uint64_t limit, uint64_t boot_hart,
                            struct devicetree *tree) {
    struct machine *machine = &tree->machine;
    struct reader reader;
    reader.machine = machine;
    reader.error = 0;
    reader.next = 0;
    reader.depth = 0;
    machine->bank_count = 0;
    machine->reserved_count = 0;
    machine->hart_count = 1; /* entry 0 waits for the boot hart */
    machine->hart[0].id = ~boot_hart;
    machine->timebase_hz = 0;
    machine->archive_bytes = 0;
    tree->uart.kind = UART_NONE;
    tree->test_device = 0;

    const char *error = header_check(&reader, fdt, limit);
    if (error == 0) error = structure_check(&reader);
    if (error != 0) return error;
    struct text stdout_path = nodes_read(&reader, boot_hart, tree);
    stdout_read(&reader, stdout_path, tree);
    if (reader.error != 0) return reader.error;
    if (machine->bank_count == 0) return "the device tree names no memory";
    for (uint32_t i = 1; i < machine->bank_count; i++)
        if (machine->bank[i].first < machine->bank[i - 1].first + machine->bank[i - 1].count)
            return "banks of memory overlap in the device tree";
    if (machine->timebase_hz == 0) return "the device tree has no timebase-frequency";
    if (machine->hart[0].id != boot_hart)
        return "the boot hart is not an enabled hart with an MMU in the device tree";
    return 0;
}
