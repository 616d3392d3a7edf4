/* safetensors: exact bytes out, everything checked on the way in.
 * Rests on cmocka and the scratch folder; the expected header is spelled out as the format's own description has it.
 * Without jansson reading is not supported, which the tests see and skip over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "formats/safetensors.h"
#include "support/failing.h"
#include "support/scratch.h"

static const float weights[6] = {0, 1, 2, 3, 4, 5};
static const uint8_t bytes3[3] = {7, 8, 9};
static const double scalar = 0.5;
static const int64_t shape23[] = {2, 3}, shape3[] = {3}, shape0[] = {0, 4};

static const safetensors_entry entries[] = {
    {.name = "z", .dtype = SOMA_F32, .rank = 2, .shape = shape23, .data = weights},
    {.name = "labels", .dtype = SOMA_U8, .rank = 1, .shape = shape3, .data = bytes3},
    {.name = "a", .dtype = SOMA_F32, .rank = 2, .shape = shape0, .data = NULL},
    {.name = "lr", .dtype = SOMA_F64, .rank = 0, .shape = NULL, .data = &scalar},
};
static const safetensors_metadata metadata[] = {{"format", "soma"}, {"architecture", "{\"a\":\n1}"}};

static const char expected_header[] = "{\"__metadata__\":{\"architecture\":\"{\\\"a\\\":\\n1}\",\"format\":\"soma\"},"
                                      "\"lr\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]},"
                                      "\"a\":{\"dtype\":\"F32\",\"shape\":[0,4],\"data_offsets\":[8,8]},"
                                      "\"z\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]},"
                                      "\"labels\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[32,35]}}";

static void expect_error(soma_status status, const char *a, const char *b) {
    assert_int_equal(soma_last_status(NULL), status);
    if (!strstr(soma_last_error(NULL), a) || !strstr(soma_last_error(NULL), b))
        fail_msg("'%s' lacks '%s' or '%s'", soma_last_error(NULL), a, b);
    soma_clear_error(NULL);
}

static soma_status read_bytes(soma_context *c, const void *data, size_t size, safetensors **out) {
    const soma_status status = safetensors_open_memory(c, "test.safetensors", data, size, out);
    if (status == SOMA_UNSUPPORTED) {
        soma_clear_error(c);
        skip();
    }
    return status;
}

static void writes_the_expected_bytes(void **state) {
    (void)state;
    const char *path = scratch_path("model.soma");
    assert_int_equal(safetensors_write(NULL, path, entries, 4, metadata, 2), SOMA_OK);
    size_t size, length = 0;
    unsigned char *b = scratch_read(path, &size);
    for (int i = 7; i >= 0; i--)
        length = length << 8 | b[i];
    assert_int_equal(length % 8, 0);
    assert_in_range(length, sizeof expected_header - 1, sizeof expected_header + 6);
    assert_memory_equal(b + 8, expected_header, sizeof expected_header - 1);
    for (size_t i = sizeof expected_header - 1; i < length; i++)
        assert_int_equal(b[8 + i], ' ');
    assert_int_equal(size, 8 + length + 35);
    assert_memory_equal(b + 8 + length, &scalar, 8);
    assert_memory_equal(b + 8 + length + 8, weights, 24);
    assert_memory_equal(b + 8 + length + 32, bytes3, 3);
    /* in another order: the same bytes */
    const safetensors_entry turned[] = {entries[3], entries[1], entries[2], entries[0]};
    const safetensors_metadata other[] = {metadata[1], metadata[0]};
    size_t again_size;
    assert_int_equal(safetensors_write(NULL, scratch_path("again"), turned, 4, other, 2), SOMA_OK);
    unsigned char *again = scratch_read(scratch_path("again"), &again_size);
    assert_int_equal(again_size, size);
    assert_memory_equal(again, b, size);
    free(again);
    free(b);
    /* the smallest file there is: "{}" padded */
    assert_int_equal(safetensors_write(NULL, path, NULL, 0, NULL, 0), SOMA_OK);
    b = scratch_read(path, &size);
    assert_int_equal(size, 16);
    assert_memory_equal(b, "\x08\0\0\0\0\0\0\0{}      ", 16);
    free(b);
}

static void reads_what_it_wrote(void **state) {
    (void)state;
    const char *path = scratch_path("model.soma");
    assert_int_equal(safetensors_write(NULL, path, entries, 4, metadata, 2), SOMA_OK);
    safetensors *f;
    if (safetensors_open(NULL, path, &f) == SOMA_UNSUPPORTED) {
        expect_error(SOMA_UNSUPPORTED, "model.soma", "libjansson-dev");
        skip();
    }
    assert_non_null(f);
    assert_int_equal(safetensors_count(f), 4);
    assert_string_equal(safetensors_at(f, 0)->name, "lr");
    assert_string_equal(safetensors_at(f, 3)->name, "labels");
    assert_null(safetensors_at(f, 4));
    const safetensors_entry *z = safetensors_find(f, "z");
    assert_int_equal(z->dtype, SOMA_F32);
    assert_string_equal(z->dtype_name, "F32");
    assert_int_equal(z->rank, 2);
    assert_int_equal(z->shape[1], 3);
    assert_int_equal(z->bytes, 24);
    assert_memory_equal(z->data, weights, 24);
    assert_int_equal((uintptr_t)safetensors_find(f, "lr")->data % 8, 0);
    assert_int_equal(safetensors_find(f, "a")->bytes, 0);
    assert_null(safetensors_find(f, "b"));
    assert_int_equal(safetensors_metadata_count(f), 2);
    assert_string_equal(safetensors_metadata_find(f, "architecture"), "{\"a\":\n1}");
    assert_string_equal(safetensors_metadata_at(f, 1)->key, "format");
    assert_null(safetensors_metadata_find(f, "none"));
    safetensors_close(f);
    safetensors_close(NULL);
}

/* A file with this header and n bytes of data; returns its size. */
static size_t make(unsigned char *b, const char *header, size_t n) {
    const size_t length = strlen(header);
    for (int i = 0; i < 8; i++)
        b[i] = (unsigned char)((uint64_t)length >> (8 * i) & 255);
    memcpy(b + 8, header, length);
    memset(b + 8 + length, 1, n);
    return 8 + length + n;
}

#define ENTRY(name, dtype, shape, begin, end)                                                                          \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static void reads_foreign_files(void **state) {
    (void)state;
    unsigned char b[512];
    safetensors *f;
    size_t n = make(b,
                    "{" ENTRY("h", "F8_E4M3", "[3]", 0, 3) "," ENTRY("x", "F32", "[1]", 3,
                                                                     7) "," ENTRY("u", "U16", "[2,1]", 7, 11) "}",
                    11);
    assert_int_equal(read_bytes(NULL, b, n, &f), SOMA_OK);
    assert_int_equal(safetensors_find(f, "h")->dtype, SOMA_DTYPE_COUNT);
    assert_string_equal(safetensors_find(f, "h")->dtype_name, "F8_E4M3");
    assert_int_equal(safetensors_find(f, "x")->dtype, SOMA_F32);
    assert_int_equal(safetensors_find(f, "u")->bytes, 4);
    safetensors_close(f);
    n = make(b, "{" ENTRY("four", "F4", "[3,2]", 0, 3) "}   ", 3);
    assert_int_equal(read_bytes(NULL, b, n, &f), SOMA_OK);
    safetensors_close(f);
}

static void wrong_headers_are_errors(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t n;
        const char *text;
    } cases[] = {
        {"[]", 0, "must begin with '{'"},
        {" {}", 0, "must begin with '{'"},
        {"", 0, "must begin with '{'"},
        {"{}}", 0, "malformed JSON"},
        {"{}", 1, "1 bytes that belong to no array"},
        {"{" ENTRY("a", "F32", "[1]", 0, 4) "," ENTRY("a", "F32", "[1]", 4, 8) "}", 8, "malformed JSON: duplicate"},
        {"{" ENTRY("a", "F32", "[1]", 0, 4) "}", 3, "outside of the file"},
        {"{" ENTRY("a", "F32", "[1]", 0, 4) "}", 5, "belong to no array"},
        {"{" ENTRY("a", "F32", "[1]", 4, 8) "}", 8, "leaves a hole"},
        {"{" ENTRY("a", "F32", "[1]", 0, 4) "," ENTRY("b", "F32", "[1]", 8, 12) "}", 12, "leaves a hole"},
        {"{" ENTRY("a", "F32", "[1]", 0, 4) "," ENTRY("b", "F32", "[1]", 2, 6) "}", 6, "overlaps"},
        {"{" ENTRY("a", "F32", "[1]", 0, 4) "," ENTRY("b", "F32", "[1]", 0, 4) "}", 4, "overlaps"},
        {"{" ENTRY("a", "F32", "[2]", 0, 4) "}", 4, "differ in size"},
        {"{" ENTRY("a", "F32", "[1]", 4, 0) "}", 4, "outside of the file"},
        {"{" ENTRY("a", "F32", "[1]", -4, 0) "}", 4, "outside of the file"},
        {"{" ENTRY("a", "F32", "[-1]", 0, 4) "}", 4, "whole numbers from 0"},
        {"{" ENTRY("a", "F32", "[1.5]", 0, 4) "}", 4, "whole numbers from 0"},
        {"{" ENTRY("a", "F32", "\"1\"", 0, 4) "}", 4, "a list as shape"},
        {"{" ENTRY("a", "F32", "[4294967296,4294967296]", 0, 4) "}", 4, "can be counted"},
        {"{" ENTRY("a", "F32", "[9223372036854775807,2]", 0, 4) "}", 4, "differ in size"},
        {"{" ENTRY("a", "F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, "more than 8 axes"},
        {"{" ENTRY("a", "F33", "[1]", 0, 4) "}", 4, "unknown dtype"},
        {"{" ENTRY("a", "F4", "[1]", 0, 1) "}", 1, "differ in size"},
        {"{\"a\":1}", 0, "expected an object"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "two whole numbers"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown dtype"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "expected a string"},
        {"{\"__metadata__\":[]}", 0, "an object of strings"},
    };
    unsigned char b[512];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        safetensors *f;
        assert_int_equal(read_bytes(NULL, b, make(b, cases[i].header, cases[i].n), &f), SOMA_FORMAT);
        assert_null(f);
        expect_error(SOMA_FORMAT, "test.safetensors", cases[i].text);
    }
}

/* Every length short of the whole, and header lengths that lie. */
static void truncated_files_are_errors(void **state) {
    (void)state;
    unsigned char b[512];
    const size_t n = make(b, "{" ENTRY("a", "F32", "[1]", 0, 4) "," ENTRY("b", "U8", "[0]", 4, 4) "}", 4);
    safetensors *f;
    assert_int_equal(read_bytes(NULL, b, n, &f), SOMA_OK);
    safetensors_close(f);
    for (size_t size = 0; size < n; size++) {
        unsigned char *exact = malloc(size + 1);
        memcpy(exact, b, size);
        assert_int_equal(read_bytes(NULL, exact, size, &f), SOMA_FORMAT);
        assert_null(f);
        expect_error(SOMA_FORMAT, "test.safetensors", size < n - 4 ? "truncated" : "outside of the file");
        free(exact);
    }
    memset(b, 0xff, 8);
    assert_int_equal(read_bytes(NULL, b, n, &f), SOMA_FORMAT);
    expect_error(SOMA_FORMAT, "byte 0", "18446744073709551615");
    assert_int_equal(safetensors_open(NULL, "/no/such.soma", &f), SOMA_IO);
    expect_error(SOMA_IO, "/no/such.soma", "No such file");
}

static void bad_input_to_the_writer(void **state) {
    (void)state;
    const char *path = scratch_path("never");
    const safetensors_entry twice[] = {entries[0],
                                       {.name = "z", .dtype = SOMA_U8, .rank = 1, .shape = shape3, .data = bytes3}};
    assert_int_equal(safetensors_write(NULL, path, twice, 2, NULL, 0), SOMA_INVALID);
    expect_error(SOMA_INVALID, "never", "two arrays named 'z'");
    const safetensors_metadata keys[] = {{"k", "1"}, {"k", "2"}};
    assert_int_equal(safetensors_write(NULL, path, NULL, 0, keys, 2), SOMA_INVALID);
    expect_error(SOMA_INVALID, "never", "two metadata named 'k'");
    const safetensors_entry reserved = {
        .name = "__metadata__", .dtype = SOMA_U8, .rank = 1, .shape = shape3, .data = bytes3};
    assert_int_equal(safetensors_write(NULL, path, &reserved, 1, NULL, 0), SOMA_INVALID);
    expect_error(SOMA_INVALID, "never", "__metadata__");
    const safetensors_entry nothing = {.name = "n", .dtype = SOMA_U8, .rank = 1, .shape = shape3};
    assert_int_equal(safetensors_write(NULL, path, &nothing, 1, NULL, 0), SOMA_INVALID);
    expect_error(SOMA_INVALID, "never", "no data");
    assert_int_not_equal(access(path, F_OK), 0);
    if (access("/dev/full", W_OK) != 0) return;
    assert_int_equal(safetensors_write(NULL, "/dev/full", entries, 4, NULL, 0), SOMA_IO);
    expect_error(SOMA_IO, "/dev/full", "No space left on device");
}

static void survives_refused_memory(void **state) {
    (void)state;
    failing f;
    soma_context *c = failing_context(&f, 1);
    const int files = scratch_count();
    const char *path = scratch_path("oom.soma");
    for (int64_t n = 0;; n++) {
        safetensors *opened = NULL;
        f.requests = 0;
        f.refuse = n;
        soma_status status = safetensors_write(c, path, entries, 4, metadata, 2);
        assert_int_equal(scratch_count(), files + (status == SOMA_OK));
        if (status == SOMA_OK) status = safetensors_open(c, path, &opened);
        safetensors_close(opened);
        unlink(path);
        assert_int_equal(f.blocks, 0);
        assert_false(f.wrong_size);
        if (status == SOMA_UNSUPPORTED) break;
        assert_int_equal(status, f.requests <= n ? SOMA_OK : SOMA_NO_MEMORY);
        soma_clear_error(c);
        if (status == SOMA_OK) break;
    }
    assert_true(f.requests >= 6);
    soma_clear_error(c);
    soma_context_destroy(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_the_expected_bytes),  cmocka_unit_test(reads_what_it_wrote),
        cmocka_unit_test(reads_foreign_files),        cmocka_unit_test(wrong_headers_are_errors),
        cmocka_unit_test(truncated_files_are_errors), cmocka_unit_test(bad_input_to_the_writer),
        cmocka_unit_test(survives_refused_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
