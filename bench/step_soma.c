/* A training step of any network by Soma: step_soma MODEL COMPILE BATCH X Y, the first two in the library's own JSON.
 * X and Y say what the samples and the labels are: "f32" (between -1 and 1), "u8", or "i64:N" for integers below N;
 * "i64:N:STEPS" for labels of sequences. Rests on soma.h.
 * "about" is answered by "seconds-to-the-first-step plan-bytes steps flops", "plan N" by "seconds steps" of making the
 * plan of a step of N samples (fewer than BATCH, and not asked for before), a line "seconds" by "seconds-a-step
 * first-loss loss"; the loss must have fallen since the first step. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <soma/soma.h>

#include "worker.h"

typedef struct training {
    soma_model *net;
    soma_tensor *x, *y;
    soma_dataset *data;
    int64_t batch;
    double first_step, first_loss, loss;
} training;

/* Numbers of the same sequence everywhere; shape[0] is the batch. */
static soma_tensor *make_array(const char *kind, int rank, const int64_t *shape) {
    const long limit = strncmp(kind, "i64:", 4) == 0 ? strtol(kind + 4, NULL, 10) : 0;
    const soma_dtype dtype = limit ? SOMA_I64 : strcmp(kind, "u8") == 0 ? SOMA_U8 : SOMA_F32;
    size_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= (size_t)shape[i];
    void *data = malloc(n * soma_dtype_size(dtype) + 1);
    if (!data) return NULL;
    uint32_t seed = 12345;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        const uint32_t r = seed >> 8;
        if (dtype == SOMA_I64) ((int64_t *)data)[i] = (int64_t)(r % (uint32_t)limit);
        if (dtype == SOMA_U8) ((uint8_t *)data)[i] = (uint8_t)(r & 255);
        if (dtype == SOMA_F32) ((float *)data)[i] = (float)r / 8388608.0f - 1.0f;
    }
    soma_tensor *t = soma_array(NULL, dtype, rank, shape, data);
    free(data);
    return t;
}

static soma_tensor *make_labels(const training *t, const char *kind) {
    int64_t shape[SOMA_MAX_RANK + 1] = {t->batch};
    const char *steps = strncmp(kind, "i64:", 4) == 0 ? strchr(kind + 4, ':') : NULL;
    if (steps) shape[1] = strtol(steps + 1, NULL, 10);
    if (strncmp(kind, "i64:", 4) == 0) return make_array(kind, steps ? 2 : 1, shape);
    return make_array(kind, 1 + soma_model_output_shape(t->net, shape + 1), shape);
}

static int step(void *user) {
    training *t = user;
    const soma_scores s = soma_train_on_batch(t->net, t->x, t->y);
    t->loss = s.loss;
    return s.status != SOMA_OK;
}

static bool make(training *t, char **arguments) {
    const double start = worker_seconds();
    t->net = soma_model_from_json(NULL, arguments[0]);
    if (!t->net || soma_model_compile_json(t->net, arguments[1]) != SOMA_OK) return false;
    t->batch = strtol(arguments[2], NULL, 10);
    int64_t shape[SOMA_MAX_RANK + 1] = {t->batch};
    const int rank = 1 + soma_model_input_shape(t->net, shape + 1);
    t->x = make_array(arguments[3], rank, shape);
    t->y = make_labels(t, arguments[4]);
    if (step(t)) return false;
    t->first_step = worker_seconds() - start;
    t->first_loss = t->loss;
    const soma_array_data x = {soma_tensor_dtype(t->x), soma_ndim(t->x), soma_shape(t->x), soma_data(t->x)};
    const soma_array_data y = {soma_tensor_dtype(t->y), soma_ndim(t->y), soma_shape(t->y), soma_data(t->y)};
    t->data = soma_dataset_from_arrays(NULL, x, y, true);
    return t->data != NULL;
}

static void print_about(training *t) {
    const soma_plan *plan = soma_training_plan(t->net, t->data, t->batch);
    double flops = 0;
    for (int i = 0; i < soma_plan_steps(plan); i++)
        flops += soma_plan_get_step(plan, i).flops;
    printf("%.6f %zu %d %.0f\n", t->first_step, soma_plan_bytes(plan), soma_plan_steps(plan), flops);
}

static int answer(void *user, char *line) {
    training *t = user;
    if (strcmp(line, "about") == 0) {
        print_about(t);
        return 0;
    }
    if (strncmp(line, "plan ", 5) == 0) {
        const double start = worker_seconds();
        const soma_plan *plan = soma_training_plan(t->net, t->data, strtol(line + 5, NULL, 10));
        printf(plan ? "%.6f %d\n" : "error no plan\n", worker_seconds() - start, soma_plan_steps(plan));
        return 0;
    }
    const double seconds = worker_time(step, t, atof(line));
    if (seconds > 0 && t->loss < t->first_loss) {
        printf("%.9g %g %g\n", seconds, t->first_loss, t->loss);
    } else {
        printf("error the loss went from %g to %g %s\n", t->first_loss, t->loss, soma_last_error(NULL));
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 6) {
        fprintf(stderr, "usage: step_soma MODEL COMPILE BATCH X Y\n");
        return 2;
    }
    training t = {0};
    int status = 1;
    if (make(&t, argv + 1)) {
        status = worker_serve(answer, &t);
    } else {
        printf("error %s\n", soma_last_error(NULL));
    }
    soma_model_destroy(t.net);
    soma_dataset_destroy(t.data);
    return status;
}
