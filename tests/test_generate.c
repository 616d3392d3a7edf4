/* Models run a step at a time, and tokens made with them: each step against the whole sequence, beams against a search
 * of everything.
 * Rests on cmocka, the failing allocator, stepper.c and generate.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include <soma/soma.h>

#include "support/expect.h"
#include "support/failing.h"

/* ---- a step gives what it gives in the sequence ---- */

enum { BATCH = 3, STEPS = 9, TOKENS = 12 };

static void make_tokens(int64_t x[BATCH][STEPS]) {
    for (int b = 0; b < BATCH; b++)
        for (int t = 0; t < STEPS; t++)
            x[b][t] = (b * 5 + t * t + 1) % TOKENS;
}

/* Twice, with a reset between; sequences: the model gives a result for each step, else only for the last. */
static void check_steps(const char *what, soma_model *net, bool sequences) {
    if (!net) fail_msg("%s: %s", what, soma_last_error(NULL));
    int64_t x[BATCH][STEPS], column[BATCH];
    make_tokens(x);
    soma_stepper *stepper = soma_stepper_create(net, BATCH, STEPS);
    if (!stepper) fail_msg("%s: %s", what, soma_last_error(NULL));
    int64_t n = soma_stepper_outputs(stepper);
    for (int round = 0; round < 2; round++) {
        for (int t = 0; t < STEPS; t++) {
            soma_tensor *part = soma_slice_axis(soma_array(NULL, SOMA_I64, SOMA_DIMS(BATCH, STEPS), x), 1, 0,
                                                sequences ? STEPS : t + 1, 1),
                        *whole;
            expect_ok(soma_model_apply(net, &part, 1, false, &whole));
            if (sequences) whole = soma_slice_axis(whole, 1, t, t + 1, 1);
            const float *right = soma_data(whole);
            const void *y;
            for (int b = 0; b < BATCH; b++)
                column[b] = x[b][t];
            expect_ok(soma_stepper_run(stepper, column, &y));
            assert_int_equal(soma_stepper_position(stepper), t + 1);
            double spread = 0;
            for (int64_t i = 0; i < BATCH * n; i++) {
                float a = ((const float *)y)[i];
                if (!(fabsf(a - right[i]) <= 1e-6f * (1 + fabsf(right[i]))))
                    fail_msg("%s: step %d, element %lld: %.9g, in the sequence %.9g", what, t, (long long)i, (double)a,
                             (double)right[i]);
                spread = fmax(spread, fabs((double)(a - right[0])));
            }
            assert_true(spread > 1e-3);
        }
        const void *y;
        assert_int_equal(soma_stepper_run(stepper, column, &y), SOMA_INVALID);
        expect_error(SOMA_INVALID, "[stepper] it was made for 9 steps, all have been taken");
        expect_ok(soma_stepper_reset(stepper));
    }
    soma_stepper_destroy(stepper);
    soma_model_destroy(net);
    soma_graph_reset(NULL);
}

#define WORDS                                                                                                          \
    soma_embedding(TOKENS, .output_dim = 8, .embeddings_initializer = soma_normal(0, 1), .input_shape = {STEPS})
#define MASKED                                                                                                         \
    soma_embedding(TOKENS, .output_dim = 8, .mask_zero = true, .embeddings_initializer = soma_normal(0, 1),            \
                   .input_shape = {STEPS})

static void steps_are_those_of_the_sequence(void **state) {
    (void)state;
    check_steps("heads", soma_sequential(WORDS, soma_multi_head_attention(2, .key_dim = 4, .causal = true)), true);
    check_steps("rotary",
                soma_sequential(WORDS, soma_multi_head_attention(2, .key_dim = 4, .causal = true, .rotary = true)),
                true);
    check_steps("shared keys",
                soma_sequential(WORDS, soma_group_query_attention(4, .num_query_heads = 6, .num_key_value_heads = 2,
                                                                  .causal = true, .rotary = true)),
                true);
    check_steps("masked",
                soma_sequential(MASKED, soma_multi_head_attention(2, .key_dim = 4, .causal = true), soma_lstm(5)),
                false);
    check_steps("gpt",
                soma_sequential(WORDS, soma_position_embedding(STEPS), soma_transformer_decoder(16, .num_heads = 2),
                                soma_dropout(0.1),
                                soma_transformer_decoder(16, .num_heads = 4, .normalize_first = true),
                                soma_layer_normalization(), soma_dense(TOKENS, .activation = soma_softmax)),
                true);
    check_steps("sines",
                soma_sequential(WORDS, soma_positional_encoding(),
                                soma_transformer_encoder(16, .num_heads = 2, .causal = true), soma_dense(TOKENS)),
                true);
    check_steps("recurrent",
                soma_sequential(WORDS, soma_lstm(5, .return_sequences = true), soma_gru(5, .return_sequences = true),
                                soma_time_distributed(soma_dense(4, .activation = soma_tanh)), soma_simple_rnn(6)),
                false);
    soma_layer *cells = soma_stacked_rnn_cells({soma_lstm_cell(4), soma_gru_cell(3)});
    check_steps("cells", soma_sequential(WORDS, soma_rnn(cells, .return_sequences = true)), true);
}

/* Sequences of numbers instead of tokens. */
static void steps_of_features(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_gru(4, .return_sequences = true, .input_shape = {3, 2}), soma_dense(2));
    const float x[] = {1, 2, -1, 0.5f, 3, -2};
    soma_tensor *in = soma_array(NULL, SOMA_F32, SOMA_DIMS(1, 3, 2), x), *whole;
    expect_ok(soma_model_apply(net, &in, 1, false, &whole));
    soma_stepper *stepper = soma_stepper_create(net, 1, 3);
    for (int t = 0; t < 3; t++) {
        const void *y;
        expect_ok(soma_stepper_run(stepper, x + 2 * t, &y));
        for (int i = 0; i < 2; i++)
            assert_true(fabs((double)((const float *)y)[i] - soma_item(whole, 2 * t + i)) < 1e-6);
    }
    soma_stepper_destroy(stepper);
    soma_model_destroy(net);
}

static void what_looks_ahead_is_refused(void **state) {
    (void)state;
    const struct {
        soma_layer *layer;
        const char *error;
    } cases[] = {
        {soma_multi_head_attention(2, .key_dim = 4), "[MultiHeadAttention] it looks ahead"},
        {soma_attention(.causal = true), "[Attention] it can't be taken a step at a time"},
        {soma_bidirectional(soma_lstm(4)), "[Bidirectional] it can't be taken a step at a time"},
        {soma_lstm(4, .go_backwards = true), "[LSTM] it begins at the end"},
        {soma_global_average_pooling_1d(), "[GlobalAveragePooling1D] it can't be taken a step at a time"},
        {soma_flatten(), "[Flatten] it can't be taken a step at a time"},
        {soma_position_embedding(5), "[PositionEmbedding] a sample must be (steps, d) with at most 5 steps"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        soma_layer *words = soma_embedding(TOKENS, .output_dim = 8, .input_shape = {5});
        soma_model *net = soma_sequential(words, cases[i].layer);
        if (!net) fail_msg("%s", soma_last_error(NULL));
        assert_null(soma_stepper_create(net, 1, 6));
        if (!strstr(soma_last_error(NULL), cases[i].error)) fail_msg("'%s'", soma_last_error(NULL));
        soma_clear_error(NULL);
        soma_model_destroy(net);
    }
    soma_model *unbuilt = soma_sequential(soma_embedding(TOKENS, .output_dim = 8), soma_lstm(4));
    assert_null(soma_stepper_create(unbuilt, 1, 6));
    expect_error(SOMA_INVALID, "[stepper] the model has no weights yet");
    soma_model_destroy(unbuilt);
    soma_symbol *in[2];
    for (int i = 0; i < 2; i++)
        in[i] = soma_symbol_create(NULL, SOMA_DIMS(5, 8), i ? "source" : "target");
    soma_symbol *out = soma_call_many(soma_transformer_decoder(8, .num_heads = 2), in, 2);
    soma_model *translator = soma_model_create(in, 2, &out, 1);
    if (!translator) fail_msg("%s", soma_last_error(NULL));
    assert_null(soma_stepper_create(translator, 1, 5));
    expect_error(SOMA_UNSUPPORTED, "[stepper] the model has 2 inputs and 1 outputs");
    soma_model_destroy(translator);
}

/* ---- tokens ---- */

/* A recurrent model with chosen probabilities would be no test of the steps: here is one with random weights. */
static soma_model *small(void) {
    soma_model *net = soma_sequential(
        soma_embedding(4, .output_dim = 6, .embeddings_initializer = soma_normal(0, 1), .input_shape = {8}),
        soma_position_embedding(8), soma_transformer_decoder(12, .num_heads = 2),
        soma_dense(4, .kernel_initializer = soma_normal(0, 1), .activation = soma_softmax));
    if (!net) fail_msg("%s", soma_last_error(NULL));
    return net;
}

enum { PROMPT = 2, NEW = 4 };
static const int64_t prompt[PROMPT] = {3, 1};

/* Log probability of n tokens after the prompt, by whole sequences; stop: the sequence then ends with token 2. */
static double log_probability(soma_model *net, const int64_t *tokens, int n, bool stop) {
    int64_t all[8] = {prompt[0], prompt[1]};
    memcpy(all + PROMPT, tokens, (size_t)n * sizeof *tokens);
    soma_tensor *x = soma_array(NULL, SOMA_I64, SOMA_DIMS(1, PROMPT + n), all), *y;
    expect_ok(soma_model_apply(net, &x, 1, false, &y));
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += log(soma_item(y, 4 * (PROMPT - 1 + i) + tokens[i]));
    return stop ? sum + log(soma_item(y, 4 * (PROMPT - 1 + n) + 2)) : sum;
}

static void greedy_takes_the_best(void **state) {
    (void)state;
    soma_model *net = small();
    int64_t tokens[NEW], n = 0;
    expect_ok(soma_generate(net, tokens, &n, .prompt = prompt, .n_prompt = PROMPT, .max_tokens = NEW));
    assert_int_equal(n, NEW);
    int64_t so_far[NEW];
    for (int i = 0; i < NEW; i++) {
        double best = -INFINITY;
        int64_t choice = -1;
        for (so_far[i] = 0; so_far[i] < 4; so_far[i]++) {
            double p = log_probability(net, so_far, i + 1, false);
            if (p > best) best = p, choice = so_far[i];
        }
        so_far[i] = choice;
        assert_int_equal(tokens[i], choice);
    }
    /* one token only, and no top_p at all, is the same whatever is drawn */
    int64_t drawn[NEW];
    expect_ok(soma_generate(net, drawn, &n, .prompt = prompt, .n_prompt = PROMPT, .max_tokens = NEW, .temperature = 1,
                            .top_k = 1));
    assert_memory_equal(drawn, tokens, sizeof tokens);
    expect_ok(soma_generate(net, drawn, &n, .prompt = prompt, .n_prompt = PROMPT, .max_tokens = NEW, .temperature = 1,
                            .top_p = 1e-9));
    assert_memory_equal(drawn, tokens, sizeof tokens);
    soma_model_destroy(net);
}

/* With as many beams as there are sequences nothing is lost: the best of all is found. */
static void beams_find_the_best(void **state) {
    (void)state;
    soma_model *net = small();
    for (int stops = 0; stops < 2; stops++) {
        int64_t tokens[NEW], n = 0, best[NEW] = {0}, best_n = 0;
        expect_ok(soma_generate(net, tokens, &n, .prompt = prompt, .n_prompt = PROMPT, .max_tokens = 3, .num_beams = 64,
                                .stop_token = stops ? 2 : 0));
        double most = -INFINITY;
        for (int code = 0; code < 64; code++) {
            int64_t t[3] = {code / 16, code / 4 % 4, code % 4};
            int length = 0;
            while (length < 3 && (!stops || t[length] != 2))
                length++;
            double p = log_probability(net, t, length, length < 3);
            if (p <= most) continue;
            most = p;
            best_n = length;
            memcpy(best, t, sizeof t);
        }
        assert_int_equal(n, best_n);
        assert_memory_equal(tokens, best, (size_t)n * sizeof *best);
    }
    soma_model_destroy(net);
}

static void draws_have_the_models_probabilities(void **state) {
    (void)state;
    soma_model *net = small();
    int count[4] = {0};
    enum { DRAWS = 2000 };
    static int64_t tokens[DRAWS];
    /* one long sequence would change its probabilities: many short ones */
    for (int i = 0; i < DRAWS; i++) {
        int64_t n;
        expect_ok(soma_generate(net, tokens + i, &n, .prompt = prompt, .n_prompt = 1, .max_tokens = 1, .temperature = 2,
                                .seed = (uint64_t)i));
        assert_int_equal(n, 1);
        count[tokens[i]]++;
    }
    soma_tensor *x = soma_array(NULL, SOMA_I64, SOMA_DIMS(1, 1), prompt), *y;
    expect_ok(soma_model_apply(net, &x, 1, false, &y));
    double sum = 0;
    for (int i = 0; i < 4; i++)
        sum += sqrt(soma_item(y, i));
    for (int i = 0; i < 4; i++) {
        double p = sqrt(soma_item(y, i)) / sum, deviation = sqrt(p * (1 - p) * DRAWS);
        if (fabs(count[i] - p * DRAWS) > 5 * deviation + 1) fail_msg("token %d: %d of %g", i, count[i], p * DRAWS);
    }
    int64_t again[20], other[20], first[20], n;
    for (uint64_t seed = 0; seed < 3; seed++)
        expect_ok(soma_generate(net,
                                seed == 0   ? first
                                : seed == 1 ? other
                                            : again,
                                &n, .prompt = prompt, .n_prompt = 1, .max_tokens = 7, .temperature = 4,
                                .seed = seed % 2));
    assert_memory_equal(first, again, 7 * sizeof *first);
    assert_memory_not_equal(first, other, 7 * sizeof *first);
    soma_model_destroy(net);
}

static void logits_are_probabilities_too(void **state) {
    (void)state;
    soma_model *a = small(), *b;
    soma_set_random_seed(NULL, 0);
    b = soma_sequential(
        soma_embedding(4, .output_dim = 6, .embeddings_initializer = soma_normal(0, 1), .input_shape = {8}),
        soma_position_embedding(8), soma_transformer_decoder(12, .num_heads = 2),
        soma_dense(4, .kernel_initializer = soma_normal(0, 1)));
    int64_t x[NEW], y[NEW], n, m;
    expect_ok(soma_generate(a, x, &n, .prompt = prompt, .n_prompt = 2, .max_tokens = NEW, .num_beams = 3));
    expect_ok(soma_generate(b, y, &m, .prompt = prompt, .n_prompt = 2, .max_tokens = NEW, .num_beams = 3,
                            .from_logits = true));
    assert_int_equal(n, m);
    assert_memory_equal(x, y, sizeof x);
    assert_int_equal(soma_generate(b, y, &m, .prompt = prompt, .max_tokens = NEW), SOMA_INVALID);
    expect_error(SOMA_INVALID, "[generate] it needs a prompt");
    soma_model_destroy(a);
    soma_model_destroy(b);
}

/* ---- memory ---- */

static soma_model *small_in(soma_context *context) {
    soma_layer *layers[] = {
        soma_embedding(5, .output_dim = 4, .input_shape = {6}, .context = context),
        soma_positional_encoding(.context = context), soma_transformer_decoder(4, .num_heads = 2, .context = context),
        soma_rnn(soma_gru_cell(3, .context = context), .return_sequences = true, .context = context),
        soma_dense(5, .activation = soma_softmax, .context = context)};
    return soma_sequential_create(context, layers, (int)(sizeof layers / sizeof *layers));
}

/* Tokens by a model, both made while allocation number n fails; whether it was reached. */
static bool generate_without(int64_t n, soma_status *status, int64_t *tokens) {
    failing f;
    soma_context *context = failing_context(&f, 1);
    f.refuse = n;
    const int64_t start[] = {2, 4};
    int64_t count;
    soma_model *net = small_in(context);
    *status = soma_generate(net, tokens, &count, .prompt = start, .n_prompt = 2, .max_tokens = 4, .num_beams = 2);
    soma_model_destroy(net);
    bool refused = f.requests > n && n >= 0;
    if (refused && soma_last_status(context) != SOMA_NO_MEMORY)
        fail_msg("allocation %lld: %s", (long long)n, soma_last_error(context));
    soma_context_destroy(context);
    if (f.blocks != -1 || f.wrong_size)
        fail_msg("%lld blocks left after allocation %lld failed", (long long)f.blocks + 1, (long long)n);
    soma_clear_error(NULL);
    return refused;
}

/* An error, or the same tokens where only a text for people is missing. */
static void out_of_memory_anywhere(void **state) {
    (void)state;
    int64_t right[4], tokens[4];
    soma_status status;
    assert_false(generate_without(-1, &status, right));
    expect_ok(status);
    for (int64_t n = 0; generate_without(n, &status, tokens); n++)
        if (status == SOMA_OK && memcmp(tokens, right, sizeof right) != 0)
            fail_msg("other tokens after allocation %lld failed", (long long)n);
    expect_ok(status);
    assert_memory_equal(tokens, right, sizeof right);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {
        TEST(steps_are_those_of_the_sequence), TEST(steps_of_features),      TEST(what_looks_ahead_is_refused),
        TEST(greedy_takes_the_best),           TEST(beams_find_the_best),    TEST(draws_have_the_models_probabilities),
        TEST(logits_are_probabilities_too),    TEST(out_of_memory_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
