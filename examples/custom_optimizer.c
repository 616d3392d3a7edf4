/* An optimizer and a callback of one's own.
 * An optimizer's class is its options, what it keeps beside each weight, and the new weight as tensors: it fuses with
 * the gradients, clips, decays, gathers and averages like those of the library, and is saved with its state.
 * A callback is a struct of functions; what it has to remember for a backup, it points at.
 * Run by the tests. Needs: jansson */
#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include <soma/soma.h>

/* ---- w -= rate (g / |g| + momentum): the gradient's direction, whatever its length ---- */

typedef struct compass_options {
    SOMA_OPTIMIZER_OPTIONS /* learning_rate 0.01 */
        double momentum;   /* 0.9 */
} compass_options;

static const soma_field compass_fields[] = {{.name = "learning_rate",
                                             .kind = SOMA_FIELD_NUMBER,
                                             .offset = offsetof(compass_options, learning_rate),
                                             .standard = 0.01,
                                             .high = 1e30},
                                            {.name = "momentum",
                                             .kind = SOMA_FIELD_NUMBER,
                                             .offset = offsetof(compass_options, momentum),
                                             .standard = 0.9,
                                             .low = 0,
                                             .high = 1},
                                            {.name = "weight_decay",
                                             .kind = SOMA_FIELD_NUMBER,
                                             .offset = offsetof(compass_options, weight_decay),
                                             .high = 1e30},
                                            {.name = NULL}};

static int compass_slots(const void *options, const soma_variable *weight, soma_slot slots[SOMA_MAX_SLOTS]) {
    (void)options, (void)weight;
    slots[0].name = "momentum";
    return 1;
}

static soma_tensor *compass_update(const void *options, soma_update *u) {
    const compass_options *o = options;
    soma_tensor *norm = soma_sqrt(soma_add_scalar(soma_sum(soma_square(u->g), SOMA_ALL_AXES, false), 1e-12));
    u->slots[0] = soma_add(soma_mul_scalar(u->slots[0], o->momentum), soma_div(u->g, norm));
    return soma_sub(u->w, soma_mul(u->slots[0], u->learning_rate));
}

static const soma_optimizer_class compass_class = {.name = "compass",
                                                   .size = sizeof(compass_options),
                                                   .fields = compass_fields,
                                                   .slots = compass_slots,
                                                   .update = compass_update};
#define compass(...) soma_optimizer_create(&compass_class, &(compass_options){.nothing = 0, __VA_ARGS__})

/* ---- says when the loss is a tenth of what it was ---- */

typedef struct tenths {
    soma_callback base;
    double said, next; /* how often it spoke, and the loss at which it will again */
} tenths;

static soma_status tenths_epoch(void *user, soma_model *model, const soma_logs *logs) {
    tenths *t = user;
    double loss = soma_history_get(model, "loss", -1);
    if (t->next == 0) t->next = loss / 10;
    if (loss > t->next || logs->n == 0) return SOMA_OK;
    t->said++;
    t->next = loss / 10;
    if (t->said == 1) printf("a tenth of the loss\n");
    if (loss < 1e-4) soma_model_stop_training(model);
    return SOMA_OK;
}

int main(void) {
    enum { SAMPLES = 100 };
    static float x[SAMPLES][3], y[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        for (int k = 0; k < 3; k++)
            x[i][k] = (float)sin(i * 12.9898 + k * 78.233);
        y[i] = 2 * x[i][0] - x[i][1] + 0.5f * x[i][2];
    }
    soma_set_random_seed(NULL, 2);
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, 3), x},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, 1), y}, true);
    soma_model *net = soma_sequential(soma_dense(1, .input_shape = {3}));
    tenths watch = {.base = {.user = &watch, .on_epoch_end = tenths_epoch, .state = &watch.said, .n_state = 2}};
    soma_compile(net, .optimizer = compass(.schedule = soma_cosine_decay(0.02, 600), .momentum = 0.5),
                 .loss = soma_mean_squared_error);
    soma_status status = soma_fit(net, data, .epochs = 100, .batch_size = 20, .callbacks = {&watch.base});
    if (status == SOMA_OK) status = soma_save(net, "compass.soma");
    /* the class by its name, to train on */
    soma_model *again = soma_load(NULL, "compass.soma", .custom = {{.name = "compass", .optimizer = &compass_class}});
    if (status == SOMA_OK) status = soma_fit(again, data, .epochs = 1, .batch_size = 20);
    if (status == SOMA_OK) status = soma_fit(net, data, .epochs = 1, .batch_size = 20);
    if (status == SOMA_OK) {
        printf("loss: %s\n", soma_evaluate(net, data).loss < 1e-3 ? "small" : "large");
        printf("trained on after loading: %s\n",
               soma_evaluate(net, data).loss == soma_evaluate(again, data).loss ? "the same" : "another");
    } else {
        fprintf(stderr, "%s\n", soma_last_error(NULL));
    }
    soma_model_destroy(again);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
    return status == SOMA_OK ? 0 : 1;
}
