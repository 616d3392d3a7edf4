/* Datasets in memory and the batches cut from them.
 * Rests on cmocka and the failing allocator.
 * Samples are numbered in their own elements, so a gathered row tells where it came from. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <soma/data.h>
#include <soma/ops.h>

#include "base/base.h"
#include "data/batches.h"
#include "data/dataset.h"
#include "support/failing.h"

enum { N = 103, ROW = 5 };

static uint8_t xs[N][ROW];
static int32_t ys[N];

static soma_dataset *numbered(soma_context *c, bool borrow) {
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < ROW; j++)
            xs[i][j] = (uint8_t)(i + j);
        ys[i] = 1000 + i;
    }
    return soma_dataset_from_arrays(c, (soma_array_data){SOMA_U8, SOMA_DIMS(N, ROW), xs},
                                    (soma_array_data){SOMA_I32, SOMA_DIMS(N), ys}, borrow);
}

static void expect_error(soma_status status, const char *a) {
    assert_int_equal(soma_last_status(NULL), status);
    if (!strstr(soma_last_error(NULL), a)) fail_msg("'%s' lacks '%s'", soma_last_error(NULL), a);
    soma_clear_error(NULL);
}

static void arrays_are_copied_or_borrowed(void **state) {
    (void)state;
    for (int borrow = 0; borrow < 2; borrow++) {
        soma_dataset *d = numbered(NULL, borrow);
        assert_int_equal(soma_dataset_samples(d), N);
        const soma_array_data x = soma_dataset_x(d), y = soma_dataset_y(d);
        assert_int_equal(x.dtype, SOMA_U8);
        assert_int_equal(x.rank, 2);
        assert_int_equal(x.shape[0], N);
        assert_int_equal(x.shape[1], ROW);
        assert_int_equal(y.rank, 1);
        assert_memory_equal(x.data, xs, sizeof xs);
        assert_memory_equal(y.data, ys, sizeof ys);
        assert_int_equal(x.data == (const void *)xs, borrow);
        if (!borrow) assert_int_equal((uintptr_t)x.data % 64, 0);
        soma_dataset_destroy(d);
    }
    soma_dataset_destroy(NULL);
}

static void wrong_arrays_are_errors(void **state) {
    (void)state;
    const soma_array_data x = {SOMA_U8, SOMA_DIMS(2, 2), xs}, none = {0};
    assert_null(soma_dataset_from_arrays(NULL, x, (soma_array_data){SOMA_I32, SOMA_DIMS(3), ys}, false));
    expect_error(SOMA_SHAPE, "x has 2 samples, y has 3");
    assert_null(soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_U8, SOMA_SCALAR_DIMS, xs}, none, false));
    expect_error(SOMA_SHAPE, "first must count samples");
    assert_null(soma_dataset_from_arrays(NULL, none, none, true));
    expect_error(SOMA_INVALID, "x has no data");
    assert_null(soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_U8, SOMA_DIMS(-1), xs}, none, true));
    expect_error(SOMA_SHAPE, "extent 0 is -1");
    assert_null(soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_U8, 2, NULL, xs}, none, true));
    expect_error(SOMA_SHAPE, "x: rank 2: expected 1 to 8, and a shape");
    assert_null(soma_dataset_from_arrays(NULL, (soma_array_data){(soma_dtype)77, SOMA_DIMS(1), xs}, none, true));
    expect_error(SOMA_DTYPE, "77");
    assert_null(
        soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F64, SOMA_DIMS(INT64_MAX, INT64_MAX), xs}, none, true));
    expect_error(SOMA_FORMAT, "more elements than fit");
}

static void slices_share_and_outlive(void **state) {
    (void)state;
    failing f;
    soma_context *c = failing_context(&f, 1);
    soma_dataset *d = numbered(c, false);
    const char *const names[] = {"zero", "one"};
    assert_int_equal(soma_dataset_set_class_names(d, names, 2), SOMA_OK);
    soma_dataset *head = soma_dataset_slice(d, 0, -3), *tail = soma_dataset_slice(d, -3, SOMA_END);
    soma_dataset *inner = soma_dataset_slice(tail, 1, 2), *empty = soma_dataset_slice(d, 5, 2);
    assert_ptr_equal(soma_dataset_x(head).data, soma_dataset_x(d).data);
    soma_dataset_destroy(d);
    soma_dataset_destroy(tail);
    assert_int_equal(soma_dataset_samples(head), N - 3);
    assert_int_equal(soma_dataset_x(head).shape[0], N - 3);
    assert_int_equal(soma_dataset_samples(inner), 1);
    assert_int_equal(*(const int32_t *)soma_dataset_y(inner).data, 1000 + N - 2);
    assert_memory_equal(soma_dataset_x(inner).data, xs[N - 2], ROW);
    assert_int_equal(soma_dataset_samples(empty), 0);
    assert_string_equal(soma_dataset_class_name(inner, 1), "one");
    assert_null(soma_dataset_class_name(inner, 2));
    assert_int_equal(soma_dataset_class_count(inner), 2);
    assert_int_equal(soma_dataset_set_class_names(inner, names + 1, 1), SOMA_OK);
    assert_string_equal(soma_dataset_class_name(inner, 0), "one");
    assert_string_equal(soma_dataset_class_name(head, 0), "zero");
    assert_ptr_equal(soma_dataset_context(inner), c);
    soma_dataset_destroy(head);
    soma_dataset_destroy(inner);
    soma_dataset_destroy(empty);
    assert_int_equal(f.blocks, 0);
    assert_false(f.wrong_size);
    soma_context_destroy(c);
    assert_null(soma_dataset_slice(NULL, 0, 1));
}

static bool range_of(soma_dtype dtype, int64_t n, const void *labels, int64_t *min, int64_t *max) {
    soma_dataset *d = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_U8, SOMA_DIMS(n), xs},
                                               (soma_array_data){dtype, SOMA_DIMS(n), labels}, true);
    const bool ok = dataset_label_range(d, 0, min, max);
    soma_dataset_destroy(d);
    return ok;
}

static void label_ranges(void **state) {
    (void)state;
    int64_t min = 0, max = 0;
    assert_true(range_of(SOMA_U8, 3, (uint8_t[]){3, 255, 9}, &min, &max));
    assert_int_equal(min, 3);
    assert_int_equal(max, 255);
    assert_true(range_of(SOMA_I8, 3, (int8_t[]){3, -1, 9}, &min, &max));
    assert_int_equal(min, -1);
    assert_int_equal(max, 9);
    assert_true(range_of(SOMA_I64, 2, (int64_t[]){INT64_MIN, INT64_MAX}, &min, &max));
    assert_true(min == INT64_MIN && max == INT64_MAX);
    assert_true(range_of(SOMA_F32, 2, (float[]){2, 7}, &min, &max));
    assert_int_equal(max, 7);
    assert_true(range_of(SOMA_F16, 2, (uint16_t[]){0xbc00, 0x4200}, &min, &max)); /* -1, 3 */
    assert_true(min == -1 && max == 3);
    assert_true(range_of(SOMA_BF16, 2, (uint16_t[]){0x4040, 0x3f80}, &min, &max)); /* 3, 1 */
    assert_true(min == 1 && max == 3);
    min = max = 42;
    assert_false(range_of(SOMA_F16, 2, (uint16_t[]){0x3c00, 0x3800}, &min, &max));  /* 1, 0.5 */
    assert_false(range_of(SOMA_BF16, 2, (uint16_t[]){0x3f80, 0x7fc0}, &min, &max)); /* 1, NaN */
    assert_false(range_of(SOMA_F32, 2, (float[]){2, 7.5f}, &min, &max));
    assert_false(range_of(SOMA_F64, 2, (double[]){2, (double)NAN}, &min, &max));
    assert_false(range_of(SOMA_F64, 2, (double[]){2, -(double)INFINITY}, &min, &max));
    assert_false(range_of(SOMA_U8, 0, xs, &min, &max));
    assert_int_equal(min, 42);
    assert_int_equal(max, 42);
}

/* ---- batches ---- */

/* Goes through what is left of an epoch; writes the labels in the order they came. */
static int64_t collect(batches *b, int64_t size, int32_t *labels) {
    batch_rows next;
    int64_t n = 0;
    while (batches_next(b, &next)) {
        assert_true(next.count == size || b->next == batches_count(b));
        for (int64_t i = 0; i < next.count; i++) {
            const int64_t row = next.order ? next.order[i] : i;
            labels[n + i] = ((const int32_t *)batch_array(&next, 1))[row];
            assert_memory_equal((const uint8_t *)batch_array(&next, 0) + row * ROW, xs[labels[n + i] - 1000], ROW);
        }
        n += next.count;
    }
    return n;
}

static void batches_in_order_are_not_copied(void **state) {
    (void)state;
    soma_dataset *d = numbered(NULL, true);
    batches b;
    assert_int_equal(batches_init(&b, d, 10, false, 0), SOMA_OK);
    assert_int_equal(batches_count(&b), 11);
    batch_rows next;
    assert_true(batches_next(&b, &next));
    assert_ptr_equal(batch_array(&next, 0), xs[0]);
    assert_true(batches_next(&b, &next));
    assert_ptr_equal(batch_array(&next, 0), xs[10]);
    assert_ptr_equal(batch_array(&next, 1), &ys[10]);
    assert_null(next.order);
    assert_int_equal(next.count, 10);
    batches_epoch(&b, 1);
    int32_t labels[N];
    assert_int_equal(collect(&b, 10, labels), N);
    assert_memory_equal(labels, ys, sizeof ys);
    batches_deinit(&b);
    soma_dataset_destroy(d);
}

static void shuffled_batches_have_every_sample_once(void **state) {
    (void)state;
    static const int64_t batch_sizes[] = {1, 7, 10, 102, 103, 104, 1000000};
    soma_dataset *d = numbered(NULL, true);
    for (size_t s = 0; s < sizeof batch_sizes / sizeof *batch_sizes; s++) {
        batches b;
        int32_t first[N], second[N], again[N];
        assert_int_equal(batches_init(&b, d, batch_sizes[s], true, 5), SOMA_OK);
        assert_int_equal(collect(&b, batch_sizes[s], first), N);
        batches_epoch(&b, 1);
        assert_int_equal(collect(&b, batch_sizes[s], second), N);
        bool seen[N] = {0};
        for (int i = 0; i < N; i++) {
            assert_false(seen[first[i] - 1000]);
            seen[first[i] - 1000] = true;
        }
        assert_memory_not_equal(first, second, sizeof first);
        batches_epoch(&b, 0);
        assert_int_equal(collect(&b, batch_sizes[s], again), N);
        assert_memory_equal(first, again, sizeof first);
        batches_deinit(&b);
        /* the order comes from seed and epoch, not from the size of a batch or from a machine: it is that of philox.h
         */
        int64_t order[N];
        philox_permutation(5, 0, N, order);
        for (int i = 0; i < N; i++)
            assert_int_equal(first[i], 1000 + order[i]);
    }
    soma_dataset_destroy(d);
}

static void batches_resume(void **state) {
    (void)state;
    soma_dataset *d = numbered(NULL, true);
    batches b;
    int32_t whole[N], rest[N];
    assert_int_equal(batches_init(&b, d, 10, true, 9), SOMA_OK);
    batches_epoch(&b, 3);
    assert_int_equal(collect(&b, 10, whole), N);
    batches_deinit(&b);
    assert_int_equal(batches_init(&b, d, 10, true, 9), SOMA_OK);
    batches_epoch(&b, 3);
    batches_seek(&b, 4);
    assert_int_equal(collect(&b, 10, rest + 40), N - 40);
    assert_memory_equal(rest + 40, whole + 40, (N - 40) * sizeof *rest);
    batches_deinit(&b);
    soma_dataset_destroy(d);
}

static void batches_stay_valid_and_allocate_nothing(void **state) {
    (void)state;
    failing f;
    soma_context *c = failing_context(&f, 1);
    soma_dataset *d = numbered(c, true);
    batches b;
    assert_int_equal(batches_init(&b, d, 10, true, 1), SOMA_OK);
    f.requests = 0;
    batch_rows next[2];
    assert_true(batches_next(&b, &next[0]));
    int64_t copy[10];
    memcpy(copy, next[0].order, sizeof copy);
    assert_true(batches_next(&b, &next[1]));
    assert_ptr_not_equal(next[0].order, next[1].order);
    assert_memory_equal(next[0].order, copy, sizeof copy);
    batches_epoch(&b, 1);
    while (batches_next(&b, &next[0]))
        continue;
    assert_int_equal(f.requests, 0);
    batches_deinit(&b);
    soma_dataset_destroy(d);
    soma_context_destroy(c);
}

static void odd_datasets_make_batches(void **state) {
    (void)state;
    batches b;
    batch_rows next;
    soma_dataset *d =
        soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F64, SOMA_DIMS(0, 3), xs}, (soma_array_data){0}, false);
    for (int shuffle = 0; shuffle < 2; shuffle++) { /* no samples */
        assert_int_equal(batches_init(&b, d, 8, shuffle, 0), SOMA_OK);
        assert_int_equal(batches_count(&b), 0);
        assert_false(batches_next(&b, &next));
        batches_deinit(&b);
    }
    assert_int_equal(batches_init(&b, d, 0, true, 0), SOMA_INVALID);
    expect_error(SOMA_INVALID, "batch size 0");
    soma_dataset_destroy(d);
    d = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_U8, SOMA_DIMS(N, ROW), xs}, (soma_array_data){0}, false);
    for (int shuffle = 0; shuffle < 2; shuffle++) { /* no labels */
        assert_int_equal(batches_init(&b, d, 64, shuffle, 0), SOMA_OK);
        assert_true(batches_next(&b, &next));
        assert_non_null(batch_array(&next, 0));
        assert_int_equal(b.n, 1);
        batches_deinit(&b);
    }
    soma_dataset_destroy(d);
}

static void survives_refused_memory(void **state) {
    (void)state;
    failing f;
    soma_context *c = failing_context(&f, 1);
    for (int64_t n = 0;; n++) {
        f.requests = 0;
        f.refuse = n;
        soma_dataset *d = numbered(c, false), *part = soma_dataset_slice(d, 0, 50);
        const char *name = "only";
        batches b;
        bool ok = part && soma_dataset_set_class_names(part, &name, 1) == SOMA_OK;
        if (ok) {
            ok = batches_init(&b, part, 8, true, 0) == SOMA_OK;
            batches_deinit(&b);
        }
        soma_dataset_destroy(part);
        soma_dataset_destroy(d);
        assert_int_equal(f.blocks, 0);
        assert_int_equal(ok, f.requests <= n);
        assert_int_equal(soma_last_status(c), ok ? SOMA_OK : SOMA_NO_MEMORY);
        soma_clear_error(c);
        if (ok) break;
    }
    assert_true(f.requests >= 7);
    soma_context_destroy(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_are_copied_or_borrowed),
        cmocka_unit_test(wrong_arrays_are_errors),
        cmocka_unit_test(slices_share_and_outlive),
        cmocka_unit_test(label_ranges),
        cmocka_unit_test(batches_in_order_are_not_copied),
        cmocka_unit_test(shuffled_batches_have_every_sample_once),
        cmocka_unit_test(batches_resume),
        cmocka_unit_test(batches_stay_valid_and_allocate_nothing),
        cmocka_unit_test(odd_datasets_make_batches),
        cmocka_unit_test(survives_refused_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
