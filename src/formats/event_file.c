/* Event files: protobuf's wire format, by hand, of the messages that scalars and histograms need.
 * Rests on event_file.h. Messages are built inside out in small buffers, since lengths come before contents. */
#include "formats/event_file.h"

#include <math.h>
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

/* The tag of a value, which its kind's own field follows. */
static void begin_value(text *value, soma_context *context, const char *tag) {
    text_init(value, context);
    put_bytes(value, 1, tag, strlen(tag));
}

/* An event with a summary of that one value, which is let go. */
static void put_value(text *out, double wall_time, int64_t step, text *value) {
    text event, summary;
    text_init(&summary, out->ctx);
    put_bytes(&summary, 1, text_string(value), value->length);
    begin_event(&event, out->ctx, wall_time);
    if (step != 0) {
        put_key(&event, 2, VARINT);
        put_varint(&event, (uint64_t)step);
    }
    put_bytes(&event, 5, text_string(&summary), summary.length);
    put_record(out, &event);
    if (value->failed || summary.failed) out->failed = true;
    text_deinit(value);
    text_deinit(&summary);
    text_deinit(&event);
}

void event_scalar(text *out, double wall_time, int64_t step, const char *tag, float number) {
    text value;
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    begin_value(&value, out->ctx, tag);
    put_key(&value, 2, FIXED32);
    put_little(&value, bits, 4);
    put_value(out, wall_time, step, &value);
}

static void put_double(text *out, double number) {
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    put_little(out, bits, 8);
}

void event_histogram(text *out, double wall_time, int64_t step, const char *tag, const event_histogram_data *h) {
    text value, histogram;
    const double numbers[] = {h->low, h->high, h->n, h->sum, h->squares};
    text_init(&histogram, out->ctx);
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        put_key(&histogram, 1 + i, FIXED64);
        put_double(&histogram, numbers[i]);
    }
    put_key(&histogram, 6, BYTES); /* the upper ends of buckets */
    put_varint(&histogram, sizeof h->buckets);
    for (int i = 0; i < EVENT_BUCKETS; i++)
        put_double(&histogram, h->low + (h->high - h->low) * (i + 1) / EVENT_BUCKETS);
    put_key(&histogram, 7, BYTES);
    put_varint(&histogram, sizeof h->buckets);
    for (int i = 0; i < EVENT_BUCKETS; i++)
        put_double(&histogram, h->buckets[i]);
    begin_value(&value, out->ctx, tag);
    put_bytes(&value, 5, text_string(&histogram), histogram.length);
    if (histogram.failed) out->failed = true;
    text_deinit(&histogram);
    put_value(out, wall_time, step, &value);
}

bool event_count(event_histogram_data *h, const double *numbers, int64_t n) {
    *h = (event_histogram_data){.low = HUGE_VAL, .high = -HUGE_VAL};
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(numbers[i])) continue;
        h->low = fmin(h->low, numbers[i]);
        h->high = fmax(h->high, numbers[i]);
        h->sum += numbers[i];
        h->squares += numbers[i] * numbers[i];
        h->n++;
    }
    if (h->n == 0) return false;
    if (h->low == h->high) h->low -= 0.5, h->high += 0.5;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(numbers[i])) continue;
        const int bucket = (int)((numbers[i] - h->low) / (h->high - h->low) * EVENT_BUCKETS);
        h->buckets[bucket < EVENT_BUCKETS ? bucket : EVENT_BUCKETS - 1]++;
    }
    return true;
}
