/* ResNet-20 for images of 32 x 32 (He et al. 2015, section 4.2), built by calling layers on symbols: each block is two
 * convolutions that a shortcut goes around, and is made by one function.
 * resnet20 [EPOCHS]: with CIFAR-10's binary files in data/cifar-10-batches-bin it learns these, else stripes that it
 * draws. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <soma/soma.h>

enum { SIDE = 32, PIXELS = SIDE * SIDE * 3, CLASSES = 10, STRIPES = 320, CIFAR = 50000 };

/* ---- the network ---- */

static soma_symbol *convolve(soma_symbol *x, int64_t filters, int64_t size, int64_t stride) {
    soma_symbol *y =
        soma_call(soma_conv_2d(filters, .kernel_size = {size}, .strides = {stride}, .padding = "same", .no_bias = true,
                               .kernel_initializer = soma_he_normal(), .kernel_regularizer = soma_l2(1e-4)),
                  x);
    return soma_call(soma_batch_normalization(.momentum = 0.9), y);
}

static soma_symbol *block(soma_symbol *x, int64_t filters, int64_t stride) {
    soma_symbol *y = soma_call(soma_activation(soma_relu), convolve(x, filters, 3, stride));
    y = convolve(y, filters, 3, 1);
    if (stride > 1) x = convolve(x, filters, 1, stride); /* other places, other channels */
    y = soma_call_many(soma_add_layer(), (soma_symbol *[]){x, y}, 2);
    return soma_call(soma_activation(soma_relu), y);
}

static soma_model *resnet20(void) {
    soma_symbol *in = soma_symbol_create(NULL, SOMA_DIMS(SIDE, SIDE, 3), "pixels");
    soma_symbol *x = soma_call(soma_activation(soma_relu), convolve(in, 16, 3, 1));
    for (int stage = 0; stage < 3; stage++)
        for (int i = 0; i < 3; i++)
            x = block(x, 16 << stage, stage > 0 && i == 0 ? 2 : 1);
    x = soma_call(soma_global_average_pooling_2d(), x);
    soma_symbol *out = soma_call(soma_dense(CLASSES, .activation = soma_softmax), x);
    return soma_model_create(&in, 1, &out, 1);
}

/* ---- the data ---- */

/* A file is 10,000 times a label and three planes of 32 x 32 bytes; planes become channels of each place. */
static int64_t read_cifar(uint8_t *x, uint8_t *y) {
    int64_t n = 0;
    for (int part = 1; part <= 5; part++) {
        char path[64];
        uint8_t record[1 + PIXELS];
        snprintf(path, sizeof path, "data/cifar-10-batches-bin/data_batch_%d.bin", part);
        FILE *file = fopen(path, "rb");
        while (file && n < CIFAR && fread(record, sizeof record, 1, file) == 1) {
            y[n] = record[0] % CLASSES;
            for (int i = 0; i < PIXELS; i++)
                x[n * PIXELS + i] = record[1 + i % 3 * SIDE * SIDE + i / 3];
            n++;
        }
        if (file) fclose(file);
    }
    return n;
}

/* Stripes whose direction tells the class, in any place and two colours. */
static int64_t draw_stripes(uint8_t *x, uint8_t *y) {
    for (int n = 0; n < STRIPES; n++) {
        y[n] = (uint8_t)(n % CLASSES);
        double angle = 3.14159 * y[n] / CLASSES, shift = n * 0.7;
        for (int i = 0; i < PIXELS; i++) {
            double along = i / 3 / SIDE * cos(angle) + i / 3 % SIDE * sin(angle);
            x[n * PIXELS + i] = (uint8_t)(128 + 100 * sin(along * 0.8 + shift + i % 3 * (n % 2)));
        }
    }
    return STRIPES;
}

int main(int argc, char **argv) {
    uint8_t *x = malloc((size_t)CIFAR * PIXELS), *y = malloc(CIFAR);
    if (!x || !y) return 1;
    int64_t n = read_cifar(x, y);
    const int drawn = n == 0, epochs = argc > 1 ? atoi(argv[1]) : drawn ? 4 : 20;
    if (drawn) n = draw_stripes(x, y);
    soma_set_random_seed(NULL, 1);
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_U8, SOMA_DIMS(n, SIDE, SIDE, 3), x},
                                                  (soma_array_data){SOMA_U8, SOMA_DIMS(n), y}, true);
    soma_model *net = resnet20();
    printf("weights: %lld\n", (long long)soma_count_params(net));
    const int64_t batch = drawn ? 32 : 128, steps = (n + batch - 1) / batch * epochs;
    soma_compile(net, .optimizer = soma_sgd(.schedule = soma_cosine_decay(0.05, (double)steps), .momentum = 0.9),
                 .loss = soma_sparse_categorical_crossentropy, .metrics = {soma_accuracy});
    soma_fit(net, data, .epochs = epochs, .batch_size = batch, .verbose = 1);
    soma_scores s = soma_evaluate(net, data);
    if (s.status == SOMA_OK) {
        printf("learnt: %s\n", s.metrics[0] > 0.5 ? "yes" : "no");
    } else {
        fprintf(stderr, "%s\n", soma_last_error(NULL));
    }
    soma_model_destroy(net);
    soma_dataset_destroy(data);
    free(x);
    free(y);
    return s.status == SOMA_OK ? 0 : 1;
}
