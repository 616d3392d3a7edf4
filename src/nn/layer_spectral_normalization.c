/* SpectralNormalization: a layer whose kernel is used divided by its largest singular value.
 * Rests on layer.h: while the inner layer is called, the trace's value of its kernel is the divided one.
 * One step of power iteration a training step is enough, since a kernel moves little between two steps. */
#include <stddef.h>
#include <string.h>

#include <soma/convolution.h>

#include "nn/layer.h"

#define FIELD(member) offsetof(soma_spectral_normalization_options, member)

static const soma_field fields[] = {{.name = "layer", .kind = SOMA_FIELD_LAYER, .offset = FIELD(layer)},
                                    {.name = "power_iterations",
                                     .kind = SOMA_FIELD_INT,
                                     .offset = FIELD(power_iterations),
                                     .standard = 1,
                                     .low = 1,
                                     .high = 1000},
                                    {.name = NULL}};

/* Weight i of a layer within others, in the list where it is kept; *name: without the prefixes of those. */
static layer_weight *weight_of(soma_layer *inner, int i, const char **name) {
    size_t prefixes = 0;
    for (; inner->owner; inner = inner->owner) {
        i += inner->first;
        prefixes += inner->prefix ? strlen(inner->prefix) : 0;
    }
    *name = inner->weights[i].spec.name + prefixes;
    return &inner->weights[i];
}

/* The weight that is normalized; -1 when there is none. */
static int kernel_of(soma_layer *inner) {
    for (int i = 0; i < inner->n_inner; i++) {
        const char *name;
        (void)weight_of(inner, i, &name);
        if (strcmp(name, "kernel") == 0 || strcmp(name, "embeddings") == 0) return i;
    }
    return -1;
}

static soma_status build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    const soma_spectral_normalization_options *o = soma_layer_options(layer);
    TRY(soma_layer_build_inner(layer, o->layer, "", inputs, n));
    int kernel = kernel_of(o->layer);
    RETURN_IF(layer->context, kernel < 0, SOMA_INVALID,
              "[SpectralNormalization] %s has no weight named kernel or embeddings", o->layer->kind->name);
    const char *name;
    const soma_weight_options *spec = &weight_of(o->layer, kernel, &name)->spec;
    return soma_layer_add_weight(layer, &(soma_weight_options){.name = "vector_u",
                                                               .rank = 2,
                                                               .shape = {1, spec->shape[spec->rank - 1]},
                                                               .initializer = soma_truncated_normal(0, 0.02),
                                                               .not_trainable = true});
}

/* x / |x|. */
static soma_tensor *unit(soma_tensor *x) {
    if (!x) return NULL;
    soma_tensor *squares = soma_sum(soma_square(x), SOMA_ALL_AXES, true);
    return soma_mul(x, soma_rsqrt(soma_maximum(squares, soma_scalar(x->graph, x->dtype, 1e-12))));
}

/* w / sigma; *u becomes the vector after the iterations. */
static soma_tensor *divided(soma_tensor *w, int64_t iterations, soma_tensor **u) {
    if (!w || !*u) return NULL;
    int64_t columns = w->shape[w->rank - 1];
    soma_tensor *matrix = soma_reshape(w, SOMA_DIMS(-1, columns)), *constant = soma_stop_gradient(matrix), *v = NULL;
    *u = soma_stop_gradient(*u);
    for (int64_t i = 0; i < iterations; i++) {
        v = unit(soma_matmul(*u, soma_transpose(constant, NULL)));
        *u = unit(soma_matmul(v, constant));
    }
    soma_tensor *sigma = soma_matmul(soma_matmul(v, matrix), soma_transpose(*u, NULL));
    return soma_div(w, soma_reshape(sigma, 0, NULL));
}

static soma_tensor *exchange(soma_trace *trace, const soma_variable *variable, soma_tensor *tensor) {
    for (int i = 0; i < trace->n_reads; i++) {
        if (trace->reads[i].variable != variable) continue;
        soma_tensor *before = trace->reads[i].tensor;
        trace->reads[i].tensor = tensor;
        return before;
    }
    return NULL;
}

static soma_tensor *call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    const soma_spectral_normalization_options *o = soma_layer_options(layer);
    int kernel = kernel_of(o->layer);
    if (trace->shapes_only) return soma_trace_call(trace, o->layer, inputs, n);
    soma_tensor *w = soma_trace_weight(trace, o->layer, kernel);
    soma_tensor *u = soma_trace_weight(trace, layer, o->layer->n_inner);
    soma_tensor *normalized = divided(w, o->power_iterations, &u);
    if (!normalized || !u) return NULL;
    if (!layer->options->frozen) soma_trace_update(trace, layer, o->layer->n_inner, u);
    const char *name;
    const soma_variable *variable = weight_of(o->layer, kernel, &name)->variable;
    (void)exchange(trace, variable, normalized);
    soma_tensor *y = soma_trace_call(trace, o->layer, inputs, n);
    (void)exchange(trace, variable, w);
    return y;
}

const soma_layer_class layer_spectral_normalization = {.name = "SpectralNormalization",
                                                       .size = sizeof(soma_spectral_normalization_options),
                                                       .fields = fields,
                                                       .min_inputs = 1,
                                                       .max_inputs = 1,
                                                       .build = build,
                                                       .call = call,
                                                       .passes_mask = true};

soma_layer *soma_spectral_normalization_create(const soma_spectral_normalization_options *options) {
    return soma_layer_create(&layer_spectral_normalization, options);
}
