/* SPDX-License-Identifier: MIT */
/* Reader of ELF programs: see elf.h. */
#include "elf.h"

#include <stdbool.h>
#include <string.h>

#define HEADER_BYTES 64
#define ENTRY_BYTES 56 /* of a program header */
#define ENTRIES_MAX 64
#define TYPE_EXEC 2
#define MACHINE_RISCV 243
#define LOAD 1
#define DYNAMIC 2
#define INTERPRETER 3

/* An unsigned little-endian number of `width` bytes, at any alignment. */
static uint64_t number(const uint8_t *at, unsigned width) {
    uint64_t value = 0;

    while (width-- > 0) value = value << 8 | at[width];
    return value;
}

static enum elf_error header_check(const uint8_t *header, uint64_t size) {
    static const uint8_t magic[4] = {0x7f, 'E', 'L', 'F'};
    static const uint8_t form[3] = {2, 1, 1};

    if (size < sizeof(magic)) return ELF_SHORT;
    if (memcmp(header, magic, sizeof(magic)) != 0) return ELF_MAGIC;
    if (size < HEADER_BYTES) return ELF_SHORT;
    if (memcmp(header + 4, form, sizeof(form)) != 0 || number(header + 20, 4) != 1) return ELF_FORM;
    if (number(header + 16, 2) != TYPE_EXEC) return ELF_TYPE;
    if (number(header + 18, 2) != MACHINE_RISCV) return ELF_MACHINE;
    return ELF_OK;
}

static uint64_t page_of(uint64_t address) { return address / ELF_PAGE_BYTES; }

/* Check a PT_LOAD entry and append it. */
static enum elf_error segment_add(const uint8_t *entry, uint64_t size, struct elf_image *image) {
    struct elf_segment segment = {
        .flags = (uint32_t)number(entry + 4, 4) & (ELF_R | ELF_W | ELF_X),
        .offset = number(entry + 8, 8),
        .address = number(entry + 16, 8),
        .file_bytes = number(entry + 32, 8),
        .memory_bytes = number(entry + 40, 8),
    };

    if (segment.offset > size || segment.file_bytes > size - segment.offset) return ELF_BOUNDS;
    if (segment.file_bytes > segment.memory_bytes) return ELF_SIZE;
    if (segment.memory_bytes == 0) return ELF_OK;
    if (segment.address >= ELF_ADDRESS_LIMIT ||
        segment.memory_bytes > ELF_ADDRESS_LIMIT - segment.address)
        return ELF_ADDRESS;
    if (image->segment_count == ELF_SEGMENTS_MAX) return ELF_SEGMENTS;
    if (image->segment_count > 0) {
        const struct elf_segment *last = &image->segment[image->segment_count - 1];
        uint64_t last_page = page_of(last->address + last->memory_bytes - 1);
        if (page_of(segment.address) <= last_page) return ELF_OVERLAP;
    }
    image->segment[image->segment_count++] = segment;
    return ELF_OK;
}

static bool entry_is_executable(const struct elf_image *image) {
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segment[i];
        if ((segment->flags & ELF_X) && image->entry >= segment->address &&
            image->entry - segment->address < segment->memory_bytes)
            return true;
    }
    return false;
}

enum elf_error elf_read(const void *bytes, uint64_t size, struct elf_image *image) {
    const uint8_t *header = bytes;
    enum elf_error error = header_check(header, size);

    if (error) return error;
    uint64_t table = number(header + 32, 8);
    uint64_t count = number(header + 56, 2);
    if (number(header + 54, 2) != ENTRY_BYTES || count > ENTRIES_MAX) return ELF_HEADERS;
    if (table > size || count * ENTRY_BYTES > size - table) return ELF_SHORT;

    memset(image, 0, sizeof(*image));
    image->entry = number(header + 24, 8);
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *entry = header + table + i * ENTRY_BYTES;
        uint64_t kind = number(entry, 4);
        if (kind == DYNAMIC || kind == INTERPRETER) return ELF_TYPE;
        if (kind == LOAD) error = segment_add(entry, size, image);
        if (error) return error;
    }
    if (image->segment_count == 0) return ELF_SEGMENTS;
    return entry_is_executable(image) ? ELF_OK : ELF_ENTRY;
}

const char *elf_error_text(enum elf_error error) {
    switch (error) {
#define X(number, name, text) \
    case ELF_##name: return text;
        ELF_ERRORS(X)
#undef X
    }
    return "unknown";
}
