/* EinsumDense: a sum of products said by letters, "abc,cd->abd": x, kernel and result, then a bias and an activation.
 * Rests on matmul: axes are brought into the order (of both, of one only, summed up) by views, and back. The kernel's
 * extents are those of x where they share a letter, else of output_shape. */
#include <stddef.h>
#include <string.h>

#include <soma/layers.h>

#include "nn/layer.h"

#define FIELD(member) offsetof(soma_einsum_dense_options, member)

static const soma_field fields[] = {
    {.name = "equation", .kind = SOMA_FIELD_STRING, .offset = FIELD(equation)},
    {.name = "output_shape", .kind = SOMA_FIELD_SHAPE, .offset = FIELD(output_shape)},
    {.name = "bias_axes", .kind = SOMA_FIELD_STRING, .offset = FIELD(bias_axes)},
    {.name = "activation", .kind = SOMA_FIELD_ACTIVATION, .offset = FIELD(activation)},
    {.name = "kernel_initializer", .kind = SOMA_FIELD_INITIALIZER, .offset = FIELD(kernel_initializer)},
    {.name = "bias_initializer", .kind = SOMA_FIELD_INITIALIZER, .offset = FIELD(bias_initializer)},
    {.name = "kernel_regularizer", .kind = SOMA_FIELD_REGULARIZER, .offset = FIELD(kernel_regularizer)},
    {.name = "bias_regularizer", .kind = SOMA_FIELD_REGULARIZER, .offset = FIELD(bias_regularizer)},
    {.name = "kernel_constraint", .kind = SOMA_FIELD_CONSTRAINT, .offset = FIELD(kernel_constraint)},
    {.name = "bias_constraint", .kind = SOMA_FIELD_CONSTRAINT, .offset = FIELD(bias_constraint)},
    {.name = NULL}};

/* Axes by their letters. */
typedef struct axes {
    int n;
    char letter[SOMA_MAX_RANK + 1];
} axes;

typedef struct equation {
    axes x, w, y;
    int64_t extent[128]; /* by letter; 0: not known */
} equation;

static int place_of(const axes *a, char letter) {
    const char *at = memchr(a->letter, letter, (size_t)a->n);
    return at ? (int)(at - a->letter) : -1;
}

static soma_status wrong(const soma_layer *layer, const char *why) {
    const soma_einsum_dense_options *o = soma_layer_options(layer);
    return error_set(layer->context, SOMA_INVALID, "[EinsumDense] equation '%s': %s", o->equation ? o->equation : "",
                     why);
}

/* Letters up to end, each once; "..." stands for so many axes, named '0', '1', ... */
static soma_status read_axes(const soma_layer *layer, const char *from, const char *end, int dots, axes *out) {
    for (*out = (axes){.n = 0}; from < end; from++) {
        int count = 1;
        char letter = *from;
        if (*from == '.') {
            if (end - from < 3 || memcmp(from, "...", 3) != 0) return wrong(layer, "... stands for further axes");
            from += 2;
            count = dots;
            letter = '0';
        } else if (!((letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z'))) {
            return wrong(layer, "letters, a comma and -> are expected, as in ab,bc->ac");
        }
        for (int i = 0; i < count; i++) {
            const char name = (char)(letter + i);
            if (out->n == SOMA_MAX_RANK) return wrong(layer, "there are at most 8 axes");
            if (place_of(out, name) >= 0) return wrong(layer, "a letter stands for one axis, and stands there once");
            out->letter[out->n++] = name;
        }
    }
    return SOMA_OK;
}

static bool has_dots(const char *from, const char *end) {
    return memchr(from, '.', (size_t)(end - from)) != NULL;
}

/* The equation, and the extents of all letters, for such an x. */
static soma_status read_equation(const soma_layer *layer, const soma_tensor *x, equation *e) {
    const soma_einsum_dense_options *o = soma_layer_options(layer);
    const char *words = o->equation ? o->equation : "", *comma = strchr(words, ','), *arrow = strstr(words, "->");
    if (!comma || !arrow || arrow < comma) return wrong(layer, "it must be like ab,bc->ac");
    int named = 0;
    for (const char *c = words; c < comma; c++)
        named += *c != '.';
    const int dots = has_dots(words, comma) ? x->rank - named : 0;
    if (dots < 0 || (!has_dots(words, comma) && named != x->rank)) return wrong(layer, "the input has other axes");
    memset(e->extent, 0, sizeof e->extent);
    TRY(read_axes(layer, words, comma, dots, &e->x));
    TRY(read_axes(layer, comma + 1, arrow, 0, &e->w));
    TRY(read_axes(layer, arrow + 2, arrow + strlen(arrow), dots, &e->y));
    for (int i = 0; i < x->rank; i++)
        e->extent[(int)e->x.letter[i]] = x->shape[i];
    if (e->y.n < 1 || e->y.letter[0] != e->x.letter[0])
        return wrong(layer, "the first axis of x and result is the batch");
    if (place_of(&e->w, e->x.letter[0]) >= 0) return wrong(layer, "the kernel has no batch");
    for (int i = 1; i < e->y.n; i++) {
        const int letter = e->y.letter[i];
        if (e->extent[letter] == 0 && i - 1 < SOMA_MAX_RANK && o->output_shape[i - 1] > 0 &&
            place_of(&e->w, (char)letter) >= 0)
            e->extent[letter] = o->output_shape[i - 1];
        if (e->extent[letter] == 0) return wrong(layer, "output_shape lacks the extent of an axis of the result");
    }
    for (int i = 0; i < e->w.n; i++)
        if (e->extent[(int)e->w.letter[i]] == 0)
            return wrong(layer, "an axis of the kernel is neither in x nor in the result");
    for (int i = 1; i < e->x.n; i++)
        if (place_of(&e->w, e->x.letter[i]) < 0 && place_of(&e->y, e->x.letter[i]) < 0)
            return wrong(layer, "an axis of x is neither in the kernel nor in the result");
    return SOMA_OK;
}

static soma_status build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_einsum_dense_options *o = soma_layer_options(layer);
    equation e;
    TRY(read_equation(layer, inputs[0], &e));
    soma_weight_options kernel = {.name = "kernel",
                                  .rank = e.w.n,
                                  .initializer = o->kernel_initializer,
                                  .regularizer = o->kernel_regularizer,
                                  .constraint = o->kernel_constraint};
    for (int i = 0; i < e.w.n; i++)
        kernel.shape[i] = e.extent[(int)e.w.letter[i]];
    if (!kernel.initializer.build) kernel.initializer = soma_glorot_uniform();
    TRY(soma_layer_add_weight(layer, &kernel));
    if (!o->bias_axes) return SOMA_OK;
    /* as many axes as the result has from the first of the bias' on, 1 where it has none */
    soma_weight_options bias = {.name = "bias",
                                .initializer = o->bias_initializer,
                                .regularizer = o->bias_regularizer,
                                .constraint = o->bias_constraint};
    for (const char *c = o->bias_axes; *c; c++)
        if (place_of(&e.y, *c) < 1) return wrong(layer, "bias_axes are letters of the result, not the batch");
    for (int i = 1; i < e.y.n; i++) {
        const bool mine = strchr(o->bias_axes, e.y.letter[i]) != NULL;
        if (mine || bias.rank > 0) bias.shape[bias.rank++] = mine ? e.extent[(int)e.y.letter[i]] : 1;
    }
    return soma_layer_add_weight(layer, &bias);
}

/* Adds the letters of a that are, or are not, in b and in c. */
static void pick(axes *out, const axes *a, const axes *b, bool in_b, const axes *c, bool in_c) {
    for (int i = 0; i < a->n; i++)
        if ((place_of(b, a->letter[i]) >= 0) == in_b && (place_of(c, a->letter[i]) >= 0) == in_c)
            out->letter[out->n++] = a->letter[i];
}

static int64_t product(const equation *e, const axes *a) {
    int64_t size = 1;
    for (int i = 0; i < a->n; i++)
        size *= e->extent[(int)a->letter[i]];
    return size;
}

/* t, whose axes are named so, in the order of three groups, each of which becomes one axis. */
static soma_tensor *grouped(const equation *e, soma_tensor *t, const axes *named, const axes *const groups[3]) {
    int order[SOMA_MAX_RANK] = {0}, n = 0;
    for (int g = 0; g < 3; g++)
        for (int i = 0; i < groups[g]->n; i++)
            order[n++] = place_of(named, groups[g]->letter[i]);
    return soma_reshape(soma_transpose(t, order),
                        SOMA_DIMS(product(e, groups[0]), product(e, groups[1]), product(e, groups[2])));
}

static soma_tensor *multiply(const equation *e, soma_tensor *x, soma_tensor *w) {
    axes both = {.n = 0}, rows = {.n = 0}, columns = {.n = 0}, summed = {.n = 0};
    pick(&both, &e->x, &e->w, true, &e->y, true);
    pick(&rows, &e->x, &e->w, false, &e->y, true);
    pick(&summed, &e->x, &e->w, true, &e->y, false);
    pick(&columns, &e->w, &e->x, false, &e->y, true);
    soma_tensor *a = grouped(e, x, &e->x, (const axes *const[]){&both, &rows, &summed});
    soma_tensor *b = grouped(e, w, &e->w, (const axes *const[]){&both, &summed, &columns});
    int64_t shape[SOMA_MAX_RANK];
    axes made = both;
    for (int i = 0; i < rows.n; i++)
        made.letter[made.n++] = rows.letter[i];
    for (int i = 0; i < columns.n; i++)
        made.letter[made.n++] = columns.letter[i];
    int order[SOMA_MAX_RANK] = {0};
    for (int i = 0; i < made.n; i++) {
        shape[i] = e->extent[(int)made.letter[i]];
        order[i] = place_of(&made, e->y.letter[i]);
    }
    return soma_transpose(soma_reshape(soma_matmul(a, b), made.n, shape), order);
}

static soma_tensor *call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_einsum_dense_options *o = soma_layer_options(layer);
    equation e;
    soma_tensor *x = layer_cast(layer, inputs[0]);
    if (!x || read_equation(layer, x, &e) != SOMA_OK) return NULL;
    soma_tensor *y = multiply(&e, x, soma_trace_weight(trace, layer, 0));
    if (o->bias_axes) y = soma_add(y, soma_trace_weight(trace, layer, 1));
    return o->activation && y ? o->activation(y) : y;
}

const soma_layer_class layer_einsum_dense = {.name = "EinsumDense",
                                             .size = sizeof(soma_einsum_dense_options),
                                             .fields = fields,
                                             .min_inputs = 1,
                                             .max_inputs = 1,
                                             .build = build,
                                             .call = call};

soma_layer *soma_einsum_dense_create(const soma_einsum_dense_options *options) {
    return soma_layer_create(&layer_einsum_dense, options);
}
