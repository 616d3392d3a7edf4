/* Plans: what makes a tensor a number. A plan compiles what a set of targets needs (simplify, fuse, layout, memory,
 * schedule) once and runs it any number of times without allocating. */
#ifndef SOMA_PLAN_H
#define SOMA_PLAN_H

#include <soma/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct soma_plan soma_plan;

/** dy/dx for n tensors at once: out[i] has wrt[i]'s shape and dtype and joins the same graph, so it can be
 *  differentiated, printed, fused. y is a float scalar (any shape sums). A wrt that y does not depend on gets zeros.
 *  Errors: SOMA_UNSUPPORTED, naming the op, where the path goes through an op without a gradient. */
SOMA_API SOMA_MUST_CHECK soma_status soma_grad(soma_tensor *y, soma_tensor *const *wrt, int n, soma_tensor **out);

/** A node that stores value into the variable when a plan that has it as target runs; as a tensor it is the new value.
 *  Every soma_read in the same plan sees the value from before the run. */
SOMA_API soma_tensor *soma_assign(soma_variable *variable, soma_tensor *value);

typedef struct soma_plan_options {
    bool reference;       /* no passes, every op by its plain double-precision reference kernel: the oracle */
    size_t memory;        /* bytes that the plan may need, as soma_plan_memory counts; default 0: the context's limit */
    size_t bfloat16_from; /* float32 values of at least so many bytes are stored as bfloat16; default 0: none are */
} soma_plan_options;

/** Compiles targets (outputs and assigns) of one graph. The graph may be destroyed afterwards.
 *  NULL options: defaults. Returns NULL after an error.
 *  A plan that needs more memory than it may (options, else soma_context_options, else all that the machine or its
 *  cgroup has) computes values again instead of keeping them, from forward to backward for example: the cheapest first,
 *  with results that are the same to the bit. Errors: SOMA_NO_MEMORY, saying what is needed, when that is not enough.
 */
SOMA_API soma_plan *soma_plan_create(soma_tensor *const *targets, int n, const soma_plan_options *options);
SOMA_API void soma_plan_destroy(soma_plan *plan);
/** Gives an input (made by soma_input) its elements, row-major; borrowed until the run is over.
 *  Looks the input up by the tensor it was made from; input must still exist. */
SOMA_API SOMA_MUST_CHECK soma_status soma_plan_bind(soma_plan *plan, const soma_tensor *input, const void *data);
/** Runs the plan on the context's threads. All of them round to nearest, and on x86-64 and aarch64 take numbers below
 * the smallest normal one (1.2e-38 in float32, 2.2e-308 in float64) for zeros, operands and results: processors may
 * take a hundred times as long for them. The caller's own floating-point modes are as before when it returns. */
SOMA_API SOMA_MUST_CHECK soma_status soma_plan_run(soma_plan *plan);
/** Elements of the i-th target after a run, row-major, valid until the next run or destroy.
 *  For an assign: NULL (ask the variable). */
SOMA_API const void *soma_plan_output(const soma_plan *plan, int i);

/** Peak bytes of the plan's arena; without variables, inputs and outputs. */
SOMA_API size_t soma_plan_bytes(const soma_plan *plan);
/** What a limit is held against: the bytes of the plan's arena with its outputs, of all threads' scratch, and of the
 *  variables that it reads or writes (weights, statistics, the optimizer's state). Inputs are the caller's. */
SOMA_API size_t soma_plan_memory(const soma_plan *plan);

/** Bytes of all arrays that the plan stores as bfloat16 instead of float32 (soma_plan_options); 0: none. */
SOMA_API size_t soma_plan_bfloat16_bytes(const soma_plan *plan);

/** One step of a plan, for people and tools. Strings live as long as the plan. */
typedef struct soma_plan_step {
    const char *kind; /* "contract", "map", "row", "reduce", "copy", "kernel" */
    const char *text; /* what it computes */
    double flops;     /* floating-point operations a run */
    double bytes;     /* bytes read and written a run, each operand once */
    bool parallel;    /* shared by the team */
    bool again;       /* computes what another step has computed before, to keep to a limit of memory */
} soma_plan_step;
SOMA_API int soma_plan_steps(const soma_plan *plan);
SOMA_API soma_plan_step soma_plan_get_step(const soma_plan *plan, int i);

/** Threads that take part in a run; 1 when no step is shared. */
SOMA_API int soma_plan_threads(const soma_plan *plan);
/** When one thread was at one step, in seconds since the run began: it arrived, waited for the others where the step
 *  asks for that, and worked from start to end. All 0 where the thread had no part in the step. */
typedef struct soma_plan_time {
    double arrive, start, end;
} soma_plan_time;
/** One run, as soma_plan_run, with the clock read around every step (30 ns each time): the time of step i on thread t
 *  goes to times[i * soma_plan_threads(plan) + t]. Allocates nothing. The plan may be one that a model lends
 *  (soma_training_plan), once inputs are bound: a training step then changes the model's weights.
 *  Errors: as soma_plan_run. */
SOMA_API SOMA_MUST_CHECK soma_status soma_plan_run_timed(const soma_plan *plan, soma_plan_time *times);

/** What this machine can do at all, to read a profile against; float32. */
typedef struct soma_machine {
    double flops; /* floating-point operations a second: multiply-adds in registers */
    double bytes; /* a second from and to memory beyond the caches: two arrays read, one written */
} soma_machine;
/** Measured on all threads of the context by the library's own kernels, in about half a second; NULL: the default
 *  context. Errors: SOMA_NO_MEMORY (it asks for 96 MB). */
SOMA_API SOMA_MUST_CHECK soma_status soma_measure_machine(soma_context *context, soma_machine *out);

#ifdef __cplusplus
}
#endif
#endif
