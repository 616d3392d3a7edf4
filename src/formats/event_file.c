/* Event files: protobuf's wire format, by hand, of the three messages that scalars need.
 * Rests on event_file.h. Messages are built inside out in small buffers, since lengths come before contents. */
#include "formats/event_file.h"

#include <string.h>

uint32_t event_crc32c(const void *bytes, size_t n) {
    const unsigned char *b = bytes;
    uint32_t crc = 0xffffffffU;
    for (size_t i = 0; i < n; i++) {
        crc ^= b[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0);
    }
    return ~crc;
}

uint32_t event_masked_crc32c(const void *bytes, size_t n) {
    uint32_t crc = event_crc32c(bytes, n);
    return (crc >> 15 | crc << 17) + 0xa282ead8U;
}

/* ---- protobuf ---- */

static void put_little(text *out, uint64_t value, int bytes) {
    char buffer[8];
    for (int i = 0; i < bytes; i++)
        buffer[i] = (char)(value >> 8 * i & 0xff);
    text_append_bytes(out, buffer, (size_t)bytes);
}

static void put_varint(text *out, uint64_t value) {
    char buffer[10];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        buffer[n++] = (char)((value & 0x7f) | 0x80);
    buffer[n++] = (char)value;
    text_append_bytes(out, buffer, n);
}

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static void put_key(text *out, unsigned field, unsigned kind) {
    put_varint(out, field << 3 | kind);
}

static void put_bytes(text *out, unsigned field, const void *bytes, size_t n) {
    put_key(out, field, BYTES);
    put_varint(out, n);
    text_append_bytes(out, bytes, n);
}

/* ---- records ---- */

static void put_record(text *out, const text *event) {
    char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (char)((uint64_t)event->length >> 8 * i & 0xff);
    text_append_bytes(out, length, sizeof length);
    put_little(out, event_masked_crc32c(length, sizeof length), 4);
    text_append_bytes(out, text_string(event), event->length);
    put_little(out, event_masked_crc32c(text_string(event), event->length), 4);
    if (event->failed) out->failed = true;
}

static void begin_event(text *event, soma_context *context, double wall_time) {
    uint64_t bits;
    memcpy(&bits, &wall_time, sizeof bits);
    text_init(event, context);
    put_key(event, 1, FIXED64);
    put_little(event, bits, 8);
}

void event_version(text *out, double wall_time) {
    static const char version[] = "brain.Event:2";
    text event;
    begin_event(&event, out->ctx, wall_time);
    put_bytes(&event, 3, version, sizeof version - 1);
    put_record(out, &event);
    text_deinit(&event);
}

void event_scalar(text *out, double wall_time, int64_t step, const char *tag, float number) {
    text event, summary, value;
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    text_init(&value, out->ctx);
    put_bytes(&value, 1, tag, strlen(tag));
    put_key(&value, 2, FIXED32);
    put_little(&value, bits, 4);
    text_init(&summary, out->ctx);
    put_bytes(&summary, 1, text_string(&value), value.length);
    begin_event(&event, out->ctx, wall_time);
    if (step != 0) {
        put_key(&event, 2, VARINT);
        put_varint(&event, (uint64_t)step);
    }
    put_bytes(&event, 5, text_string(&summary), summary.length);
    put_record(out, &event);
    if (value.failed || summary.failed) out->failed = true;
    text_deinit(&value);
    text_deinit(&summary);
    text_deinit(&event);
}
