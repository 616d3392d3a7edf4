/* Generating: a model that reads sequences, run one step at a time, and texts made with it.
 * Attention remembers the keys and values of the steps before (a key/value cache), recurrent layers their states, and
 * positions count on; so a step costs as much as one step, and gives what it gives within the whole sequence. */
#ifndef SOMA_GENERATE_H
#define SOMA_GENERATE_H

#include <soma/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct soma_stepper soma_stepper;

/** A model to be run a step at a time on batch sequences of at most length steps. It must have one input, (steps) of
 *  integers or (steps, ...) of floats, and only layers whose result for a step needs no later ones: recurrent ones that
 *  do not go backwards, causal multi-head attention, transformer decoders, positions, and all that work on each step
 *  alone; others are SOMA_UNSUPPORTED. So are models with several inputs, such as a decoder that looks at what an
 * encoder made of another sequence: soma_model_apply runs these on whole sequences. The model must outlive it, and its
 * weights may change. NULL after an error. */
SOMA_API soma_stepper *soma_stepper_create(soma_model *model, int64_t batch, int64_t length);
SOMA_API void soma_stepper_destroy(soma_stepper *stepper);
/** The next step: x (batch) int64, or (batch, ...) in the first layer's dtype -> *y (batch, outputs), valid until the
 * next run. SOMA_INVALID beyond the last step. */
SOMA_API SOMA_MUST_CHECK soma_status soma_stepper_run(soma_stepper *stepper, const void *x, const void **y);
/** Elements of a step's result for one sequence and their dtype, and the steps so far. */
SOMA_API int64_t soma_stepper_outputs(const soma_stepper *stepper);
SOMA_API soma_dtype soma_stepper_dtype(const soma_stepper *stepper);
SOMA_API int64_t soma_stepper_position(const soma_stepper *stepper);
/** Forgets all steps. */
SOMA_API SOMA_MUST_CHECK soma_status soma_stepper_reset(soma_stepper *stepper);
/** Sequence i goes on as a copy of what sequence parents[i] was: for beam search. */
SOMA_API SOMA_MUST_CHECK soma_status soma_stepper_select(soma_stepper *stepper, const int64_t *parents);

typedef struct soma_generate_options {
    const int64_t *prompt; /* where the sequence begins: n_prompt tokens, at least one */
    int64_t n_prompt;
    int64_t max_tokens; /* after the prompt */
    int64_t stop_token; /* ends the sequence, and is not part of it; 0: none */
    double temperature; /* 0: always the most probable token; else drawn from softmax(log p / temperature) */
    int64_t top_k;      /* drawn among the k most probable; 0: all */
    double top_p;       /* drawn among the most probable that have this share together; 0: all */
    uint64_t seed;      /* of the draws */
    int64_t num_beams;  /* more than 1: the most probable sequence found by so many beams; draws nothing */
    bool from_logits;   /* the model's last layer has no softmax */
} soma_generate_options;
/** Goes on with a sequence of tokens, by a model (steps) -> (steps, tokens) or (tokens) that gives the probabilities of
 *  the next one: soma_generate(net, tokens, &n, .prompt = prompt, .n_prompt = 5, .max_tokens = 100). tokens has room
 * for max_tokens; *n become how many there are. KerasHub's samplers Greedy, Random, TopK, TopP, Beam. */
#define soma_generate(model, tokens, n, ...)                                                                           \
    soma_model_generate(model, &(soma_generate_options){__VA_ARGS__}, tokens, n)
SOMA_API SOMA_MUST_CHECK soma_status soma_model_generate(soma_model *model, const soma_generate_options *options,
                                                         int64_t *tokens, int64_t *n);

#ifdef __cplusplus
}
#endif
#endif
