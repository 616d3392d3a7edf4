/* Optimizers: their life, what all of them share (decay, clipping), and JSON.
 * Rests on fields.h. A class is data and two functions; see optimizer_sgd.c for one.
 * Making one never returns NULL, so that a mistake in its options is not taken for a wish for the default. */
#include "nn/optimizer.h"

#include <stddef.h>
#include <string.h>

#include "base/context_internal.h"
#include "tensor/node.h"

const soma_optimizer_class *const optimizer_table[] = {
#define OPTIMIZER(name) &optimizer_##name,
#include "nn/optimizers.def"
#undef OPTIMIZER
    NULL};

const char *const optimizer_name_list[] = {
#define OPTIMIZER(name) #name,
#include "nn/optimizers.def"
#undef OPTIMIZER
    NULL};

#define COMMON(member) offsetof(optimizer_options, member)
static const soma_field common_fields[] = {
    {.name = "schedule", .kind = SOMA_FIELD_SCHEDULE, .offset = COMMON(schedule)},
    {.name = "clipnorm", .kind = SOMA_FIELD_NUMBER, .offset = COMMON(clipnorm), .low = 0, .high = 1e300},
    {.name = "global_clipnorm", .kind = SOMA_FIELD_NUMBER, .offset = COMMON(global_clipnorm), .low = 0, .high = 1e300},
    {.name = "clipvalue", .kind = SOMA_FIELD_NUMBER, .offset = COMMON(clipvalue), .low = 0, .high = 1e300},
    {.name = "use_ema", .kind = SOMA_FIELD_BOOL, .offset = COMMON(use_ema)},
    {.name = "ema_momentum",
     .kind = SOMA_FIELD_NUMBER,
     .offset = COMMON(ema_momentum),
     .standard = 0.99,
     .low = 0,
     .high = 1},
    {.name = "ema_overwrite_frequency",
     .kind = SOMA_FIELD_INT,
     .offset = COMMON(ema_overwrite_frequency),
     .low = 0,
     .high = 1e9},
    {.name = "loss_scale_factor",
     .kind = SOMA_FIELD_NUMBER,
     .offset = COMMON(loss_scale_factor),
     .low = 0,
     .high = 1e300},
    {.name = "gradient_accumulation_steps",
     .kind = SOMA_FIELD_INT,
     .offset = COMMON(gradient_accumulation_steps),
     .low = 0,
     .high = 1e6},
    {.name = "exclude_from_weight_decay", .kind = SOMA_FIELD_STRING, .offset = COMMON(exclude_from_weight_decay)},
    {.name = NULL}};
enum { ALWAYS_WRITTEN = 4 }; /* the rest only where somebody asked for it */

/* ---- life ---- */

static const soma_optimizer failed; /* a place, never looked into */
static soma_optimizer *const failed_optimizer = (soma_optimizer *)(uintptr_t)&failed;

bool optimizer_failed(const soma_optimizer *optimizer) {
    return optimizer == failed_optimizer;
}

static const char **string_at(const soma_optimizer *optimizer, const soma_field *f) {
    return (const char **)(void *)((char *)optimizer->options + f->offset);
}

/* The string options among fields become copies of the optimizer's own; after an error those that are left are NULL. */
static soma_status own_strings(soma_optimizer *optimizer, const soma_field *fields, soma_status status) {
    for (const soma_field *f = fields; f && f->name; f++) {
        const char **string = f->kind == SOMA_FIELD_STRING ? string_at(optimizer, f) : NULL;
        if (!string || !*string) continue;
        size_t bytes = strlen(*string) + 1;
        char *copy = status == SOMA_OK ? mem_alloc(optimizer->context, bytes) : NULL;
        if (!copy) status = SOMA_NO_MEMORY;
        *string = copy ? memcpy(copy, *string, bytes) : NULL;
    }
    return status;
}

static void free_strings(soma_optimizer *optimizer, const soma_field *fields) {
    for (const soma_field *f = fields; optimizer->options && f && f->name; f++) {
        const char *string = f->kind == SOMA_FIELD_STRING ? *string_at(optimizer, f) : NULL;
        if (string) mem_free(optimizer->context, (char *)(uintptr_t)string, strlen(string) + 1);
    }
}

soma_optimizer *soma_optimizer_create(const soma_optimizer_class *kind, const void *options) {
    soma_context *context = context_of(options ? ((const optimizer_options *)options)->context : NULL);
    if (!kind || !kind->update || kind->size < sizeof(optimizer_options)) {
        (void)error_set(context, SOMA_INVALID,
                        "[optimizer] the class lacks its update, or its options do not begin with "
                        "SOMA_OPTIMIZER_OPTIONS");
        return failed_optimizer;
    }
    soma_optimizer *optimizer = mem_zalloc(context, sizeof *optimizer);
    if (!optimizer) return failed_optimizer;
    optimizer->context = context;
    optimizer->kind = kind;
    optimizer->options = mem_zalloc(context, kind->size);
    soma_status status = optimizer->options ? SOMA_OK : SOMA_NO_MEMORY;
    if (status == SOMA_OK && options) memcpy(optimizer->options, options, kind->size);
    if (optimizer->options) status = own_strings(optimizer, kind->fields, status);
    if (optimizer->options) status = own_strings(optimizer, common_fields, status);
    if (status == SOMA_OK) status = fields_complete(context, kind->name, kind->fields, optimizer->options);
    if (status == SOMA_OK) status = fields_complete(context, kind->name, common_fields, optimizer->options);
    if (status == SOMA_OK) return optimizer;
    soma_optimizer_destroy(optimizer);
    return failed_optimizer;
}

void soma_optimizer_destroy(soma_optimizer *optimizer) {
    if (!optimizer || optimizer_failed(optimizer)) return;
    free_strings(optimizer, optimizer->kind->fields);
    free_strings(optimizer, common_fields);
    mem_free(optimizer->context, optimizer->options, optimizer->kind->size);
    mem_free(optimizer->context, optimizer, sizeof *optimizer);
}

soma_optimizer *soma_optimizer_by_name(soma_context *context, const char *name) {
    RETURN_NULL_IF(context, !name, SOMA_INVALID, "no optimizer named");
    for (int i = 0; optimizer_table[i]; i++) {
        if (!name_matches(optimizer_table[i]->name, name)) continue;
        optimizer_options *options = mem_zalloc(context_of(context), optimizer_table[i]->size);
        if (!options) return NULL;
        options->context = context;
        soma_optimizer *optimizer = soma_optimizer_create(optimizer_table[i], options);
        mem_free(context_of(context), options, optimizer_table[i]->size);
        return optimizer_failed(optimizer) ? NULL : optimizer;
    }
    (void)name_unknown(context, "optimizer", name, optimizer_name_list);
    return NULL;
}

/* ---- what they do ---- */

int optimizer_slots(const soma_optimizer *optimizer, const soma_variable *weight, soma_slot slots[SOMA_MAX_SLOTS]) {
    memset(slots, 0, SOMA_MAX_SLOTS * sizeof *slots);
    return optimizer->kind->slots ? optimizer->kind->slots(optimizer->options, weight, slots) : 0;
}

static soma_tensor *like(soma_tensor *x, double value) {
    return x ? soma_scalar(x->graph, x->dtype, value) : NULL;
}

static soma_tensor *sum_of_squares(soma_tensor *g) {
    return soma_sum(soma_square(g), SOMA_ALL_AXES, false);
}

/* limit / max(norm, limit): 1 where the norm is small enough, also for a norm of 0 */
static soma_tensor *shrink(soma_tensor *squares, double limit) {
    soma_tensor *norm = soma_sqrt(squares);
    return soma_div(like(norm, limit), soma_maximum(norm, like(norm, limit)));
}

soma_status optimizer_clip(const soma_optimizer *optimizer, soma_tensor **g, int n) {
    const optimizer_options *o = optimizer->options;
    soma_tensor *factor = NULL;
    if (!(o->clipnorm > 0) && o->global_clipnorm > 0) {
        soma_tensor *squares = n > 0 ? sum_of_squares(g[0]) : NULL;
        for (int i = 1; i < n; i++)
            squares = soma_add(squares, soma_cast(sum_of_squares(g[i]), g[0]->dtype));
        factor = shrink(squares, o->global_clipnorm);
    }
    for (int i = 0; i < n; i++) {
        if (o->clipnorm > 0) {
            g[i] = soma_mul(g[i], shrink(sum_of_squares(g[i]), o->clipnorm));
        } else if (o->global_clipnorm > 0) {
            g[i] = g[i] && factor ? soma_mul(g[i], soma_cast(factor, g[i]->dtype)) : NULL;
        } else if (o->clipvalue > 0) {
            g[i] = soma_clip(g[i], -o->clipvalue, o->clipvalue);
        }
        if (!g[i])
            return soma_last_status(optimizer->context) != SOMA_OK ? soma_last_status(optimizer->context)
                                                                   : SOMA_INVALID;
    }
    return SOMA_OK;
}

/* Whether one of the words, between which there are bars, is a part of the name. */
static bool has_word(const char *words, const char *name) {
    for (size_t n; words; words = words[n] ? words + n + 1 : NULL) {
        n = strcspn(words, "|");
        for (const char *at = name; n > 0 && *at; at++)
            if (strncmp(at, words, n) == 0) return true;
    }
    return false;
}

soma_tensor *optimizer_update(const soma_optimizer *optimizer, soma_update *update) {
    const soma_optimizer_class *kind = optimizer->kind;
    const bool decays = !has_word(optimizer->options->exclude_from_weight_decay, soma_variable_name(update->variable));
    double decay = kind->decay ? kind->decay(optimizer->options, update->variable) : optimizer->options->weight_decay;
    if (decay > 0 && decays) {
        soma_tensor *factor = soma_mul_scalar(update->learning_rate, decay);
        update->w = soma_sub(update->w, soma_mul(update->w, factor));
    }
    return optimizer->kind->update(optimizer->options, update);
}

soma_tensor *optimizer_average(soma_tensor *old, soma_tensor *new_value, double decay) {
    return soma_add(old, soma_mul_scalar(soma_sub(new_value, old), 1 - decay));
}

/* ---- JSON ---- */

/* The class of a name, the user's or ours; NULL when there is none. */
static const soma_optimizer_class *class_find(const soma_custom *custom, const char *name) {
    for (int i = 0; custom && i < SOMA_MAX_CUSTOM; i++) {
        if (custom[i].optimizer && name_matches(custom[i].optimizer->name, name)) return custom[i].optimizer;
    }
    for (int i = 0; optimizer_table[i]; i++) {
        if (name_matches(optimizer_table[i]->name, name)) return optimizer_table[i];
    }
    return NULL;
}

soma_optimizer *optimizer_from_json_node(const field_names *names, const json_node *node) {
    const char *name = json_node_string(node);
    const json_node *config = NULL;
    if (!name && json_node_find(node, "class_name")) {
        name = json_node_string(json_node_find(node, "class_name"));
        config = json_node_find(node, "config");
    } else if (!name && json_node_kind(node) == JSON_IS_OBJECT && json_node_count(node) == 1) {
        void *cursor = NULL;
        (void)json_node_next(node, &cursor, &name, &config);
    }
    RETURN_NULL_IF(names->context, !name, SOMA_INVALID,
                   "[compile] the optimizer must be a name, or a name with its options");
    const soma_optimizer_class *kind = class_find(names->custom, name);
    if (!kind) {
        (void)name_unknown(names->context, "optimizer", name, optimizer_name_list);
        return NULL;
    }
    optimizer_options *options = mem_zalloc(names->context, kind->size);
    if (!options) return NULL;
    options->context = names->context;
    const soma_field *tables[FIELD_TABLES] = {kind->fields, common_fields};
    soma_status status = SOMA_OK;
    if (config && json_node_number(config, &options->learning_rate)) {
        if (options->learning_rate == 0) options->learning_rate = SOMA_ZERO;
    } else {
        status = fields_read(names, kind->name, tables, config, options);
    }
    soma_optimizer *optimizer = status == SOMA_OK ? soma_optimizer_create(kind, options) : NULL;
    mem_free(names->context, options, kind->size);
    return optimizer_failed(optimizer) ? NULL : optimizer;
}

/* Whether a field has the value that it has by itself. */
static bool is_standard(const soma_field *f, const void *options) {
    const void *value = (const char *)options + f->offset;
    switch (f->kind) {
    case SOMA_FIELD_BOOL:
        return !*(const bool *)value;
    case SOMA_FIELD_INT:
        return (double)*(const int64_t *)value == f->standard;
    case SOMA_FIELD_STRING:
        return !*(const char *const *)value;
    default:
        return *(const double *)value == f->standard;
    }
}

static soma_status write_common(text *out, const field_names *names, const soma_optimizer *optimizer, bool *first) {
    for (int i = 0; common_fields[i].name; i++) {
        const soma_field one[] = {common_fields[i], {.name = NULL}};
        if (i >= ALWAYS_WRITTEN && is_standard(&one[0], optimizer->options)) continue;
        TRY(fields_write(out, names, optimizer->kind->name, one, optimizer->options, first));
    }
    return SOMA_OK;
}

soma_status optimizer_write_json(text *out, const field_names *names, const soma_optimizer *optimizer) {
    bool first = true;
    text_append(out, "{\"class_name\": ");
    json_write_string(out, optimizer->kind->name);
    text_append(out, ", \"config\": {");
    TRY(fields_write(out, names, optimizer->kind->name, optimizer->kind->fields, optimizer->options, &first));
    TRY(write_common(out, names, optimizer, &first));
    text_append(out, "}}");
    return out->failed ? SOMA_NO_MEMORY : SOMA_OK;
}
