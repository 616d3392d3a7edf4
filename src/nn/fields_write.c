/* Options as tables: writing them as JSON.
 * Rests on fields.h; one function a kind of value, chosen by the field's kind. What is unset, or as its default has it,
 * is left out. */
#include "nn/layer.h"

#include <math.h>
#include <string.h>

#include "nn/schedules.h"

static void write_seed(text *out, int64_t seed) {
    text_printf(out, "%lld", seed == SOMA_SEED_ZERO ? 0 : (long long)seed);
}

/* A function by its name, "zeros", or with its numbers, {"constant": {"value": 2}}. */
static soma_status write_function(text *out, const field_names *names, const char *who, const char *option,
                                  const name_table *table, soma_function *function, const double *parameters,
                                  int64_t seed) {
    const char *name = name_for(table, names->custom, function);
    RETURN_IF(names->context, !name, SOMA_INVALID,
              "[%s] %s: the function has no name: give it one by .custom = {{\"name\", (soma_function *)function}}",
              who, option);
    const name_entry *entry = name_of(table, function);
    const bool numbers = parameters && (!entry || entry->n > 0);
    if (!numbers && !seed) {
        json_write_string(out, name);
        return SOMA_OK;
    }
    text_append(out, "{");
    json_write_string(out, name);
    text_append(out, ": {");
    if (numbers && entry) fields_write_numbers(out, entry, parameters);
    if (numbers && !entry) fields_write_own(out, parameters, table->room);
    if (seed) text_append(out, numbers ? ", \"seed\": " : "\"seed\": ");
    if (seed) write_seed(out, seed);
    text_append(out, "}}");
    return SOMA_OK;
}

/* Whether there is anything to write. */
static bool is_set(const soma_field *f, const void *value) {
    switch (f->kind) {
    case SOMA_FIELD_STRING:
        return *(const char *const *)value != NULL;
    case SOMA_FIELD_SHAPE:
    case SOMA_FIELD_AXES:
        return *(const int64_t *)value != 0;
    case SOMA_FIELD_ACTIVATION:
        return *(soma_activation_fn *const *)value != NULL;
    case SOMA_FIELD_INITIALIZER:
        return ((const soma_initializer *)value)->build != NULL;
    case SOMA_FIELD_CONSTRAINT:
        return ((const soma_constraint *)value)->apply != NULL;
    case SOMA_FIELD_LOSS:
        return ((const soma_loss *)value)->build != NULL;
    case SOMA_FIELD_SCHEDULE:
        return ((const soma_schedule *)value)->rate != NULL;
    case SOMA_FIELD_REGULARIZER:
        return ((const soma_regularizer *)value)->penalty != NULL;
    case SOMA_FIELD_RANGE:
        return ((const double *)value)[0] != 0 || ((const double *)value)[1] != 0 ||
               signbit(((const double *)value)[0]);
    case SOMA_FIELD_SEED:
        return *(const int64_t *)value != 0;
    case SOMA_FIELD_LAYER:
        return *(soma_layer *const *)value != NULL;
    case SOMA_FIELD_NUMBERS:
        return ((const soma_numbers *)value)->n > 0;
    default:
        return true;
    }
}

static void write_shape(text *out, const int64_t *shape) {
    text_append(out, "[");
    for (int i = 0; i < SOMA_MAX_RANK && shape[i] != 0; i++)
        text_printf(out, "%s%lld", i ? ", " : "", (long long)shape[i]);
    text_append(out, "]");
}

static void write_range(text *out, const double range[2]) {
    const bool both = range[1] != 0 || range[0] < 0;
    if (both) text_append(out, "[");
    json_write_number(out, range[0]);
    if (!both) return;
    text_append(out, ", ");
    json_write_number(out, range[1]);
    text_append(out, "]");
}

/* Keras' way: one axis is a number, several a list, none null. */
static void write_axes(text *out, const int64_t *axes) {
    if (axes[0] == SOMA_NO_AXES) {
        text_append(out, "null");
    } else if (axes[1] == 0) {
        text_printf(out, "%lld", (long long)axes[0]);
    } else {
        write_shape(out, axes);
    }
}

static void write_numbers(text *out, const soma_numbers *numbers) {
    for (int64_t i = 0; i < numbers->n; i++) {
        text_append(out, i ? ", " : "[");
        json_write_number(out, numbers->values[i]);
    }
    text_append(out, "]");
}

static soma_status write_value(text *out, const field_names *names, const char *who, const soma_field *f,
                               const void *value) {
    switch (f->kind) {
    case SOMA_FIELD_BOOL:
        text_append(out, *(const bool *)value ? "true" : "false");
        return SOMA_OK;
    case SOMA_FIELD_NOT:
        text_append(out, *(const bool *)value ? "false" : "true");
        return SOMA_OK;
    case SOMA_FIELD_INT:
        text_printf(out, "%lld", (long long)*(const int64_t *)value);
        return SOMA_OK;
    case SOMA_FIELD_WORD:
        text_printf(out, "%d", *(const int *)value);
        return SOMA_OK;
    case SOMA_FIELD_NUMBER:
        json_write_number(out, *(const double *)value);
        return SOMA_OK;
    case SOMA_FIELD_STRING:
        json_write_string(out, *(const char *const *)value);
        return SOMA_OK;
    case SOMA_FIELD_SHAPE:
        write_shape(out, value);
        return SOMA_OK;
    case SOMA_FIELD_AXES:
        write_axes(out, value);
        return SOMA_OK;
    case SOMA_FIELD_DTYPE:
        json_write_string(out, soma_dtype_name(*(const soma_dtype *)value));
        return SOMA_OK;
    case SOMA_FIELD_ACTIVATION:
        return write_function(out, names, who, f->name, &activation_names,
                              (soma_function *)*(soma_activation_fn *const *)value, NULL, 0);
    case SOMA_FIELD_INITIALIZER: {
        const soma_initializer *initializer = value;
        return write_function(out, names, who, f->name, &initializer_names, (soma_function *)initializer->build,
                              initializer->parameters, initializer->seed);
    }
    case SOMA_FIELD_CONSTRAINT: {
        const soma_constraint *constraint = value;
        return write_function(out, names, who, f->name, &constraint_names, (soma_function *)constraint->apply,
                              constraint->parameters, 0);
    }
    case SOMA_FIELD_LOSS: {
        const soma_loss *loss = value;
        return write_function(out, names, who, f->name, &loss_with_names, (soma_function *)loss->build,
                              loss->parameters, 0);
    }
    case SOMA_FIELD_SCHEDULE:
        return schedule_write_json(out, names, who, value);
    case SOMA_FIELD_REGULARIZER: {
        const soma_regularizer *regularizer = value;
        return write_function(out, names, who, f->name, &regularizer_names, (soma_function *)regularizer->penalty,
                              regularizer->parameters, 0);
    }
    case SOMA_FIELD_RANGE:
        write_range(out, value);
        return SOMA_OK;
    case SOMA_FIELD_SEED:
        write_seed(out, *(const int64_t *)value);
        return SOMA_OK;
    case SOMA_FIELD_NUMBERS:
        write_numbers(out, value);
        return SOMA_OK;
    case SOMA_FIELD_LAYER:
        return layer_write_json(out, names, *(soma_layer *const *)value);
    }
    return SOMA_OK;
}

soma_status fields_write(text *out, const field_names *names, const char *who, const soma_field *fields,
                         const void *options, bool *first) {
    for (const soma_field *f = fields; f && f->name; f++) {
        const void *value = field_at_const(options, f);
        if (!is_set(f, value)) continue;
        text_printf(out, "%s\"%s\": ", *first ? "" : ", ", f->name);
        *first = false;
        TRY(write_value(out, names, who, f, value));
    }
    return SOMA_OK;
}
