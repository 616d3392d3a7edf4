/* The IDX reader and soma_idx: good files of every dtype, and every way a file can be wrong.
 * Rests on cmocka and the scratch folder; files are made here, byte by byte, as the format says.
 * The gzipped file was made by Python's gzip.compress(tiny, 9, mtime=0). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <soma/data.h>

#include "base/base.h"
#include "data/idx.h"
#include "support/failing.h"
#include "support/scratch.h"

/* Three images of 2 x 2. */
static const unsigned char tiny[] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2,  0,  0,
                                     0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255};
static const unsigned char tiny_labels[] = {0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 9};
static const unsigned char tiny_gz[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x63, 0x60, 0xe0, 0x60, 0x66,
    0x60, 0x60, 0x00, 0x61, 0x26, 0x10, 0x66, 0x64, 0x62, 0x66, 0x61, 0x65, 0x63, 0xe7, 0xe0,
    0xe4, 0xe2, 0xfe, 0x0f, 0x00, 0xf5, 0xe8, 0xf4, 0xe2, 0x1c, 0x00, 0x00, 0x00,
};

static soma_status read_bytes(soma_context *c, const void *bytes, size_t size, elements *out) {
    file_stream *s = file_stream_memory(c, "test.idx", bytes, size);
    if (!s) return error_get(c);
    const soma_status status = idx_read(c, s, out);
    file_stream_close(s);
    return status;
}

static void expect_error(soma_status status, const char *a, const char *b) {
    assert_int_equal(soma_last_status(NULL), status);
    if (!strstr(soma_last_error(NULL), a) || !strstr(soma_last_error(NULL), b))
        fail_msg("'%s' lacks '%s' or '%s'", soma_last_error(NULL), a, b);
    soma_clear_error(NULL);
}

static void reads_images(void **state) {
    (void)state;
    elements e;
    assert_int_equal(read_bytes(NULL, tiny, sizeof tiny, &e), SOMA_OK);
    assert_int_equal(e.dtype, SOMA_U8);
    assert_int_equal(e.rank, 3);
    assert_int_equal(e.shape[0], 3);
    assert_int_equal(e.shape[1], 2);
    assert_int_equal(e.shape[2], 2);
    assert_int_equal(e.bytes, 12);
    assert_memory_equal(e.data, tiny + 16, 12);
    assert_int_equal((uintptr_t)e.data % 64, 0);
    elements_free(&e);
}

static void reads_every_dtype(void **state) {
    (void)state;
    static const struct {
        unsigned char bytes[8 + 16];
        size_t size;
        soma_dtype dtype;
        double expected[2];
    } cases[] = {
        {{0, 0, 0x08, 1, 0, 0, 0, 2, 1, 255}, 10, SOMA_U8, {1, 255}},
        {{0, 0, 0x09, 1, 0, 0, 0, 2, 1, 255}, 10, SOMA_I8, {1, -1}},
        {{0, 0, 0x0b, 1, 0, 0, 0, 2, 1, 2, 0xff, 0xfe}, 12, SOMA_I16, {258, -2}},
        {{0, 0, 0x0c, 1, 0, 0, 0, 2, 0, 1, 2, 3, 0xff, 0xff, 0xff, 0xfd}, 16, SOMA_I32, {66051, -3}},
        {{0, 0, 0x0d, 1, 0, 0, 0, 2, 0x3f, 0x80, 0, 0, 0xc0, 0x20, 0, 0}, 16, SOMA_F32, {1, -2.5}},
        {{0, 0, 0x0e, 1, 0, 0, 0, 2, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xc0, 0x04, 0, 0, 0, 0, 0, 0},
         24,
         SOMA_F64,
         {1, -2.5}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        elements e;
        assert_int_equal(read_bytes(NULL, cases[i].bytes, cases[i].size, &e), SOMA_OK);
        assert_int_equal(e.dtype, cases[i].dtype);
        for (int j = 0; j < 2; j++) {
            double got = 0;
            switch (e.dtype) {
            case SOMA_U8:
                got = ((uint8_t *)e.data)[j];
                break;
            case SOMA_I8:
                got = ((int8_t *)e.data)[j];
                break;
            case SOMA_I16:
                got = ((int16_t *)e.data)[j];
                break;
            case SOMA_I32:
                got = ((int32_t *)e.data)[j];
                break;
            case SOMA_F32:
                got = (double)((float *)e.data)[j];
                break;
            default:
                got = ((double *)e.data)[j];
                break;
            }
            assert_true(got == cases[i].expected[j]);
        }
        elements_free(&e);
    }
}

/* Cut at every byte, also empty: an error that names the file and where it ends, and nothing left. */
static void truncated_files_are_errors(void **state) {
    (void)state;
    for (size_t size = 0; size < sizeof tiny; size++) {
        char at[32];
        elements e;
        unsigned char *exact = malloc(size + 1); /* so that AddressSanitizer sees a byte too far */
        memcpy(exact, tiny, size);
        assert_int_equal(read_bytes(NULL, exact, size, &e), SOMA_FORMAT);
        assert_null(e.data);
        snprintf(at, sizeof at, "ends at byte %zu", size);
        expect_error(SOMA_FORMAT, "test.idx: truncated", size < 16 ? at : "12 bytes of elements");
        free(exact);
    }
}

static void wrong_files_are_errors(void **state) {
    (void)state;
    static const struct {
        unsigned char bytes[48];
        size_t size;
        const char *text[2];
    } cases[] = {
        {{1, 0, 8, 1, 0, 0, 0, 0}, 8, {"byte 0", "magic number 01 00 08 01"}},
        {{0, 1, 8, 1, 0, 0, 0, 0}, 8, {"byte 0", "not an IDX file"}},
        {{0, 0, 7, 1, 0, 0, 0, 0}, 8, {"byte 0", "00 00 07 01"}},
        {{0, 0, 0x0a, 1, 0, 0, 0, 0}, 8, {"byte 0", "magic"}},
        {{0, 0, 8, 0, 0, 0, 0, 0}, 8, {"byte 3", "0 axes"}},
        {{0, 0, 8, 9, 0, 0, 0, 0}, 8, {"byte 3", "9 axes"}},
        {{0, 0, 8, 1, 0, 0, 0, 1, 5, 6}, 10, {"byte 9", "after the last element"}},
        {{0, 0, 8, 1, 0, 0, 0, 0, 6}, 9, {"byte 8", "after the last element"}},
        {{0, 0, 8, 1, 255, 255, 255, 255, 6}, 9, {"4294967295 bytes", "at most 1"}},
        {{0, 0, 14, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255},
         16,
         {"test.idx", "than fit in memory"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        elements e;
        assert_int_equal(read_bytes(NULL, cases[i].bytes, cases[i].size, &e), SOMA_FORMAT);
        assert_null(e.data);
        expect_error(SOMA_FORMAT, cases[i].text[0], cases[i].text[1]);
    }
    /* an extent of zero makes the others harmless */
    static const unsigned char none[] = {0, 0, 14, 3, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255};
    elements e;
    assert_int_equal(read_bytes(NULL, none, sizeof none, &e), SOMA_OK);
    assert_int_equal(e.bytes, 0);
    elements_free(&e);
}

static void expect_tiny(const soma_dataset *d) {
    assert_non_null(d);
    assert_int_equal(soma_dataset_samples(d), 3);
    const soma_array_data x = soma_dataset_x(d), y = soma_dataset_y(d);
    assert_int_equal(x.dtype, SOMA_U8);
    assert_int_equal(x.rank, 3);
    assert_memory_equal(x.data, tiny + 16, 12);
    assert_int_equal(y.rank, 1);
    assert_memory_equal(y.data, tiny_labels + 8, 3);
}

/* Every spelling of the names; the test removes what it has tried. */
static void finds_both_files(void **state) {
    (void)state;
    static const char *const names[][2] = {{"a-images-idx3-ubyte", "a-labels-idx1-ubyte"},
                                           {"a-images.idx3-ubyte", "a-labels.idx1-ubyte"},
                                           {"a-images-idx3-ubyte.gz", "a-labels-idx1-ubyte"},
                                           {"a-images.idx3-ubyte.gz", "a-labels.idx1-ubyte.gz"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        /* what a file is shows in its first bytes, not in its name: .gz may hold plain bytes */
        const char *images = scratch_write(names[i][0], i == 2 ? tiny_gz : tiny, i == 2 ? sizeof tiny_gz : sizeof tiny);
        const char *labels = scratch_write(names[i][1], tiny_labels, sizeof tiny_labels);
        soma_dataset *d = soma_idx(scratch_path("a"));
        if (!d && soma_last_status(NULL) == SOMA_UNSUPPORTED)
            expect_error(SOMA_UNSUPPORTED, "a-images-idx3-ubyte.gz", "zlib1g-dev");
        else
            expect_tiny(d);
        soma_dataset_destroy(d);
        unlink(images);
        unlink(labels);
    }
    assert_null(soma_idx(scratch_path("a")));
    expect_error(SOMA_NOT_FOUND, "a-images-idx3-ubyte, ", "a-images.idx3-ubyte.gz");
    scratch_write(names[0][0], tiny, sizeof tiny);
    assert_null(soma_idx(scratch_path("a")));
    expect_error(SOMA_NOT_FOUND, "a-labels-idx1-ubyte, ", "a-labels.idx1-ubyte");
}

static void opens_two_files_or_one(void **state) {
    (void)state;
    const char *images = scratch_write("images", tiny, sizeof tiny);
    const char *labels = scratch_write("labels", tiny_labels, sizeof tiny_labels);
    soma_dataset *d = soma_idx_open(NULL, images, labels);
    expect_tiny(d);
    soma_dataset_destroy(d);
    d = soma_idx_open(NULL, images, NULL);
    assert_non_null(d);
    assert_null(soma_dataset_y(d).data);
    soma_dataset_destroy(d);
    static const unsigned char two[] = {0, 0, 8, 1, 0, 0, 0, 2, 7, 0};
    labels = scratch_write("labels", two, sizeof two);
    assert_null(soma_idx_open(NULL, images, labels));
    expect_error(SOMA_SHAPE, "images: byte 4: 3 samples", "labels: byte 4: 2 labels");
    assert_null(soma_idx_open(NULL, images, "/no/such"));
    expect_error(SOMA_IO, "/no/such", "No such file");
    assert_null(soma_idx(NULL));
    expect_error(SOMA_INVALID, "idx", "no prefix");
    assert_null(soma_idx_open(NULL, NULL, NULL));
    expect_error(SOMA_INVALID, "idx", "no path");
    assert_null(soma_idx_open(NULL, "/no/such", labels));
    expect_error(SOMA_IO, "/no/such", "No such file");
}

static void survives_refused_memory(void **state) {
    (void)state;
    failing f;
    soma_context *c = failing_context(&f, 1);
    scratch_write("r-images-idx3-ubyte", tiny, sizeof tiny);
    scratch_write("r-labels-idx1-ubyte", tiny_labels, sizeof tiny_labels);
    for (int64_t n = 0;; n++) {
        f.requests = 0;
        f.refuse = n;
        soma_dataset *d = soma_idx_find(c, scratch_path("r"));
        const bool refused = f.requests > n;
        assert_int_equal(d == NULL, refused);
        if (refused) assert_int_equal(soma_last_status(c), SOMA_NO_MEMORY);
        soma_dataset_destroy(d);
        soma_clear_error(c);
        assert_int_equal(f.blocks, 0);
        assert_false(f.wrong_size);
        if (!refused) {
            assert_true(n >= 8);
            break;
        }
    }
    soma_context_destroy(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_images),
        cmocka_unit_test(reads_every_dtype),
        cmocka_unit_test(truncated_files_are_errors),
        cmocka_unit_test(wrong_files_are_errors),
        cmocka_unit_test(finds_both_files),
        cmocka_unit_test(opens_two_files_or_one),
        cmocka_unit_test(survives_refused_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
