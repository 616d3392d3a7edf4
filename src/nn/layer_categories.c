/* CategoryEncoding and IntegerLookup: numbers of categories as vectors, and numbers for any integers.
 * Rests on one-hot for the one, on a binary search of maps and gathers for the other. An index beyond the categories,
 * which Keras refuses, is no category: a vector of zeros. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "nn/encode.h"

/* ---- shared ---- */

soma_status encode_read_mode(const soma_layer *layer, const char *word, encode_mode standard, encode_mode from,
                             encode_mode *out) {
    static const char *const words[ENCODE_MODES] = {"int", "one_hot", "multi_hot", "count"};
    int i = (int)from;
    while (word && i < ENCODE_MODES && strcmp(words[i], word) != 0)
        i++;
    RETURN_IF(layer->context, i == ENCODE_MODES, SOMA_INVALID,
              "[%s] output_mode is '%s': it must be %sone_hot, multi_hot or count", layer->kind->name, word,
              from == ENCODE_INT ? "int, " : "");
    *out = word ? (encode_mode)i : standard;
    return SOMA_OK;
}

soma_tensor *encode(const soma_layer *layer, soma_tensor *indices, int64_t depth, encode_mode mode,
                    soma_tensor *weights) {
    if (!indices || mode == ENCODE_INT) return indices;
    if (mode == ENCODE_ONE_HOT && indices->rank > 1 && soma_dim(indices, -1) == 1) indices = soma_squeeze(indices, -1);
    soma_tensor *each = soma_one_hot(indices, depth, layer->options->dtype);
    if (mode == ENCODE_ONE_HOT || !each) return each;
    if (weights) each = soma_mul(each, soma_expand_dims(layer_cast(layer, weights), -1));
    return mode == ENCODE_COUNT ? soma_sum(each, SOMA_AXES(-2), false) : soma_max(each, SOMA_AXES(-2), false);
}

static soma_tensor *indices_of(soma_tensor *x) {
    return dtype_is_integer(x->dtype) ? x : soma_cast(soma_stop_gradient(x), SOMA_I64);
}

/* ---- CategoryEncoding ---- */

#define FIELD(member) offsetof(soma_category_encoding_options, member)
static const soma_field encoding_fields[] = {
    {.name = "num_tokens", .kind = SOMA_FIELD_INT, .offset = FIELD(num_tokens), .low = 1, .high = INT32_MAX},
    {.name = "output_mode", .kind = SOMA_FIELD_STRING, .offset = FIELD(output_mode)},
    {.name = NULL}};

static soma_tensor *encode_categories(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace;
    const soma_category_encoding_options *o = soma_layer_options(layer);
    encode_mode mode;
    if (encode_read_mode(layer, o->output_mode, ENCODE_MULTI_HOT, ENCODE_ONE_HOT, &mode) != SOMA_OK) return NULL;
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    RETURN_NULL_IF(layer->context, n > 1 && mode != ENCODE_COUNT, SOMA_INVALID,
                   "[CategoryEncoding] weights are for output_mode count");
    RETURN_NULL_IF(layer->context,
                   n > 1 && !shape_equal(inputs[0]->rank, inputs[0]->shape, inputs[1]->rank, inputs[1]->shape),
                   SOMA_SHAPE, "[CategoryEncoding] indices are %s, their weights %s: expected the same shape",
                   tensor_shape_text(a, inputs[0]), tensor_shape_text(b, inputs[1]));
    return encode(layer, indices_of(inputs[0]), o->num_tokens, mode, n > 1 ? inputs[1] : NULL);
}

const soma_layer_class layer_category_encoding = {.name = "CategoryEncoding",
                                                  .size = sizeof(soma_category_encoding_options),
                                                  .fields = encoding_fields,
                                                  .min_inputs = 1,
                                                  .max_inputs = 2,
                                                  .call = encode_categories};

soma_layer *soma_category_encoding_create(const soma_category_encoding_options *options) {
    return soma_layer_create(&layer_category_encoding, options);
}

/* ---- IntegerLookup ---- */

#undef FIELD
#define FIELD(member) offsetof(soma_integer_lookup_options, member)
static const soma_field lookup_fields[] = {
    {.name = "vocabulary", .kind = SOMA_FIELD_NUMBERS, .offset = FIELD(vocabulary)},
    {.name = "num_oov_indices",
     .kind = SOMA_FIELD_INT,
     .offset = FIELD(num_oov_indices),
     .standard = 1,
     .low = 1,
     .high = INT32_MAX},
    {.name = "mask_token", .kind = SOMA_FIELD_NUMBERS, .offset = FIELD(mask_token)},
    {.name = "output_mode", .kind = SOMA_FIELD_STRING, .offset = FIELD(output_mode)},
    {.name = NULL}};

typedef struct token {
    int64_t value, index;
} token;

static int by_value(const void *a, const void *b) {
    const int64_t x = ((const token *)a)->value, y = ((const token *)b)->value;
    return x < y ? -1 : x > y;
}

static bool as_integer(double number, int64_t *out) {
    *out = number >= -0x1p53 && number <= 0x1p53 ? (int64_t)number : 0;
    return (double)*out == number;
}

/* The vocabulary in order of its values, and at which index each is, in the graph's memory. */
static token *sorted_tokens(const soma_layer *layer, soma_graph *graph, int64_t first) {
    const soma_numbers *v = &((const soma_integer_lookup_options *)soma_layer_options(layer))->vocabulary;
    RETURN_NULL_IF(layer->context, v->n < 1, SOMA_INVALID, "[IntegerLookup] it needs a vocabulary");
    token *tokens = arena_alloc(&graph->arena, (size_t)v->n * sizeof *tokens);
    for (int64_t i = 0; tokens && i < v->n; i++) {
        tokens[i].index = first + i;
        RETURN_NULL_IF(layer->context, !as_integer(v->values[i], &tokens[i].value), SOMA_INVALID,
                       "[IntegerLookup] vocabulary: %g is no whole number", v->values[i]);
    }
    if (tokens) qsort(tokens, (size_t)v->n, sizeof *tokens, by_value);
    for (int64_t i = 1; tokens && i < v->n; i++)
        RETURN_NULL_IF(layer->context, tokens[i].value == tokens[i - 1].value, SOMA_INVALID,
                       "[IntegerLookup] vocabulary: %lld is there twice", (long long)tokens[i].value);
    return tokens;
}

static soma_tensor *column(soma_graph *graph, const token *tokens, int64_t n, size_t member) {
    int64_t *numbers = arena_alloc(&graph->arena, (size_t)n * sizeof *numbers);
    for (int64_t i = 0; numbers && i < n; i++)
        memcpy(&numbers[i], (const char *)&tokens[i] + member, sizeof *numbers);
    return numbers ? soma_array(graph, SOMA_I64, SOMA_DIMS(n), numbers) : NULL;
}

/* The place of the last value that is not above x; 0 where there is none. */
static soma_tensor *search(soma_tensor *values, int64_t n, soma_tensor *x) {
    soma_tensor *place = soma_zeros(x->graph, SOMA_I64, x->rank, x->shape);
    soma_tensor *last = soma_scalar(x->graph, SOMA_I64, (double)(n - 1));
    int64_t step = 1;
    while (step < n)
        step *= 2;
    for (; step > 0 && place; step /= 2) {
        soma_tensor *next = soma_minimum(soma_add_scalar(place, (double)step), last);
        place = soma_where(soma_less_equal(soma_gather(values, next, 0), x), next, place);
    }
    return place;
}

static soma_tensor *look_up(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_integer_lookup_options *o = soma_layer_options(layer);
    soma_graph *graph = soma_trace_graph(trace);
    const bool masks = o->mask_token.n > 0;
    const int64_t size = o->vocabulary.n;
    int64_t mask = 0;
    encode_mode mode;
    if (encode_read_mode(layer, o->output_mode, ENCODE_INT, ENCODE_INT, &mode) != SOMA_OK) return NULL;
    const int64_t before = masks && mode == ENCODE_INT, first = before + o->num_oov_indices; /* vectors leave it out */
    RETURN_NULL_IF(layer->context, masks && !as_integer(o->mask_token.values[0], &mask), SOMA_INVALID,
                   "[IntegerLookup] mask_token: %g is no whole number", o->mask_token.values[0]);
    const token *tokens = sorted_tokens(layer, graph, first);
    soma_tensor *x = soma_cast(indices_of(inputs[0]), SOMA_I64);
    if (!tokens || !x) return NULL;
    soma_tensor *values = column(graph, tokens, size, offsetof(token, value));
    soma_tensor *place = values ? search(values, size, x) : NULL;
    soma_tensor *found = soma_gather(column(graph, tokens, size, offsetof(token, index)), place, 0);
    soma_tensor *unknown = soma_mod(x, soma_scalar(graph, SOMA_I64, (double)o->num_oov_indices));
    if (before) unknown = soma_add_scalar(unknown, 1);
    soma_tensor *y = soma_where(soma_equal(soma_gather(values, place, 0), x), found, unknown);
    if (masks)
        y = soma_where(soma_equal(x, soma_scalar(graph, SOMA_I64, (double)mask)),
                       soma_scalar(graph, SOMA_I64, before ? 0 : -1), y);
    return encode(layer, y, first + size, mode, NULL);
}

const soma_layer_class layer_integer_lookup = {.name = "IntegerLookup",
                                               .size = sizeof(soma_integer_lookup_options),
                                               .fields = lookup_fields,
                                               .min_inputs = 1,
                                               .max_inputs = 1,
                                               .call = look_up};

soma_layer *soma_integer_lookup_create(const soma_integer_lookup_options *options) {
    return soma_layer_create(&layer_integer_lookup, options);
}
