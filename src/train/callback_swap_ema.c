/* SwapEMAWeights: what is measured, predicted and, if asked for, saved at the end of an epoch is the moving average of
 * the weights; what is trained on is the weights.
 * Rests on callback.h and minimizer.h. The two are exchanged in place, so at any moment both are there, and a backup
 * keeps which is where. */
#include "base/context_internal.h"
#include "train/callback.h"

typedef struct swap_ema {
    soma_callback base;
    soma_context *context;
    bool on_epoch;
    double swapped; /* the model has the averages */
} swap_ema;

static soma_status swap(swap_ema *s, soma_model *model, bool averages) {
    training *t = training_of(model);
    RETURN_IF(model->context, !t || !t->compiled || !t->minimizer.optimizer->options->use_ema, SOMA_INVALID,
              "[swap_ema_weights] the optimizer keeps no averages: give it .use_ema = true");
    t->minimizer.swapped = s->swapped != 0;
    if (t->minimizer.swapped == averages || !t->minimizer.learning_rate) return SOMA_OK;
    TRY(minimizer_swap_averages(&t->minimizer));
    s->swapped = averages;
    return SOMA_OK;
}

static soma_status train_begin(void *user, soma_model *model, const soma_logs *logs) {
    swap_ema *s = user;
    (void)logs;
    s->swapped = 0;
    return swap(s, model, false);
}

static soma_status epoch_begin(void *user, soma_model *model, const soma_logs *logs) {
    (void)logs;
    return swap(user, model, false);
}

static soma_status epoch_end(void *user, soma_model *model, const soma_logs *logs) {
    swap_ema *s = user;
    (void)logs;
    return s->on_epoch ? swap(s, model, true) : SOMA_OK;
}

static soma_status measure_begin(void *user, soma_model *model, const soma_logs *logs) {
    (void)logs;
    return swap(user, model, true);
}

static soma_status measure_end(void *user, soma_model *model, const soma_logs *logs) {
    (void)logs;
    return swap(user, model, false);
}

static void destroy(soma_callback *callback) {
    swap_ema *s = (swap_ema *)callback;
    mem_free(s->context, s, sizeof *s);
}

soma_callback *soma_swap_ema_weights_create(const soma_swap_ema_weights_options *options) {
    swap_ema *s = callback_alloc(options->context, sizeof *s);
    if (!s) return callback_failed();
    s->context = context_of(options->context);
    s->on_epoch = options->swap_on_epoch;
    s->base.state = &s->swapped;
    s->base.n_state = 1;
    s->base.on_train_begin = train_begin;
    s->base.on_epoch_begin = epoch_begin;
    s->base.on_epoch_end = epoch_end;
    s->base.on_test_begin = s->base.on_predict_begin = measure_begin;
    s->base.on_test_end = s->base.on_predict_end = measure_end;
    s->base.destroy = destroy;
    return &s->base;
}
