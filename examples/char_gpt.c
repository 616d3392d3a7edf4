/* A small GPT that learns a nursery rhyme letter by letter and then goes on with what it is given.
 * Each of its two blocks looks back with four heads; writing remembers keys and values, so a letter costs one step.
 * Trained in a few seconds on one core; the argument is the number of training steps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <soma/soma.h>

static const char text[] =
    "This is the house that Jack built.\n"
    "This is the malt that lay in the house that Jack built.\n"
    "This is the rat that ate the malt that lay in the house that Jack built.\n"
    "This is the cat that killed the rat that ate the malt that lay in the house that Jack built.\n"
    "This is the dog that worried the cat that killed the rat that ate the malt that lay in the house that Jack "
    "built.\n"
    "This is the cow with the crumpled horn that tossed the dog that worried the cat that killed the rat that ate the "
    "malt that lay in the house that Jack built.\n";

enum { CONTEXT = 48, BATCH = 16, LETTERS = 128, MOST = 120 };

/* Windows of the text, each with the same one letter later: what the model reads, and what it shall say. */
static void make_batch(unsigned *seed, int64_t (*x)[CONTEXT], int64_t (*y)[CONTEXT]) {
    for (int i = 0; i < BATCH; i++) {
        *seed = *seed * 1664525u + 1013904223u;
        size_t at = (*seed >> 8) % (sizeof text - 1 - CONTEXT);
        for (int t = 0; t < CONTEXT; t++) {
            x[i][t] = text[at + (size_t)t];
            y[i][t] = text[at + (size_t)t + 1];
        }
    }
}

static soma_status train(soma_model *net, int steps) {
    int64_t x[BATCH][CONTEXT], y[BATCH][CONTEXT];
    unsigned seed = 1;
    soma_scores s = {.status = SOMA_OK};
    for (int i = 0; i < steps && s.status == SOMA_OK; i++) {
        make_batch(&seed, x, y);
        s = soma_train_on_batch(net, soma_array_view(NULL, SOMA_I64, SOMA_DIMS(BATCH, CONTEXT), x),
                                soma_array_view(NULL, SOMA_I64, SOMA_DIMS(BATCH, CONTEXT), y));
        if (i % 50 == 0 || i + 1 == steps) printf("step %d: loss %.3f\n", i, s.loss);
        soma_graph_reset(NULL);
    }
    return s.status;
}

/* Goes on with a beginning, up to the end of the line. */
static soma_status write_line(soma_model *net, const char *beginning, soma_generate_options how) {
    int64_t prompt[MOST], tokens[MOST], n = 0;
    how.n_prompt = (int64_t)strlen(beginning);
    for (int64_t i = 0; i < how.n_prompt; i++)
        prompt[i] = beginning[i];
    how.prompt = prompt;
    how.max_tokens = CONTEXT + 1 - how.n_prompt; /* positions are learned up to CONTEXT */
    how.stop_token = '\n';
    soma_status status = soma_model_generate(net, &how, tokens, &n);
    if (status != SOMA_OK) return status;
    printf("%s|", beginning);
    for (int64_t i = 0; i < n; i++)
        putchar((int)tokens[i]);
    putchar('\n');
    return SOMA_OK;
}

int main(int argc, char **argv) {
    soma_set_random_seed(NULL, 1);
    soma_model *net = soma_sequential(soma_embedding(LETTERS, .output_dim = 32, .input_shape = {CONTEXT}),
                                      soma_position_embedding(CONTEXT),
                                      soma_transformer_decoder(64, .num_heads = 4, .normalize_first = true),
                                      soma_transformer_decoder(64, .num_heads = 4, .normalize_first = true),
                                      soma_layer_normalization(), soma_dense(LETTERS, .activation = soma_softmax));
    soma_status status =
        soma_compile(net, .optimizer = soma_adam(.learning_rate = 0.005), .loss = soma_sparse_categorical_crossentropy);
    if (status == SOMA_OK) status = train(net, argc > 1 ? atoi(argv[1]) : 300);
    if (status == SOMA_OK) status = write_line(net, "This is the cat", (soma_generate_options){0});
    if (status == SOMA_OK) status = write_line(net, "that lay", (soma_generate_options){.num_beams = 4});
    for (uint64_t seed = 1; seed <= 3 && status == SOMA_OK; seed++)
        status = write_line(net, "This is the ", (soma_generate_options){.temperature = 0.8, .top_k = 5, .seed = seed});
    if (status != SOMA_OK) fprintf(stderr, "%s\n", soma_last_error(NULL));
    soma_model_destroy(net);
    return status == SOMA_OK ? 0 : 1;
}
