/* NPY: NumPy's own files are read, ours are byte for byte what NumPy writes, and nothing hostile gets through.
 * Rests on cmocka, the scratch folder and npy_golden.h.
 * The reader is tested on arrays alone; tensors are only a copy away from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <soma/formats.h>

#include "base/base.h"
#include "formats/npy.h"
#include "npy_golden.h"
#include "support/failing.h"
#include "support/scratch.h"

static soma_status read_bytes(soma_context *c, const void *bytes, size_t size, elements *out) {
    *out = (elements){.context = c};
    file_stream *s = file_stream_memory(c, "test.npy", bytes, size);
    if (!s) return error_get(c);
    const soma_status status = npy_read(c, s, out);
    file_stream_close(s);
    return status;
}

static double element(const elements *e, int64_t i) {
    switch (e->dtype) {
    case SOMA_F32:
        return (double)((float *)e->data)[i];
    case SOMA_F64:
        return ((double *)e->data)[i];
    case SOMA_I8:
        return ((int8_t *)e->data)[i];
    case SOMA_I16:
        return ((int16_t *)e->data)[i];
    case SOMA_I32:
        return ((int32_t *)e->data)[i];
    case SOMA_I64:
        return (double)((int64_t *)e->data)[i];
    case SOMA_F16:
        return (double)(((uint16_t *)e->data)[i] == 0 ? 0 : (((uint16_t *)e->data)[i] >> 10) - 14); /* 0, 1, 2 */
    default:
        return ((uint8_t *)e->data)[i];
    }
}

static void expect_error(soma_status status, const char *a, const char *b) {
    assert_int_equal(soma_last_status(NULL), status);
    if (!strstr(soma_last_error(NULL), a) || !strstr(soma_last_error(NULL), b))
        fail_msg("'%s' lacks '%s' or '%s'", soma_last_error(NULL), a, b);
    soma_clear_error(NULL);
}

static void reads_what_numpy_writes(void **state) {
    (void)state;
    static const struct {
        const unsigned char *bytes;
        size_t size;
        soma_dtype dtype;
        int rank;
        int64_t shape[3];
        int64_t count;
        double last; /* 0: as it follows */
    } cases[] = {
        {npy_f4_2x3, sizeof npy_f4_2x3, SOMA_F32, 2, {2, 3}, 6, 0},
        {npy_f8_big, sizeof npy_f8_big, SOMA_F64, 1, {4}, 4, 0},
        {npy_f2, sizeof npy_f2, SOMA_F16, 1, {3}, 3, 0},
        {npy_i1, sizeof npy_i1, SOMA_I8, 1, {3}, 3, 0},
        {npy_i2_big, sizeof npy_i2_big, SOMA_I16, 1, {3}, 3, 0},
        {npy_i4, sizeof npy_i4, SOMA_I32, 1, {3}, 3, 0},
        {npy_i8_scalar, sizeof npy_i8_scalar, SOMA_I64, 0, {0}, 1, 0},
        {npy_u1_empty, sizeof npy_u1_empty, SOMA_U8, 2, {0, 3}, 0, 0},
        {npy_bool, sizeof npy_bool, SOMA_BOOL, 1, {2}, 2, 0},
        {npy_fortran, sizeof npy_fortran, SOMA_I32, 3, {2, 3, 4}, 24, 0},
        {npy_u2, sizeof npy_u2, SOMA_I32, 2, {2, 3}, 6, 0},
        {npy_u2_big, sizeof npy_u2_big, SOMA_I32, 1, {3}, 3, 65535},
        {npy_u4, sizeof npy_u4, SOMA_I64, 1, {3}, 3, 4294967295},
        {npy_u4_fortran, sizeof npy_u4_fortran, SOMA_I64, 2, {3, 2}, 6, 0},
        {npy_u8, sizeof npy_u8, SOMA_I64, 1, {3}, 3, (double)INT64_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        elements e;
        assert_int_equal(read_bytes(NULL, cases[i].bytes, cases[i].size, &e), SOMA_OK);
        assert_int_equal(e.dtype, cases[i].dtype);
        assert_int_equal(e.rank, cases[i].rank);
        for (int j = 0; j < e.rank; j++)
            assert_int_equal(e.shape[j], cases[i].shape[j]);
        assert_int_equal(e.bytes, (size_t)cases[i].count * soma_dtype_size(e.dtype));
        for (int64_t j = 0; j < cases[i].count; j++)
            assert_true(element(&e, j) == (cases[i].last > 0 && j + 1 == cases[i].count ? cases[i].last : (double)j));
        elements_free(&e);
    }
}

/* The same array written by both gives the same bytes. */
static void writes_what_numpy_writes(void **state) {
    (void)state;
    static const struct {
        const unsigned char *bytes;
        size_t size;
    } cases[] = {{npy_f4_2x3, sizeof npy_f4_2x3},
                 {npy_f2, sizeof npy_f2},
                 {npy_i1, sizeof npy_i1},
                 {npy_i8_scalar, sizeof npy_i8_scalar},
                 {npy_u1_empty, sizeof npy_u1_empty}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        elements e;
        size_t size;
        const char *path = scratch_path("written.npy");
        assert_int_equal(read_bytes(NULL, cases[i].bytes, cases[i].size, &e), SOMA_OK);
        assert_int_equal(npy_write(NULL, path, e.dtype, e.rank, e.shape, e.data, e.bytes), SOMA_OK);
        unsigned char *written = scratch_read(path, &size);
        assert_int_equal(size, cases[i].size);
        assert_memory_equal(written, cases[i].bytes, size);
        free(written);
        elements_free(&e);
    }
}

static void refuses_what_it_cannot_hold(void **state) {
    (void)state;
    elements e;
    assert_int_equal(read_bytes(NULL, npy_object, sizeof npy_object, &e), SOMA_FORMAT);
    expect_error(SOMA_FORMAT, "Python objects", "never unpickled");
    assert_int_equal(read_bytes(NULL, npy_complex, sizeof npy_complex, &e), SOMA_DTYPE);
    expect_error(SOMA_DTYPE, "byte 20", "'<c8'");
    assert_int_equal(read_bytes(NULL, npy_record, sizeof npy_record, &e), SOMA_DTYPE);
    expect_error(SOMA_DTYPE, "structured", "byte 20");
    assert_int_equal(read_bytes(NULL, npy_unicode, sizeof npy_unicode, &e), SOMA_DTYPE);
    expect_error(SOMA_DTYPE, "'<U2'", "float32");
    assert_int_equal(read_bytes(NULL, npy_u8_beyond, sizeof npy_u8_beyond, &e), SOMA_DTYPE);
    expect_error(SOMA_DTYPE, "element 1 is 9223372036854775808", "int64");
    const int64_t one = 1;
    assert_int_equal(npy_write(NULL, scratch_path("no.npy"), SOMA_BF16, 1, &one, "xx", 2), SOMA_DTYPE);
    expect_error(SOMA_DTYPE, "no.npy", "bfloat16");
    assert_int_not_equal(access(scratch_path("no.npy"), F_OK), 0);
}

static void truncated_files_are_errors(void **state) {
    (void)state;
    for (size_t size = 0; size < sizeof npy_f4_2x3; size++) {
        elements e;
        unsigned char *exact = malloc(size + 1);
        memcpy(exact, npy_f4_2x3, size);
        assert_int_equal(read_bytes(NULL, exact, size, &e), SOMA_FORMAT);
        assert_null(e.data);
        expect_error(SOMA_FORMAT, "test.npy", "truncated");
        free(exact);
    }
}

/* A file with this header text, version 1, and n zero bytes of elements; returns its size. */
static size_t make(unsigned char *bytes, const char *header, size_t n) {
    const size_t length = strlen(header);
    memcpy(bytes, "\x93NUMPY\x01\x00", 8);
    bytes[8] = (unsigned char)(length & 255);
    bytes[9] = (unsigned char)(length >> 8);
    memcpy(bytes + 10, header, length);
    memset(bytes + 10 + length, 0, n);
    return 10 + length + n;
}

static void malformed_headers_are_errors(void **state) {
    (void)state;
    static const struct {
        const char *header, *text;
    } cases[] = {
        {"", "expected '{'"},
        {"{", "expected a string"},
        {"{}", "expected 'descr', 'fortran_order' and 'shape'"},
        {"{'descr': '<f4', 'fortran_order': False}", "and 'shape'"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "one each"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}", "one each"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x", "the header's end"},
        {"{'descr': '<f4', 'fortran_order': None, 'shape': (1,)}", "True or False"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1)}", "','"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "an extent"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,,)}", "an extent"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': [1]}", "'('"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}", "below 2^63"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807,)}", "than fit in memory"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000)}", "at most 4 can follow"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': ()}{", "the header's end"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (), }", NULL}, /* this one is good */
        {"{\"descr\":\"<f4\",\"shape\":(1L,),\"fortran_order\":True}", NULL},
        {"{'descr': '\\x3cf4', 'fortran_order': False, 'shape': ()}", "a plain string"},
        {"{'descr': '<f4, 'fortran_order': False, 'shape': ()}", ""},
        {"{'descr' '<f4', 'fortran_order': False, 'shape': ()}", "':'"},
        {"{'descr': ('<f4', 'x'), 'fortran_order': False, 'shape': ()}", "a string"},
        {"__import__('os').system('true')", "expected '{'"},
    };
    unsigned char bytes[256];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        elements e;
        const soma_status status = read_bytes(NULL, bytes, make(bytes, cases[i].header, 4), &e);
        if (cases[i].text) {
            assert_int_not_equal(status, SOMA_OK);
            assert_null(e.data);
            expect_error(status, "test.npy", cases[i].text);
        } else {
            assert_int_equal(status, SOMA_OK);
        }
        elements_free(&e);
    }
    elements e;
    size_t n = make(bytes, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", 4);
    assert_int_equal(read_bytes(NULL, bytes, n, &e), SOMA_SHAPE);
    expect_error(SOMA_SHAPE, "more than 8 axes", "byte");
    n = make(bytes, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 5);
    assert_int_equal(read_bytes(NULL, bytes, n, &e), SOMA_FORMAT);
    expect_error(SOMA_FORMAT, "more bytes than the header", "byte 69");
    n = make(bytes, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 4);
    bytes[6] = 4;
    assert_int_equal(read_bytes(NULL, bytes, n, &e), SOMA_FORMAT);
    expect_error(SOMA_FORMAT, "byte 6", "version 4");
    bytes[0] = 'x';
    assert_int_equal(read_bytes(NULL, bytes, n, &e), SOMA_FORMAT);
    expect_error(SOMA_FORMAT, "byte 0", "not an NPY file");
    memcpy(bytes, "\x93NUMPY\x02\x00\xff\xff\xff\xff", 12);
    assert_int_equal(read_bytes(NULL, bytes, n, &e), SOMA_FORMAT);
    expect_error(SOMA_FORMAT, "byte 8", "4294967295");
    n = make(bytes, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 4);
    bytes[20] = 0;
    assert_int_equal(read_bytes(NULL, bytes, n, &e), SOMA_FORMAT);
    expect_error(SOMA_FORMAT, "byte 20", "no zero byte");
}

static void survives_refused_memory(void **state) {
    (void)state;
    failing f;
    soma_context *c = failing_context(&f, 1);
    for (int64_t n = 0;; n++) {
        elements e;
        f.requests = 0;
        f.refuse = n;
        soma_status status = read_bytes(c, npy_u4_fortran, sizeof npy_u4_fortran, &e);
        if (status == SOMA_OK)
            status = npy_write(c, scratch_path("oom.npy"), e.dtype, e.rank, e.shape, e.data, e.bytes);
        elements_free(&e);
        assert_int_equal(f.blocks, 0);
        assert_false(f.wrong_size);
        assert_int_equal(status, f.requests <= n ? SOMA_OK : SOMA_NO_MEMORY);
        assert_int_equal(soma_last_status(c), status);
        soma_clear_error(c);
        if (status == SOMA_OK) break;
    }
    assert_true(f.requests >= 8);
    soma_context_destroy(c);
}

static void full_disks_are_errors(void **state) {
    (void)state;
    if (access("/dev/full", W_OK) != 0) skip();
    const int64_t shape = 2;
    assert_int_equal(npy_write(NULL, "/dev/full", SOMA_U8, 1, &shape, "ab", 2), SOMA_IO);
    expect_error(SOMA_IO, "/dev/full", "No space left on device");
}

static void tensors_go_out_and_in(void **state) {
    (void)state;
    soma_graph *graph = soma_graph_create(NULL);
    const char *path = scratch_write("in.npy", npy_f4_2x3, sizeof npy_f4_2x3);
    soma_tensor *x = soma_npy_load(graph, path);
    assert_non_null(x);
    assert_int_equal(soma_ndim(x), 2);
    assert_int_equal(soma_dim(x, 1), 3);
    assert_int_equal(soma_tensor_dtype(x), SOMA_F32);
    assert_true(soma_item(x, 5) == 5);
    size_t size;
    const char *out = scratch_path("out.npy");
    assert_int_equal(soma_npy_save(x, out), SOMA_OK);
    unsigned char *written = scratch_read(out, &size);
    assert_int_equal(size, sizeof npy_f4_2x3);
    assert_memory_equal(written, npy_f4_2x3, size);
    free(written);
    assert_null(soma_npy_load(graph, "/no/such.npy"));
    expect_error(SOMA_IO, "/no/such.npy", "No such file");
    assert_null(soma_npy_load(graph, scratch_write("in.npy", npy_object, sizeof npy_object)));
    expect_error(SOMA_FORMAT, "in.npy", "never unpickled");
    assert_int_not_equal(soma_npy_save(NULL, out), SOMA_OK);
    soma_clear_error(NULL);
    assert_null(soma_npy_load(graph, NULL));
    expect_error(SOMA_INVALID, "npy_load", "no path");
    assert_int_equal(soma_npy_save(x, NULL), SOMA_INVALID);
    expect_error(SOMA_INVALID, "npy_save", "no path");
    soma_graph_destroy(graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_numpy_writes),      cmocka_unit_test(writes_what_numpy_writes),
        cmocka_unit_test(refuses_what_it_cannot_hold),  cmocka_unit_test(truncated_files_are_errors),
        cmocka_unit_test(malformed_headers_are_errors), cmocka_unit_test(survives_refused_memory),
        cmocka_unit_test(full_disks_are_errors),        cmocka_unit_test(tensors_go_out_and_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
