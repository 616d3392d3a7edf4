/* Options as tables: reading them from JSON.
 * Rests on fields.h; one function a kind of value, chosen by the field's kind.
 * Everything read comes from files, so each value is checked for its type before it is stored. */
#include "nn/layer.h"

#include <math.h>
#include <string.h>

#include <soma/layers.h>

#include "base/number.h"
#include "nn/schedules.h"

static soma_status wrong(const field_names *names, const char *who, const soma_field *f, const char *expected) {
    return error_set(names->context, SOMA_INVALID, "[%s] %s must be %s", who, f->name, expected);
}

/* 0.2, which is -0.2 to 0.2, or [-0.1, 0.2]. */
static soma_status read_range(const field_names *names, const char *who, const soma_field *f, const json_node *node,
                              double out[2]) {
    double low = 0, high = 0;
    if (json_node_number(node, &low)) {
        if (low < 0) return wrong(names, who, f, "at least 0");
    } else if (json_node_kind(node) != JSON_IS_ARRAY || json_node_count(node) != 2 ||
               !json_node_number(json_node_at(node, 0), &low) || !json_node_number(json_node_at(node, 1), &high) ||
               !(low <= high)) {
        return wrong(names, who, f, "a number from 0, or two, the smaller first");
    }
    out[0] = low == 0 && high == 0 ? SOMA_ZERO : low;
    out[1] = high;
    return SOMA_OK;
}

static soma_status read_seed(const field_names *names, const char *who, const json_node *node, int64_t *out) {
    if (!node || json_node_kind(node) == JSON_IS_NULL) return SOMA_OK;
    RETURN_IF(names->context, !json_node_integer(node, out), SOMA_INVALID, "[%s] seed must be a whole number", who);
    if (*out == 0) *out = SOMA_SEED_ZERO;
    return SOMA_OK;
}

/* A name, {"name": numbers}, or Keras' {"class_name": name, "config": numbers}. */
static soma_status read_function(const field_names *names, const char *who, const soma_field *f,
                                 const name_table *table, const json_node *node, soma_function **function,
                                 double *parameters, int64_t *seed) {
    const char *name = json_node_string(node);
    const json_node *numbers = NULL;
    if (!name && json_node_find(node, "class_name")) {
        name = json_node_string(json_node_find(node, "class_name"));
        numbers = json_node_find(node, "config");
    } else if (!name && json_node_kind(node) == JSON_IS_OBJECT && json_node_count(node) == 1) {
        void *cursor = NULL;
        (void)json_node_next(node, &cursor, &name, &numbers);
    }
    if (!name) return wrong(names, who, f, "a name, or a name with its numbers");
    const name_entry *entry;
    soma_function *found = name_resolve(names->context, table, names->custom, name, &entry);
    if (!found) return SOMA_NOT_FOUND;
    *function = found;
    RETURN_IF(names->context, !parameters && numbers && json_node_count(numbers) > 0, SOMA_INVALID,
              "[%s] %s: %s takes no numbers there; a layer of its own may", who, f->name, name);
    if (seed && json_node_kind(numbers) == JSON_IS_OBJECT)
        TRY(read_seed(names, who, json_node_find(numbers, "seed"), seed));
    if (!parameters) return SOMA_OK;
    if (!entry) return fields_read_own(names, who, name, numbers, parameters, table->room);
    return fields_read_numbers(names, who, entry, numbers, parameters, entry->n);
}

/* Borders, of which there may be none: a zero in a file is meant, and -1 stands for it in the list. */
static bool is_border(const soma_field *f) {
    static const char *const borders[] = {"padding", "cropping", "pads", "output_padding"};
    for (size_t i = 0; i < sizeof borders / sizeof *borders; i++) {
        if (strcmp(f->name, borders[i]) == 0) return true;
    }
    return false;
}

/* The numbers of a list, also of lists within it, [[1, 2], [3, 4]], behind the *n that are there. */
static soma_status add_extents(const field_names *names, const char *who, const soma_field *f, const json_node *node,
                               int64_t *shape, int *n) {
    if (json_node_kind(node) == JSON_IS_ARRAY) {
        for (int64_t i = 0; i < json_node_count(node); i++) {
            const json_node *one = json_node_at(node, i);
            if (json_node_kind(one) == JSON_IS_ARRAY && !is_border(f)) return wrong(names, who, f, "a list of numbers");
            TRY(add_extents(names, who, f, one, shape, n));
        }
        return SOMA_OK;
    }
    if (*n == SOMA_MAX_RANK) return wrong(names, who, f, "a list of at most 8 whole numbers");
    if (json_node_kind(node) == JSON_IS_NULL) { /* any, or what is there */
        shape[(*n)++] = -1;
        return SOMA_OK;
    }
    if (!json_node_integer(node, &shape[*n])) return wrong(names, who, f, "a list of whole numbers");
    if (shape[*n] == 0 && is_border(f)) shape[*n] = -1;
    if (shape[*n] == 0) return wrong(names, who, f, "a list of whole numbers that are not zero");
    (*n)++;
    return SOMA_OK;
}

static soma_status read_shape(const field_names *names, const char *who, const soma_field *f, const json_node *node,
                              int64_t *shape) {
    int n = 0;
    memset(shape, 0, SOMA_MAX_RANK * sizeof *shape);
    return add_extents(names, who, f, node, shape, &n);
}

static soma_status read_dtype(const field_names *names, const char *who, const soma_field *f, const json_node *node,
                              soma_dtype *dtype) {
    const char *name = json_node_string(node);
    for (int i = 0; name && i < SOMA_DTYPE_COUNT; i++) {
        if (strcmp(name, soma_dtype_name((soma_dtype)i)) == 0) {
            *dtype = (soma_dtype)i;
            return SOMA_OK;
        }
    }
    return wrong(names, who, f, "the name of a dtype, such as \"float32\"");
}

static soma_status read_number(const field_names *names, const char *who, const soma_field *f, const json_node *node,
                               double *out) {
    if (!json_node_number(node, out)) return wrong(names, who, f, "a number");
    if (*out == 0) *out = SOMA_ZERO; /* a zero in a file is meant */
    return SOMA_OK;
}

/* A list of cells is one cell of them. */
static soma_layer *stacked_cells(const field_names *names, const json_node *list) {
    soma_stacked_rnn_cells_options o = {.context = names->context};
    const int64_t n = json_node_count(list);
    RETURN_NULL_IF(names->context, n < 1 || n > SOMA_MAX_CELLS, SOMA_INVALID, "[RNN] %lld cells: 1 to %d are possible",
                   (long long)n, SOMA_MAX_CELLS);
    for (int i = 0; i < (int)n; i++) {
        o.cells[i] = layer_from_json_node(names, json_node_at(list, i));
        if (o.cells[i]) continue;
        while (i > 0)
            soma_layer_destroy(o.cells[--i]);
        return NULL;
    }
    return soma_stacked_rnn_cells_create(&o);
}

/* A list of any length, or one number; freed by fields_forget_numbers. */
static soma_status read_numbers(const field_names *names, const char *who, const soma_field *f, const json_node *node,
                                soma_numbers *out) {
    const bool list = json_node_kind(node) == JSON_IS_ARRAY;
    const int64_t n = list ? json_node_count(node) : 1;
    mem_free(names->context, (double *)(uintptr_t)out->values, (size_t)out->n * sizeof *out->values); /* given twice */
    *out = (soma_numbers){.n = 0};
    double *values = mem_alloc(names->context, (size_t)n * sizeof *values);
    if (!values) return SOMA_NO_MEMORY;
    *out = (soma_numbers){.n = n, .values = values};
    for (int64_t i = 0; i < n; i++) {
        if (!json_node_number(list ? json_node_at(node, i) : node, &values[i]))
            return wrong(names, who, f, "a number, or a list of numbers");
    }
    return SOMA_OK;
}

soma_status fields_read_value(const field_names *names, const char *who, const soma_field *f, const json_node *node,
                              void *options) {
    void *value = field_at(options, f);
    bool flag;
    double number;
    switch (f->kind) {
    case SOMA_FIELD_BOOL:
    case SOMA_FIELD_NOT:
        if (strcmp(f->name, "verbose") == 0 && json_node_number(node, &number)) {
            flag = number != 0; /* Keras' is a number */
        } else if (!json_node_bool(node, &flag)) {
            return wrong(names, who, f, "true or false");
        }
        *(bool *)value = f->kind == SOMA_FIELD_BOOL ? flag : !flag;
        return SOMA_OK;
    case SOMA_FIELD_INT:
        if (json_node_string(node) && field_word(f->name, json_node_string(node), &number)) {
            *(int64_t *)value = (int64_t)number;
            return SOMA_OK;
        }
        if (json_node_kind(node) == JSON_IS_ARRAY && json_node_count(node) == 1) node = json_node_at(node, 0);
        if (!json_node_integer(node, value)) return wrong(names, who, f, "a whole number");
        RETURN_IF(names->context, *(int64_t *)value == 0 && f->standard != 0 && f->low != f->high, SOMA_INVALID,
                  "[%s] %s must not be 0", who, f->name);
        return SOMA_OK;
    case SOMA_FIELD_WORD:
        if (!json_node_string(node) || !field_word(f->name, json_node_string(node), &number))
            return field_no_number(names, who, "", f->name);
        *(int *)value = (int)number;
        return SOMA_OK;
    case SOMA_FIELD_NUMBER:
        return read_number(names, who, f, node, value);
    case SOMA_FIELD_STRING:
        *(const char **)value = json_node_string(node);
        return *(const char **)value ? SOMA_OK : wrong(names, who, f, "a string");
    case SOMA_FIELD_AXES:
    case SOMA_FIELD_SHAPE:
        return read_shape(names, who, f, node, value);
    case SOMA_FIELD_DTYPE:
        return read_dtype(names, who, f, node, value);
    case SOMA_FIELD_ACTIVATION: {
        soma_function *function = NULL;
        TRY(read_function(names, who, f, &activation_names, node, &function, NULL, NULL));
        *(soma_activation_fn **)value = (soma_activation_fn *)function;
        return SOMA_OK;
    }
    case SOMA_FIELD_INITIALIZER: {
        soma_initializer *initializer = value;
        soma_function *function = NULL;
        TRY(read_function(names, who, f, &initializer_names, node, &function, initializer->parameters,
                          &initializer->seed));
        initializer->build = (soma_initializer_fn *)function;
        return SOMA_OK;
    }
    case SOMA_FIELD_CONSTRAINT: {
        soma_constraint *constraint = value;
        soma_function *function = NULL;
        TRY(read_function(names, who, f, &constraint_names, node, &function, constraint->parameters, NULL));
        constraint->apply = (soma_constraint_fn *)function;
        return SOMA_OK;
    }
    case SOMA_FIELD_LOSS: {
        soma_loss *loss = value;
        soma_function *function = NULL;
        TRY(read_function(names, who, f, &loss_with_names, node, &function, loss->parameters, NULL));
        loss->build = (soma_loss_with_fn *)function;
        return SOMA_OK;
    }
    case SOMA_FIELD_SCHEDULE:
        return schedule_read_json(names, who, node, value);
    case SOMA_FIELD_REGULARIZER: {
        soma_regularizer *regularizer = value;
        soma_function *function = NULL;
        TRY(read_function(names, who, f, &regularizer_names, node, &function, regularizer->parameters, NULL));
        regularizer->penalty = (soma_regularizer_fn *)function;
        return SOMA_OK;
    }
    case SOMA_FIELD_RANGE:
        return read_range(names, who, f, node, value);
    case SOMA_FIELD_SEED:
        return read_seed(names, who, node, value);
    case SOMA_FIELD_NUMBERS:
        return read_numbers(names, who, f, node, value);
    case SOMA_FIELD_LAYER: {
        soma_layer **layer = value;
        soma_layer_destroy(*layer); /* named twice */
        *layer = json_node_kind(node) == JSON_IS_ARRAY ? stacked_cells(names, node) : layer_from_json_node(names, node);
        if (*layer) return SOMA_OK;
        soma_status status = soma_last_status(names->context);
        return status != SOMA_OK ? status : SOMA_NO_MEMORY;
    }
    }
    return SOMA_OK;
}

static soma_status unknown_option(const field_names *names, const char *who, const soma_field *const *tables,
                                  const char *key) {
    enum { KNOWN = 64 };
    const char *known[KNOWN];
    int n = 0;
    for (int t = 0; t < FIELD_TABLES; t++) {
        for (const soma_field *f = tables[t]; f && f->name && n < KNOWN; f++)
            known[n++] = f->name;
    }
    const char *nearest = text_nearest(key, known, n);
    return error_set(names->context, SOMA_NOT_FOUND, "[%s] unknown option '%s'%s%s%s", who, key,
                     nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

/* Keras' words for options that have another name here. */
static const char *our_name(const char *who, const char *key) {
    static const struct {
        const char *whose, *key, *ours;
    } others[] = {{"InputLayer", "shape", "input_shape"}, {"MultiHeadAttention", "output_shape", "output_dim"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(others[i].whose, who) == 0 && strcmp(others[i].key, key) == 0) return others[i].ours;
    }
    return key;
}

/* Options in Keras' configurations that say how it works, not what comes out: whatever they are, it is the same here.
 * And others as long as they ask for nothing: null, or false. */
static bool says_nothing(const char *key, const json_node *value) {
    static const char *const keys[] = {"unroll", "use_cudnn", "flash_attention",  "synchronized",   "jit_compile",
                                       "name",   "oov_token", "vocabulary_dtype", "vocabulary_size"};
    static const char *const flags[] = {"sparse", "pad_to_max_tokens", "invert"};
    bool on = true;
    if (json_node_kind(value) == JSON_IS_NULL) return true;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(keys[i], key) == 0) return true;
    }
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (strcmp(flags[i], key) == 0) return json_node_bool(value, &on) && !on;
    }
    return false;
}

/* The table's entry for a key. Where a rate is not a number it is a function of the step: the schedule's entry. */
static const soma_field *find(const soma_field *const tables[FIELD_TABLES], const char *key, const json_node *value) {
    bool schedule = strcmp(key, "learning_rate") == 0 && json_node_kind(value) == JSON_IS_OBJECT;
    for (int t = 0; t < FIELD_TABLES; t++) {
        for (const soma_field *f = tables[t]; f && f->name; f++) {
            if (schedule ? f->kind == SOMA_FIELD_SCHEDULE : strcmp(f->name, key) == 0) return f;
        }
    }
    return NULL;
}

soma_status fields_read(const field_names *names, const char *who, const soma_field *const tables[FIELD_TABLES],
                        const json_node *object, void *options) {
    if (!object || json_node_kind(object) == JSON_IS_NULL) return SOMA_OK;
    RETURN_IF(names->context, json_node_kind(object) != JSON_IS_OBJECT, SOMA_INVALID,
              "[%s] its options must be given by name", who);
    void *cursor = NULL;
    const char *key;
    const json_node *value;
    while (json_node_next(object, &cursor, &key, &value)) {
        const bool list = strcmp(key, "cells") == 0 && json_node_kind(value) == JSON_IS_ARRAY;
        for (int64_t i = 0; list && i < json_node_count(value); i++) {
            char cell[24];
            (void)number_format(cell, sizeof cell, "cell_%lld", (long long)i);
            const soma_field *one = find(tables, cell, value);
            if (!one) return unknown_option(names, who, tables, cell);
            TRY(fields_read_value(names, who, one, json_node_at(value, i), options));
        }
        if (list) continue;
        const soma_field *found = find(tables, our_name(who, key), value);
        if (!found && says_nothing(key, value)) continue;
        if (!found) return unknown_option(names, who, tables, key);
        if (json_node_kind(value) == JSON_IS_NULL) {
            if (found->kind == SOMA_FIELD_AXES && found->low == SOMA_NO_AXES)
                *(int64_t *)field_at(options, found) = SOMA_NO_AXES;
            continue;
        }
        TRY(fields_read_value(names, who, found, value, options));
    }
    return SOMA_OK;
}
