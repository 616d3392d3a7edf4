/* The ops' samples as cases to run: inputs drawn from a seed, the result built on them, plans run and copied out.
 * Rests on ops/op.h and the public plan. Inputs are soma_input tensors, so no pass can compute the case away. */
#ifndef SUPPORT_SAMPLES_H
#define SUPPORT_SAMPLES_H

#include <soma/plan.h>

#include "ops/op.h"

enum { SAMPLE_INPUTS = 4 };

typedef struct sample_case {
    soma_graph *graph;
    int n;
    soma_tensor *xs[SAMPLE_INPUTS];
    void *data[SAMPLE_INPUTS]; /* bound to the inputs */
    soma_tensor *y;            /* NULL after an error */
} sample_case;

/* Builds a sample with its float32 inputs in the dtype real, elements uniform in the sample's range. */
sample_case sample_start(const op_sample *sample, soma_context *context, soma_dtype real, uint64_t seed);
void sample_end(sample_case *c);

/* Compiles the targets, binds what the case's inputs hold and runs. NULL after an error. */
soma_plan *sample_run(const sample_case *c, soma_tensor *const *targets, int n, bool reference);
/* All elements of any dtype as doubles, in malloc's memory. */
double *sample_doubles(soma_dtype dtype, const void *data, int64_t size);
/* Runs one target and returns its elements, in malloc's memory; NULL after an error. */
double *sample_values(const sample_case *c, soma_tensor *target, bool reference);

/* The i-th of a sequence of numbers in [0, 1). */
double sample_unit(uint64_t seed, uint64_t i);

#endif
