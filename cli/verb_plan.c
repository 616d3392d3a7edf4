/* soma plan: what a network was compiled to: the steps of a prediction or of a training step.
 * Rests on <soma/plan.h>, models.h and recipe.h.
 * A model without data gets samples of zeros: a plan depends on shapes and dtypes alone. */
#include <string.h>

#include "json_out.h"
#include "models.h"
#include "recipe.h"
#include "shared_options.h"

typedef struct plan_values {
    const char *dataset;
    int64_t batch;
    bool training;
    int dtype;
} plan_values;

static const char *const dtype_names[] = {"uint8", "float32", "float64", NULL};
static const soma_dtype dtypes[] = {SOMA_U8, SOMA_F32, SOMA_F64};

#define AT(field) .offset = offsetof(plan_values, field)
static const option plan_options[] = {
    {.name = "batch",
     .kind = OPTION_INT,
     AT(batch),
     .argument = "N",
     .low = 1,
     .high = 1e7,
     .help = "samples at a time (default 128)"},
    {.name = "training", .kind = OPTION_FLAG, AT(training), .help = "a training step instead of a prediction"},
    SHARED_DATASET(plan_values, "for samples like these"),
    {.name = "dtype",
     .kind = OPTION_CHOICE,
     AT(dtype),
     .argument = "NAME",
     .choices = dtype_names,
     .help = "else of samples of uint8 (default), float32 or\nfloat64"},
    {.name = NULL},
};
#undef AT

static const plan_values plan_defaults = {.batch = 128};

/* ---- data to plan for ---- */

static const soma_plan *make_plan(const plan_values *v, soma_model *model, soma_dataset *data) {
    return v->training ? soma_training_plan(model, data, v->batch) : soma_prediction_plan(model, data, v->batch);
}

/* ---- showing ---- */

typedef struct totals {
    double flops, bytes;
    int again; /* steps that compute what was not kept, and their work */
    double again_flops;
} totals;

static totals add_up(const soma_plan *plan) {
    totals t = {0};
    for (int i = 0; i < soma_plan_steps(plan); i++) {
        const soma_plan_step step = soma_plan_get_step(plan, i);
        t.flops += step.flops;
        t.bytes += step.bytes;
        t.again += step.again;
        if (step.again) t.again_flops += step.flops;
    }
    return t;
}

static void plan_json(const plan_values *v, const soma_plan *plan) {
    const totals t = add_up(plan);
    json_out j = {.file = stdout};
    json_open(&j, NULL, '{');
    json_bool(&j, "training", v->training);
    json_integer(&j, "batch", v->batch);
    json_double(&j, "flops", t.flops);
    json_double(&j, "bytes", t.bytes);
    json_integer(&j, "scratch_bytes", (int64_t)soma_plan_bytes(plan));
    json_integer(&j, "memory_bytes", (int64_t)soma_plan_memory(plan));
    json_integer(&j, "bfloat16_bytes", (int64_t)soma_plan_bfloat16_bytes(plan));
    json_integer(&j, "steps_again", t.again);
    json_double(&j, "flops_again", t.again_flops);
    json_open(&j, "steps", '[');
    for (int i = 0; i < soma_plan_steps(plan); i++) {
        const soma_plan_step step = soma_plan_get_step(plan, i);
        json_open(&j, NULL, '{');
        json_text(&j, "kind", step.kind);
        json_text(&j, "text", step.text);
        json_double(&j, "flops", step.flops);
        json_double(&j, "bytes", step.bytes);
        json_bool(&j, "parallel", step.parallel);
        json_bool(&j, "again", step.again);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
    json_end(&j);
}

/* 128450560 -> "128.5M". */
static const char *short_number(cli *c, double value) {
    static const char *const units[] = {"", "k", "M", "G", "T"};
    int unit = 0;
    while (value >= 999.95 && unit < 4) {
        value /= 1000;
        unit++;
    }
    return unit ? cli_text(c, "%.1f%s", value, units[unit]) : cli_text(c, "%.0f", value);
}

static void plan_text(cli *c, const plan_values *v, const soma_plan *plan) {
    const totals t = add_up(plan);
    printf("%s of %lld samples: %d steps\n\n", v->training ? "A training step" : "A prediction", (long long)v->batch,
           soma_plan_steps(plan));
    printf("  step  kind       %8s %8s  shared  what\n", "flop", "bytes");
    for (int i = 0; i < soma_plan_steps(plan); i++) {
        const soma_plan_step step = soma_plan_get_step(plan, i);
        printf("  %4d  %-10s %8s %8s  %-6s  %s%s\n", i + 1, step.kind, short_number(c, step.flops),
               short_number(c, step.bytes), step.parallel ? "yes" : "no", step.again ? "again: " : "", step.text);
    }
    printf("\n  total            %8s %8s\n", short_number(c, t.flops), short_number(c, t.bytes));
    printf("Peak memory between the steps: %sB\n", short_number(c, (double)soma_plan_bytes(plan)));
    printf("With weights, the optimizer's state and scratch: %sB\n", short_number(c, (double)soma_plan_memory(plan)));
    if (soma_plan_bfloat16_bytes(plan) > 0)
        printf("Stored as bfloat16, all together: %sB, half of what they are as float32\n",
               short_number(c, (double)soma_plan_bfloat16_bytes(plan)));
    if (t.again == 0) return;
    printf("To keep to %sB, %d steps compute again what was not kept: %s flop, %.1f %% more\n",
           short_number(c, (double)soma_memory_limit(c->context)), t.again, short_number(c, t.again_flops),
           100 * t.again_flops / (t.flops - t.again_flops));
}

static int show_plan(cli *c, const plan_values *v, soma_model *model, soma_dataset *data) {
    soma_dataset *made = data ? NULL : model_zeros(c, model, v->batch, dtypes[v->dtype], true);
    const soma_plan *plan = data || made ? make_plan(v, model, data ? data : made) : NULL;
    if (!plan && !data && made) { /* a loss that wants labels like outputs */
        soma_dataset_destroy(made);
        soma_clear_error(c->context);
        made = model_zeros(c, model, v->batch, dtypes[v->dtype], false);
        plan = made ? make_plan(v, model, made) : NULL;
    }
    const int code = plan ? EXIT_DONE : cli_fail_status(c, EXIT_INPUT);
    if (plan && c->json) plan_json(v, plan);
    if (plan && !c->json) plan_text(c, v, plan);
    soma_dataset_destroy(made);
    return code;
}

static int run_plan(cli *c, void *values, option_table tables[OPTION_TABLES], int n, char **arguments) {
    const plan_values *v = values;
    int code = need_arguments(c, n, 1, 1, "a model or a configuration");
    if (code != EXIT_DONE) return code;
    soma_model *model = NULL;
    data_source source = {.data = NULL};
    code = network_open(c, arguments[0], &tables[1], v->dataset, &model, &source);
    if (code == EXIT_DONE) code = show_plan(c, v, model, source.data);
    soma_model_destroy(model);
    source_close(&source);
    return code;
}

const verb verb_plan = {
    .name = "plan",
    .summary = "Show the steps that a network is compiled to",
    .usage = "MODEL|CONFIG.yaml [OPTION]...",
    .examples = "soma plan examples/mnist.yaml --training\n"
                "soma plan out/mnist.soma --batch 1 --json\n"
                "soma plan examples/gru.yaml --training --memory 24MB",
    .notes = "flop and bytes are of one run; bytes count each operand once. shared: by all threads.\n"
             "SOMA_LOG=plan shows the graph after each pass of the compiler.",
    .options = plan_options,
    .defaults = &plan_defaults,
    .size = sizeof(plan_values),
    .run = run_plan,
};
