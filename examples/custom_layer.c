/* A layer of one's own: a class is its options, the weights it makes, and a function of tensors.
 * A highway layer: y = t h(x) + (1 - t) x with t = sigmoid(x U + c), so that a deep stack begins as almost nothing at
 * all. It is trained, shown, saved and loaded like those that come with the library.
 * Run by the tests. Needs: jansson */
#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include <soma/soma.h>

/* Options begin with those that all layers have. */
typedef struct highway_options {
    SOMA_LAYER_OPTIONS
    soma_activation_fn *activation; /* of h; NULL: linear */
    double carry;                   /* 2: minus what c is at first; the larger, the more of x goes through */
} highway_options;

/* Their names in files, with default and bounds. */
static const soma_field highway_fields[] = {
    {.name = "activation", .kind = SOMA_FIELD_ACTIVATION, .offset = offsetof(highway_options, activation)},
    {.name = "carry",
     .kind = SOMA_FIELD_NUMBER,
     .offset = offsetof(highway_options, carry),
     .standard = 2,
     .low = 0,
     .high = 10},
    {.name = NULL}};

enum { KERNEL, BIAS, GATE_KERNEL, GATE_BIAS };

/* The weights, once the shape of the input is known; the first axis is the batch. */
static soma_status highway_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    const highway_options *o = soma_layer_options(layer);
    int64_t size = soma_dim(inputs[0], -1);
    const soma_weight_options weights[] = {
        {.name = "kernel", .rank = 2, .shape = {size, size}, .initializer = soma_glorot_uniform()},
        {.name = "bias", .rank = 1, .shape = {size}},
        {.name = "gate_kernel", .rank = 2, .shape = {size, size}, .initializer = soma_glorot_uniform()},
        {.name = "gate_bias", .rank = 1, .shape = {size}, .initializer = soma_constant(-o->carry)}};
    soma_status status = SOMA_OK;
    for (int i = 0; i < 4 && status == SOMA_OK; i++)
        status = soma_layer_add_weight(layer, &weights[i]);
    (void)n;
    return status;
}

static soma_tensor *highway_call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    const highway_options *o = soma_layer_options(layer);
    soma_tensor *x = inputs[0];
    soma_tensor *h =
        soma_add(soma_matmul(x, soma_trace_weight(trace, layer, KERNEL)), soma_trace_weight(trace, layer, BIAS));
    soma_tensor *t = soma_sigmoid(soma_add(soma_matmul(x, soma_trace_weight(trace, layer, GATE_KERNEL)),
                                           soma_trace_weight(trace, layer, GATE_BIAS)));
    if (o->activation) h = o->activation(h);
    (void)n;
    return soma_add(x, soma_mul(t, soma_sub(h, x)));
}

static const soma_layer_class highway_class = {.name = "Highway",
                                               .size = sizeof(highway_options),
                                               .fields = highway_fields,
                                               .min_inputs = 1,
                                               .max_inputs = 1,
                                               .build = highway_build,
                                               .call = highway_call};
#define highway(...) soma_layer_create(&highway_class, &(highway_options){.nothing = 0, __VA_ARGS__})

int main(void) {
    enum { SAMPLES = 200 };
    static float x[SAMPLES][2];
    static int32_t y[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        x[i][0] = (float)sin(i * 12.9898);
        x[i][1] = (float)sin(i * 78.233);
        y[i] = x[i][0] * x[i][1] > 0;
    }
    soma_set_random_seed(NULL, 5);
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, 2), x},
                                                  (soma_array_data){SOMA_I32, SOMA_DIMS(SAMPLES), y}, true);
    soma_model *net =
        soma_sequential(soma_dense(8, .input_shape = {2}), highway(.activation = soma_relu),
                        highway(.activation = soma_relu, .carry = 1), soma_dense(2, .activation = soma_softmax));
    soma_compile(net, .optimizer = soma_adam(.learning_rate = 0.02), .loss = soma_sparse_categorical_crossentropy,
                 .metrics = {soma_accuracy});
    soma_fit(net, data, .epochs = 60);
    soma_status status = soma_save(net, "highway.soma", .custom = {{.name = "Highway", .layer = &highway_class}});
    soma_model *again = soma_load(NULL, "highway.soma", .custom = {{.name = "Highway", .layer = &highway_class}});
    soma_scores s = soma_evaluate(net, data), t = soma_evaluate(again, data);
    char *summary = soma_summary(again, &(soma_summary_options){.ascii = true});
    if (status == SOMA_OK && summary && t.status == SOMA_OK) {
        printf("%s\naccuracy: %s\nloaded: %s\n", summary, s.metrics[0] > 0.95 ? "above 0.95" : "too low",
               s.loss == t.loss ? "the same" : "another");
    } else {
        fprintf(stderr, "%s\n", soma_last_error(NULL));
    }
    soma_string_free(summary);
    soma_model_destroy(again);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
    return status == SOMA_OK && t.status == SOMA_OK ? 0 : 1;
}
