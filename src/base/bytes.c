// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

uint64_t lh_read_varint(struct lh_reader *reader)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = lh_read_u8(reader);
        if (reader->bad)
            return 0;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return value;
    }
    reader->bad = true;
    return 0;
}

void lh_write_varint(struct lh_writer *writer, uint64_t value)
{
    while (value >= 0x80) {
        lh_write_u8(writer, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    lh_write_u8(writer, (uint8_t)value);
}
