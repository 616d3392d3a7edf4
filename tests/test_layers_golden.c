/* Layers against PyTorch: every case of golden/layers.txt and convolution.txt made from JSON, given its weights, run
 * and differentiated in float64, shown in the summary, saved, loaded and run again, bit for bit.
 * Rests on cmocka and the scratch folder; the scripts beside these files write them. Needs: jansson */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <soma/soma.h>

#include "nn/layer.h"
#include "support/scratch.h"

enum { MOST = 32, NAME = 200 };

typedef struct array {
    soma_dtype dtype;
    int rank;
    int64_t shape[SOMA_MAX_RANK], size;
    void *data;
} array;

typedef struct list {
    int n;
    array items[MOST];
} list;

typedef struct golden {
    char name[NAME];
    char *layer;
    bool training;
    list input, weight, output, dinput, dweight;
} golden;

/* ---- reading ---- */

/* "f 2 3 4 1.5 ...": kind, rank, extents, elements. */
static array read_array(char *line) {
    array a = {.dtype = *line == 'i' ? SOMA_I64 : SOMA_F64, .size = 1};
    char *at = line + 1;
    a.rank = (int)strtol(at, &at, 10);
    for (int i = 0; i < a.rank; i++) {
        a.shape[i] = strtoll(at, &at, 10);
        a.size *= a.shape[i];
    }
    a.data = malloc((size_t)a.size * 8);
    assert_non_null(a.data);
    for (int64_t i = 0; i < a.size; i++) {
        char *end;
        if (a.dtype == SOMA_I64) {
            ((int64_t *)a.data)[i] = strtoll(at, &end, 10);
        } else {
            ((double *)a.data)[i] = strtod(at, &end);
        }
        assert_true(end > at);
        at = end;
    }
    return a;
}

static void clear(list *l) {
    for (int i = 0; i < l->n; i++)
        free(l->items[i].data);
    l->n = 0;
}

static void forget(golden *g) {
    list *const lists[] = {&g->input, &g->weight, &g->output, &g->dinput, &g->dweight};
    for (int i = 0; i < 5; i++)
        clear(lists[i]);
    free(g->layer);
    g->layer = NULL;
}

/* The next case of the file; NULL at its end. */
static char *next_case(char *at, golden *g) {
    const struct {
        const char *word;
        list *list;
    } words[] = {{"input ", &g->input},
                 {"weight ", &g->weight},
                 {"output ", &g->output},
                 {"dinput ", &g->dinput},
                 {"dweight ", &g->dweight}};
    *g = (golden){.layer = NULL};
    while (*at) {
        char *end = strchr(at, '\n');
        assert_non_null(end);
        *end = 0;
        if (strncmp(at, "case ", 5) == 0) snprintf(g->name, sizeof g->name, "%s", at + 5);
        if (strncmp(at, "layer ", 6) == 0) g->layer = strdup(at + 6);
        if (strncmp(at, "training ", 9) == 0) g->training = at[9] == '1';
        for (int i = 0; i < 5; i++) {
            size_t n = strlen(words[i].word);
            if (strncmp(at, words[i].word, n) != 0) continue;
            assert_true(words[i].list->n < MOST);
            words[i].list->items[words[i].list->n++] = read_array(at + n);
        }
        bool done = strcmp(at, "end") == 0;
        at = end + 1;
        if (done) return at;
    }
    return NULL;
}

/* ---- a model of the one layer ---- */

static soma_model *model_of(const golden *g) {
    static char json[20000];
    char *at = json, *const end = json + sizeof json;
    at += snprintf(at, (size_t)(end - at), "{\"layers\": [");
    for (int i = 0; i < g->input.n; i++) {
        at += snprintf(at, (size_t)(end - at), "{\"input\": [");
        for (int j = 1; j < g->input.items[i].rank; j++)
            at += snprintf(at, (size_t)(end - at), "%s%lld", j > 1 ? "," : "", (long long)g->input.items[i].shape[j]);
        at += snprintf(at, (size_t)(end - at), "]}, ");
    }
    at += snprintf(at, (size_t)(end - at), "%s], \"inputs\": %d, \"calls\": [{\"layer\": %d, \"inputs\": [", g->layer,
                   g->input.n, g->input.n);
    for (int i = 0; i < g->input.n; i++)
        at += snprintf(at, (size_t)(end - at), "%s%d", i ? "," : "", i);
    at += snprintf(at, (size_t)(end - at), "]}], \"outputs\": [%d", g->input.n);
    for (int i = 1; i < g->output.n; i++)
        at += snprintf(at, (size_t)(end - at), ",%d", g->input.n + i);
    at += snprintf(at, (size_t)(end - at), "]}");
    assert_true(at < end);
    soma_model *net = soma_model_from_json(NULL, json);
    if (!net) fail_msg("%s: %s\n%s", g->name, soma_last_error(NULL), json);
    return net;
}

static soma_layer *layer_of(const golden *g, const soma_model *net) {
    return soma_model_get_layer(net, g->input.n);
}

static soma_tensor *tensor_of(const array *a) {
    return soma_array(NULL, a->dtype, a->rank, a->shape, a->data);
}

static void run(const golden *g, soma_model *net, soma_tensor **inputs, soma_tensor **y) {
    for (int i = 0; i < g->input.n; i++)
        inputs[i] = tensor_of(&g->input.items[i]);
    if (soma_model_apply(net, inputs, g->input.n, g->training, y) != SOMA_OK)
        fail_msg("%s: %s", g->name, soma_last_error(NULL));
}

static void compare(const golden *g, const char *what, int number, soma_tensor *x, const array *expected) {
    if (!x || !soma_data(x)) fail_msg("%s, %s %d: %s", g->name, what, number, soma_last_error(NULL));
    if (!shape_equal(x->rank, x->shape, expected->rank, expected->shape)) {
        char a[SHAPE_TEXT], b[SHAPE_TEXT];
        fail_msg("%s, %s %d: %s, expected %s", g->name, what, number, tensor_shape_text(a, x),
                 shape_text(b, expected->rank, expected->shape));
    }
    for (int64_t i = 0; i < expected->size; i++) {
        double value = soma_item(x, i), right = ((const double *)expected->data)[i];
        if (!(fabs(value - right) <= 1e-9 * (1 + fabs(right))))
            fail_msg("%s, %s %d, element %lld: %.17g, expected %.17g", g->name, what, number, (long long)i, value,
                     right);
    }
}

static void set_weights(const golden *g, soma_model *net) {
    const soma_layer *layer = layer_of(g, net);
    if (soma_layer_weights(layer) != g->weight.n)
        fail_msg("%s: %d weights, expected %d", g->name, soma_layer_weights(layer), g->weight.n);
    for (int i = 0; i < g->weight.n; i++) {
        soma_variable *v = soma_layer_get_weight(layer, i);
        const array *w = &g->weight.items[i];
        if (!shape_equal(v->rank, v->shape, w->rank, w->shape)) {
            char a[SHAPE_TEXT], b[SHAPE_TEXT];
            fail_msg("%s: %s is %s, expected %s", g->name, soma_variable_name(v), shape_text(a, v->rank, v->shape),
                     shape_text(b, w->rank, w->shape));
        }
        assert_int_equal(soma_variable_set(v, w->data, (size_t)w->size * 8), SOMA_OK);
    }
}

/* sum(cos(0, 1, ...) y) */
static soma_tensor *weighted(soma_tensor *y) {
    soma_tensor *c = soma_reshape(soma_cos(soma_arange(NULL, SOMA_F64, 0, (double)soma_size(y), 1)), y->rank, y->shape);
    return soma_sum(soma_mul(y, c), SOMA_ALL_AXES, false);
}

static void check_gradients(const golden *g, soma_model *net, soma_tensor **inputs, soma_tensor **y) {
    soma_tensor *wrt[2 * MOST], *dx[2 * MOST];
    int n = 0, inputs_wrt;
    for (int i = 0; i < g->input.n; i++)
        if (g->input.items[i].dtype == SOMA_F64) wrt[n++] = inputs[i];
    inputs_wrt = n;
    for (int i = 0; i < g->weight.n; i++)
        wrt[n++] = soma_weight(NULL, soma_layer_get_weight(layer_of(g, net), i));
    if (n == 0) return;
    soma_tensor *sum = weighted(y[0]);
    for (int i = 1; i < g->output.n; i++)
        sum = soma_add(sum, weighted(y[i]));
    if (soma_grad(sum, wrt, n, dx) != SOMA_OK) fail_msg("%s: %s", g->name, soma_last_error(NULL));
    assert_int_equal(inputs_wrt, g->dinput.n);
    for (int i = 0; i < inputs_wrt; i++)
        compare(g, "gradient of input", i, dx[i], &g->dinput.items[i]);
    for (int i = 0; i < g->dweight.n; i++)
        compare(g, "gradient of weight", i, dx[inputs_wrt + i], &g->dweight.items[i]);
}

/* Saved, loaded, and the same again to the last bit; and seen in the summary. */
static void check_file(const golden *g, soma_model *net, soma_tensor **y) {
    const char *path = scratch_path("layer.soma");
    if (soma_save(net, path) != SOMA_OK) fail_msg("%s: %s", g->name, soma_last_error(NULL));
    soma_model *again = soma_load(NULL, path);
    if (!again) fail_msg("%s: %s", g->name, soma_last_error(NULL));
    soma_tensor *inputs[MOST], *same[MOST];
    run(g, again, inputs, same);
    for (int i = 0; i < g->output.n; i++) {
        const void *a = soma_data(y[i]), *b = soma_data(same[i]);
        if (!a || !b || memcmp(a, b, (size_t)soma_size(y[i]) * soma_dtype_size(y[i]->dtype)) != 0)
            fail_msg("%s: another result after loading", g->name);
    }
    char *first = soma_model_to_json(net), *second = soma_model_to_json(again);
    assert_string_equal(first, second);
    soma_string_free(first);
    soma_string_free(second);
    char *summary = soma_summary(again, &(soma_summary_options){.width = 160});
    char in_brackets[NAME];
    snprintf(in_brackets, sizeof in_brackets, "(%s)", soma_layer_class_name(layer_of(g, net)));
    if (!summary || !strstr(summary, in_brackets)) fail_msg("%s: not in the summary", g->name);
    soma_string_free(summary);
    soma_model_destroy(again);
}

static void check(const golden *g) {
    soma_graph_reset(NULL);
    soma_model *net = model_of(g);
    set_weights(g, net);
    soma_tensor *inputs[MOST], *y[MOST];
    run(g, net, inputs, y);
    check_gradients(g, net, inputs, y);
    for (int i = 0; i < g->output.n; i++)
        compare(g, "result", i, y[i], &g->output.items[i]);
    check_file(g, net, y);
    soma_model_destroy(net);
    soma_graph_reset(NULL);
}

/* Every case of a golden file, and that there are so many. */
static void check_file_of(const char *path, int least) {
    const char *only = getenv("CASE"); /* one of them, for looking closer */
    size_t size;
    char *file = scratch_read(path, &size), *at = file;
    assert_non_null(file);
    golden g;
    int count = 0;
    while ((at = next_case(at, &g))) {
        if (!only || strcmp(only, g.name) == 0) check(&g);
        forget(&g);
        count++;
    }
    forget(&g);
    free(file);
    assert_true(count >= least);
}

static void layers_are_pytorchs(void **state) {
    (void)state;
    check_file_of("tests/golden/layers.txt", 89);
}

static void windows_are_pytorchs(void **state) {
    (void)state;
    check_file_of("tests/golden/convolution.txt", 49);
}

static void sequences_are_pytorchs(void **state) {
    (void)state;
    check_file_of("tests/golden/sequences.txt", 30);
}

static void preparing_is_pytorchs(void **state) {
    (void)state;
    check_file_of("tests/golden/preprocessing.txt", 7);
    check_file_of("tests/golden/axes.txt", 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_are_pytorchs),
        cmocka_unit_test(windows_are_pytorchs),
        cmocka_unit_test(sequences_are_pytorchs),
        cmocka_unit_test(preparing_is_pytorchs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
