/* Augmenting layers: with ranges of one number against plain loops in double precision, with wider ones by what must
 * hold of every image. Rests on the public API. Needs: jansson */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/expect.h"

enum { BATCH = 3, ROWS = 5, COLUMNS = 7, CHANNELS = 2, SIZE = BATCH * ROWS * COLUMNS * CHANNELS };
static double images[SIZE];

static double *pixel(double *of, int b, int i, int j, int c) {
    return of + ((b * ROWS + i) * COLUMNS + j) * CHANNELS + c;
}

static soma_tensor *input(void) {
    for (int i = 0; i < SIZE; i++)
        images[i] = (double)((i * 37) % 101) / 10;
    return soma_array(NULL, SOMA_F64, SOMA_DIMS(BATCH, ROWS, COLUMNS, CHANNELS), images);
}

/* The layer's result on x; the layer is gone afterwards. */
static soma_tensor *through(soma_layer *layer, soma_tensor *x, bool training) {
    soma_model *net = soma_sequential(layer);
    soma_tensor *y = NULL;
    if (!net || soma_model_apply(net, &x, 1, training, &y) != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
    if (!soma_data(y)) fail_msg("%s", soma_last_error(NULL));
    soma_model_destroy(net);
    return y;
}

/* ---- resampling, against loops ---- */

/* A place along an axis, brought into it step by step; -1: outside. */
static int fold(int at, int n, const char *mode) {
    while (at < 0 || at >= n) {
        if (strcmp(mode, "constant") == 0) return -1;
        if (strcmp(mode, "nearest") == 0) return at < 0 ? 0 : n - 1;
        if (strcmp(mode, "wrap") == 0)
            at += at < 0 ? n : -n;
        else
            at = at < 0 ? -1 - at : 2 * n - 1 - at;
    }
    return at;
}

static double corner(int b, int i, int j, int c, const char *mode, double fill) {
    i = fold(i, ROWS, mode);
    j = fold(j, COLUMNS, mode);
    return i < 0 || j < 0 ? fill : *pixel(images, b, i, j, c);
}

static double read_at(int b, double y, double x, int c, const char *mode, double fill, bool bilinear) {
    if (!bilinear) return corner(b, (int)nearbyint(y), (int)nearbyint(x), c, mode, fill);
    const int i = (int)floor(y), j = (int)floor(x);
    double sum = 0;
    for (int k = 0; k < 4; k++) {
        const double down = k / 2 ? y - i : 1 - (y - i), right = k % 2 ? x - j : 1 - (x - j);
        sum += down * right * corner(b, i + k / 2, j + k % 2, c, mode, fill);
    }
    return sum;
}

/* (y, x) = (a0 a1; a2 a3) (i - middle, j - middle) + middle - (d0, d1). */
static void expect_affine(const char *what, soma_tensor *got, const double a[4], const double d[2], const char *mode,
                          double fill, bool bilinear) {
    assert_int_equal(soma_size(got), SIZE);
    const double mi = (ROWS - 1) / 2.0, mj = (COLUMNS - 1) / 2.0;
    double *expected = calloc(SIZE, sizeof *expected);
    for (int b = 0; b < BATCH; b++)
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < COLUMNS; j++)
                for (int c = 0; c < CHANNELS; c++)
                    *pixel(expected, b, i, j, c) =
                        read_at(b, a[0] * (i - mi) + a[1] * (j - mj) + mi - d[0],
                                a[2] * (i - mi) + a[3] * (j - mj) + mj - d[1], c, mode, fill, bilinear);
    expect_all(what, got, expected, SIZE, 1e-9);
    free(expected);
}

static void resampling(void **state) {
    (void)state;
    static const char *const modes[] = {"reflect", "wrap", "nearest", "constant"};
    const double turn = 0.07 * 2 * 3.14159265358979323846, none[] = {0, 0}, one[] = {1, 0, 0, 1};
    const double turned[] = {cos(turn), sin(turn), -sin(turn), cos(turn)}, moved[] = {-0.43 * ROWS, 0.61 * COLUMNS},
                 far[] = {2.2 * ROWS, -3.1 * COLUMNS}, zoomed[] = {1.35, 0, 0, 0.6}, same[] = {0.7, 0, 0, 0.7};
    for (int m = 0; m < 4; m++) {
        for (int bilinear = 0; bilinear < 2; bilinear++) {
            const char *mode = modes[m], *how = bilinear ? "bilinear" : "nearest";
            soma_tensor *x = input();
            expect_affine(
                "translation",
                through(soma_random_translation({-0.43, -0.43}, .width_factor = {0.61, 0.61}, .fill_mode = mode,
                                                .fill_value = 1.5, .interpolation = how, .dtype = SOMA_F64),
                        x, true),
                one, moved, mode, 1.5, bilinear);
            expect_affine("far translation",
                          through(soma_random_translation({2.2, 2.2}, .width_factor = {-3.1, -3.1}, .fill_mode = mode,
                                                          .interpolation = how, .dtype = SOMA_F64),
                                  x, true),
                          one, far, mode, 0, bilinear);
            expect_affine("rotation",
                          through(soma_random_rotation({0.07, 0.07}, .fill_mode = mode, .fill_value = -2,
                                                       .interpolation = how, .dtype = SOMA_F64),
                                  x, true),
                          turned, none, mode, -2, bilinear);
            expect_affine("zoom",
                          through(soma_random_zoom({0.35, 0.35}, .width_factor = {-0.4, -0.4}, .fill_mode = mode,
                                                   .interpolation = how, .dtype = SOMA_F64),
                                  x, true),
                          zoomed, none, mode, 0, bilinear);
            expect_affine(
                "zoom, one factor",
                through(soma_random_zoom({-0.3, -0.3}, .fill_mode = mode, .interpolation = how, .dtype = SOMA_F64), x,
                        true),
                same, none, mode, 0, bilinear);
        }
    }
}

/* A quarter turn is counter-clockwise: what was at the right is on top. A row down is down. */
static void directions(void **state) {
    (void)state;
    const float square[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    soma_tensor *x = soma_array(NULL, SOMA_F32, SOMA_DIMS(1, 3, 3, 1), square);
    expect_all("turned", through(soma_random_rotation({0.25, 0.25}), x, true),
               (const double[]){3, 6, 9, 2, 5, 8, 1, 4, 7}, 9, 1e-5);
    expect_all("moved", through(soma_random_translation({1.0 / 3, 1.0 / 3}, .fill_mode = "constant"), x, true),
               (const double[]){0, 0, 0, 1, 2, 3, 4, 5, 6}, 9, 1e-5);
    expect_all(
        "moved",
        through(soma_random_translation({0, 0}, .width_factor = {-1.0 / 3, -1.0 / 3}, .fill_mode = "wrap"), x, true),
        (const double[]){2, 3, 1, 5, 6, 4, 8, 9, 7}, 9, 1e-5);
}

/* ---- colours ---- */

static void colours(void **state) {
    (void)state;
    soma_tensor *x = input();
    double bright[SIZE], strong[SIZE];
    for (int b = 0; b < BATCH; b++) {
        for (int c = 0; c < CHANNELS; c++) {
            double mean = 0;
            for (int i = 0; i < ROWS * COLUMNS; i++)
                mean += *pixel(images, b, i / COLUMNS, i % COLUMNS, c) / (ROWS * COLUMNS);
            for (int i = 0; i < ROWS * COLUMNS; i++) {
                const double v = *pixel(images, b, i / COLUMNS, i % COLUMNS, c);
                *pixel(bright, b, i / COLUMNS, i % COLUMNS, c) = fmin(9, fmax(1, v - 0.25 * 8));
                *pixel(strong, b, i / COLUMNS, i % COLUMNS, c) = fmin(255, fmax(0, (v - mean) * 1.6 + mean));
            }
        }
    }
    expect_all("brightness",
               through(soma_random_brightness({-0.25, -0.25}, .value_range = {1, 9}, .dtype = SOMA_F64), x, true),
               bright, SIZE, 1e-9);
    /* from 1 - low to 1 + high: one number where low is -high, which only a layer's own range can't say */
    soma_tensor *y = through(soma_random_contrast({0, 0.6}, .dtype = SOMA_F64), x, true);
    int between = 0;
    for (int i = 0; i < SIZE; i++) {
        const double low = fmin(fmin(255, fmax(0, images[i])), strong[i]), high = fmax(images[i], strong[i]);
        between += soma_item(y, i) >= low - 1e-9 && soma_item(y, i) <= high + 1e-9;
    }
    assert_int_equal(between, SIZE);
    expect_all("no contrast to add", through(soma_random_contrast({0, 0}, .dtype = SOMA_F64), x, true), images, SIZE,
               1e-9);
}

/* The factor of each image, from how far its values lie from their mean. */
static void contrasts_are_drawn_for_each_image(void **state) {
    (void)state;
    enum { N = 400 };
    static float ramp[N * 4];
    for (int i = 0; i < N * 4; i++)
        ramp[i] = (float)(100 + 10 * (i % 4));
    soma_tensor *x = soma_array(NULL, SOMA_F32, SOMA_DIMS(N, 2, 2, 1), ramp);
    soma_tensor *y = through(soma_random_contrast({0.2, 0.4}), x, true);
    double sum = 0, low = 9, high = 0;
    for (int i = 0; i < N; i++) {
        const double f = (soma_item(y, i * 4 + 3) - soma_item(y, i * 4)) / 30;
        expect_near("mean", soma_item(y, i * 4) + soma_item(y, i * 4 + 3), 230, 1e-5);
        sum += f / N;
        low = fmin(low, f);
        high = fmax(high, f);
    }
    assert_true(low >= 0.8 - 1e-5 && low < 0.82 && high <= 1.4 + 1e-5 && high > 1.38);
    assert_true(fabs(sum - 1.1) < 5 * 0.6 / sqrt(12.0 * N));
}

/* ---- flips and crops ---- */

static bool same_image(soma_tensor *y, int64_t at, int b, bool down, bool right) {
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++)
            for (int c = 0; c < CHANNELS; c++) {
                const double v = soma_item(y, at + (int64_t)((i * COLUMNS + j) * CHANNELS + c));
                if (v != *pixel(images, b, down ? ROWS - 1 - i : i, right ? COLUMNS - 1 - j : j, c)) return false;
            }
    return true;
}

static void flips(void **state) {
    (void)state;
    enum { MANY = 60 };
    static const char *const modes[] = {NULL, "horizontal", "vertical"};
    soma_tensor *x = input(), *repeated[MANY];
    for (int i = 0; i < MANY; i++)
        repeated[i] = x;
    soma_tensor *many = soma_concat(repeated, MANY, 0);
    for (int m = 0; m < 3; m++) {
        soma_tensor *y = through(soma_random_flip(.mode = modes[m], .dtype = SOMA_F64), many, true);
        int counts[4] = {0};
        for (int i = 0; i < MANY * BATCH; i++) {
            int found = 0;
            for (int k = 0; k < 4; k++) {
                const bool same = same_image(y, (int64_t)i * ROWS * COLUMNS * CHANNELS, i % BATCH, k / 2, k % 2);
                found += same;
                counts[k] += same;
            }
            assert_int_equal(found, 1);
        }
        const int share = MANY * BATCH / (m ? 2 : 4);
        for (int k = 0; k < 4; k++) {
            const bool possible = m == 0 || (m == 1 && k < 2) || (m == 2 && k % 2 == 0);
            if (possible) assert_in_range(counts[k], share / 2, share * 2);
            if (!possible) assert_int_equal(counts[k], 0);
        }
    }
}

static void crops(void **state) {
    (void)state;
    enum { HEIGHT = 3, WIDTH = 4, MANY = 80 };
    soma_tensor *x = input(), *repeated[MANY];
    soma_tensor *y = through(soma_center_crop(HEIGHT, .width = WIDTH, .dtype = SOMA_F64), x, true);
    assert_int_equal(soma_dim(y, 1), HEIGHT);
    assert_int_equal(soma_dim(y, 2), WIDTH);
    for (int b = 0; b < BATCH; b++)
        for (int i = 0; i < HEIGHT; i++)
            for (int j = 0; j < WIDTH; j++)
                assert_true(soma_item(y, (int64_t)((b * HEIGHT + i) * WIDTH + j) * CHANNELS) ==
                            *pixel(images, b, i + 1, j + 1, 0));
    for (int i = 0; i < MANY; i++)
        repeated[i] = x;
    y = through(soma_random_crop(HEIGHT, .width = WIDTH, .dtype = SOMA_F64), soma_concat(repeated, MANY, 0), true);
    int seen[ROWS - HEIGHT + 1][COLUMNS - WIDTH + 1] = {{0}};
    for (int b = 0; b < MANY * BATCH; b++) {
        int found = 0;
        for (int top = 0; top <= ROWS - HEIGHT; top++) {
            for (int from = 0; from <= COLUMNS - WIDTH; from++) {
                bool same = true;
                for (int i = 0; i < HEIGHT * WIDTH * CHANNELS && same; i++)
                    same = soma_item(y, (int64_t)b * HEIGHT * WIDTH * CHANNELS + i) ==
                           *pixel(images, b % BATCH, top + i / CHANNELS / WIDTH, from + i / CHANNELS % WIDTH,
                                  i % CHANNELS);
                found += same;
                seen[top][from] += same;
            }
        }
        assert_int_equal(found, 1);
    }
    for (int top = 0; top <= ROWS - HEIGHT; top++)
        for (int from = 0; from <= COLUMNS - WIDTH; from++)
            assert_in_range(seen[top][from], 5, 45);         /* 20 each */
    y = through(soma_random_crop(10, .width = 10), x, true); /* of 5 x 7 the middle 5 x 5, resized */
    assert_int_equal(soma_dim(y, 1), 10);
    assert_int_equal(soma_dim(y, 2), 10);
    expect_near("corner", soma_item(y, 0), *pixel(images, 0, 0, 1, 0), 1e-5);
    expect_near("corner", soma_item(y, 9 * CHANNELS), *pixel(images, 0, 0, 5, 0), 1e-5);
}

/* ---- what holds of all of them ---- */

enum { LAYERS = 8 };
static soma_layer *layer_of(int i, const char *format) {
    switch (i) {
    case 0:
        return soma_random_flip(.data_format = format);
    case 1:
        return soma_random_brightness({0.2}, .value_range = {0, 10}, .data_format = format);
    case 2:
        return soma_random_contrast({0.5}, .value_range = {0, 10}, .data_format = format);
    case 3:
        return soma_random_translation({0.3}, .width_factor = {0.3}, .data_format = format);
    case 4:
        return soma_random_rotation({0.2}, .data_format = format);
    case 5:
        return soma_random_zoom({-0.4, 0.1}, .width_factor = {0.3}, .data_format = format);
    case 6:
        return soma_center_crop(3, .width = 2, .data_format = format);
    default:
        return soma_random_crop(3, .width = 2, .data_format = format);
    }
}

/* Alike with the channels first; nothing happens at prediction; images are changed each in its own way. */
static void all_of_them(void **state) {
    (void)state;
    for (int i = 0; i < LAYERS; i++) {
        soma_tensor *x = soma_cast(input(), SOMA_F32), *alike[2] = {NULL};
        soma_tensor *first = soma_transpose(x, (const int[]){0, 3, 1, 2});
        soma_set_random_seed(NULL, 5);
        soma_model *nets[] = {soma_sequential(layer_of(i, NULL)), soma_sequential(layer_of(i, "channels_first"))};
        for (int k = 0; k < 2; k++) {
            soma_graph *graph = soma_graph_create(NULL); /* in which the numbers drawn are counted from 0 */
            const int64_t last[] = {BATCH, ROWS, COLUMNS, CHANNELS}, before[] = {BATCH, CHANNELS, ROWS, COLUMNS};
            soma_tensor *in = soma_array_view(graph, SOMA_F32, 4, k ? before : last, soma_data(k ? first : x)), *out;
            expect_ok(soma_model_apply(nets[k], &in, 1, true, &out));
            assert_non_null(soma_data(out));
            if (k) out = soma_transpose(out, (const int[]){0, 2, 3, 1});
            alike[k] = soma_array(NULL, SOMA_F32, 4, soma_shape(out), soma_data(out));
            soma_graph_destroy(graph);
        }
        for (int64_t e = 0; e < soma_size(alike[0]); e++)
            assert_true(soma_item(alike[0], e) == soma_item(alike[1], e));
        soma_tensor *out;
        expect_ok(soma_model_apply(nets[0], &x, 1, false, &out));
        for (int64_t e = 0; i < 6 && e < soma_size(x); e++)
            assert_true(soma_item(out, e) == soma_item(x, e));
        soma_model_destroy(nets[0]);
        soma_model_destroy(nets[1]);
    }
}

/* Trained with all of them in front: learns, the same bits for 1, 2 and 3 threads. */
static void trains(void **state) {
    (void)state;
    enum { N = 48, SIDE = 8 };
    static float pictures[N * SIDE * SIDE];
    static uint8_t kinds[N];
    for (int i = 0; i < N; i++) { /* stripes upright or lying, which no augmentation below turns into each other */
        kinds[i] = (uint8_t)(i % 2);
        for (int p = 0; p < SIDE * SIDE; p++)
            pictures[i * SIDE * SIDE + p] = ((kinds[i] ? p % SIDE : p / SIDE) / 2 + i / 2) % 2 ? 0.9f : 0.1f;
    }
    float first[2] = {0};
    for (int threads = 1; threads <= 3; threads++) {
        soma_context *c = soma_context_create(&(soma_context_options){.threads = threads, .seed = 3});
        soma_dataset *d =
            soma_dataset_from_arrays(c, (soma_array_data){SOMA_F32, SOMA_DIMS(N, SIDE, SIDE, 1), pictures},
                                     (soma_array_data){SOMA_U8, SOMA_DIMS(N), kinds}, true);
        soma_layer *layers[] = {soma_random_flip(.context = c),
                                soma_random_translation({0.2}, .width_factor = {0.2}, .context = c),
                                soma_random_rotation({0.03}, .context = c),
                                soma_random_zoom({0.1}, .context = c),
                                soma_random_brightness({0.1}, .value_range = {0, 1}, .context = c),
                                soma_random_contrast({0.2}, .value_range = {0, 1}, .context = c),
                                soma_random_crop(7, .width = 7, .context = c),
                                soma_conv_2d(6, .kernel_size = {3}, .activation = soma_relu, .context = c),
                                soma_global_max_pooling_2d(.context = c),
                                soma_dense(2, .activation = soma_softmax, .context = c)};
        soma_model *net = soma_sequential_create(c, layers, sizeof layers / sizeof *layers);
        assert_int_equal(soma_compile(net, .optimizer = soma_adam(.learning_rate = 0.01, .context = c),
                                      .loss = soma_sparse_categorical_crossentropy, .metrics = {soma_accuracy}),
                         SOMA_OK);
        assert_int_equal(soma_fit(net, d, .epochs = 60, .batch_size = 16), SOMA_OK);
        if (soma_evaluate(net, d).metrics[0] < 0.95) fail_msg("accuracy %g", soma_evaluate(net, d).metrics[0]);
        float bias[2];
        const soma_layer *last = soma_model_get_layer(net, soma_model_layers(net) - 1);
        assert_int_equal(soma_variable_get(soma_layer_get_weight(last, 1), bias, sizeof bias), SOMA_OK);
        if (threads == 1) memcpy(first, bias, sizeof bias);
        assert_memory_equal(bias, first, sizeof bias);
        soma_model_destroy(net);
        soma_dataset_destroy(d);
        soma_context_destroy(c);
    }
}

static void refuse(soma_layer *layer, const char *part) {
    soma_model *net = soma_sequential(layer);
    soma_tensor *x = input(), *y = NULL;
    if (net) assert_int_not_equal(soma_model_apply(net, &x, 1, true, &y), SOMA_OK);
    expect_error(soma_last_status(NULL), part);
    soma_model_destroy(net);
}

static void mistakes(void **state) {
    (void)state;
    refuse(soma_random_flip(.mode = "diagonal"), "[RandomFlip] mode is 'diagonal'");
    refuse(soma_random_rotation({0.1}, .fill_mode = "mirror"), "[RandomRotation] fill_mode is 'mirror'");
    refuse(soma_random_zoom({0.1}, .interpolation = "cubic"), "interpolation is 'cubic'");
    refuse(soma_random_zoom({-1.5, 0}), "would show nothing");
    refuse(soma_random_brightness({2}), "between -1 and 1");
    refuse(soma_random_contrast({-1, 2}), "at least 0");
    refuse(soma_random_flip(.input_shape = {4, 4}), "a sample of rank 2 is given, not 3");
    assert_null(soma_center_crop(0, .width = 3));
    soma_clear_error(NULL);
    assert_null(soma_layer_from_json(NULL, "{\"random_rotation\": {\"factor\": [0.2, 0.1]}}"));
    expect_error(SOMA_INVALID, "[RandomRotation] factor must be a number from 0, or two, the smaller first");
    assert_null(soma_layer_from_json(NULL, "{\"random_zoom\": {\"height_factor\": -0.2}}"));
    expect_error(SOMA_INVALID, "height_factor must be at least 0");
}

/* Keras: width_factor None is the height's, 0 leaves the columns as they are. */
static void columns_can_stay(void **state) {
    (void)state;
    static const char *const widths[] = {"", ", \"width_factor\": 0", ", \"width_factor\": [0, 0]"};
    const double x[] = {1, 2, 3, 5, 5, 5, 9, 8, 7}, up[] = {3, 3.5, 4, 5, 5, 5, 7, 6.5, 6},
                 both[] = {3.25, 3.5, 3.75, 5, 5, 5, 6.75, 6.5, 6.25};
    for (int i = 0; i < 3; i++) {
        char json[200];
        snprintf(json, sizeof json,
                 "{\"layers\": [{\"input\": [3, 3, 1]}, {\"random_zoom\": {\"dtype\": \"float64\", "
                 "\"height_factor\": [-0.5, -0.5]%s}}]}",
                 widths[i]);
        soma_model *net = soma_model_from_json(NULL, json);
        if (!net) fail_msg("%s", soma_last_error(NULL));
        char *text = soma_model_to_json(net);
        soma_model *again = soma_model_from_json(NULL, text);
        soma_tensor *in = soma_array(NULL, SOMA_F64, SOMA_DIMS(1, 3, 3, 1), x), *y;
        expect_ok(soma_model_apply(again, &in, 1, true, &y));
        expect_all(json, y, i ? up : both, 9, 1e-12);
        soma_string_free(text);
        soma_model_destroy(net);
        soma_model_destroy(again);
    }
}

static void in_json(void **state) {
    (void)state;
    soma_model *net = soma_model_from_json(
        NULL, "{\"layers\": [{\"input\": [8, 8, 3]}, {\"random_rotation\": 0.1}, {\"random_zoom\": {\"height_factor\": "
              "[-0.25, 0], "
              "\"width_factor\": 0.5}}, {\"random_brightness\": {\"factor\": [0.1, 0.2], \"value_range\": [0, 1]}}, "
              "{\"RandomCrop\": {\"height\": 4, \"width\": 3}}]}");
    if (!net) fail_msg("%s", soma_last_error(NULL));
    char *json = soma_model_to_json(net);
    assert_non_null(strstr(json, "\"factor\": 0.1,"));
    assert_non_null(strstr(json, "\"height_factor\": [-0.25, 0]"));
    assert_non_null(strstr(json, "\"width_factor\": 0.5"));
    assert_non_null(strstr(json, "\"factor\": [0.1, 0.2], \"value_range\": [0, 1]"));
    soma_model *again = soma_model_from_json(NULL, json);
    char *twice = soma_model_to_json(again);
    assert_string_equal(json, twice);
    soma_string_free(json);
    soma_string_free(twice);
    soma_model_destroy(net);
    soma_model_destroy(again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(resampling, reset),
        cmocka_unit_test_setup(directions, reset),
        cmocka_unit_test_setup(colours, reset),
        cmocka_unit_test_setup(contrasts_are_drawn_for_each_image, reset),
        cmocka_unit_test_setup(flips, reset),
        cmocka_unit_test_setup(crops, reset),
        cmocka_unit_test_setup(all_of_them, reset),
        cmocka_unit_test_setup(trains, reset),
        cmocka_unit_test_setup(mistakes, reset),
        cmocka_unit_test_setup(in_json, reset),
        cmocka_unit_test_setup(columns_can_stay, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
