/* Layers: their life, their names, their weights' list.
 * Rests on fields.h for the options. A class is data and two functions; see layer_dense.c for one.
 * A layer only describes its weights; variables are made by the model, which knows the context and the order. */
#include "nn/layer.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "base/context_internal.h"
#include "base/number.h"

const soma_field layer_common_fields[] = {
    {.name = "name", .kind = SOMA_FIELD_STRING, .offset = offsetof(layer_options, name)},
    {.name = "input_shape", .kind = SOMA_FIELD_SHAPE, .offset = offsetof(layer_options, input_shape)},
    {.name = "dtype", .kind = SOMA_FIELD_DTYPE, .offset = offsetof(layer_options, dtype)},
    {.name = "trainable", .kind = SOMA_FIELD_NOT, .offset = offsetof(layer_options, frozen)},
    {.name = "activity_regularizer",
     .kind = SOMA_FIELD_REGULARIZER,
     .offset = offsetof(layer_options, activity_regularizer)},
    {.name = "seed", .kind = SOMA_FIELD_SEED, .offset = offsetof(layer_options, seed)},
    {.name = NULL}};
const soma_field *const layer_input_shape_field = &layer_common_fields[1];

const soma_layer_class *const layer_table[] = {
#define LAYER(name) &layer_##name,
#include "nn/layers.def"
#undef LAYER
    NULL};

const char *const layer_name_list[] = {
#define LAYER(name) #name,
#include "nn/layers.def"
#undef LAYER
    NULL};

/* Keras has second names for some: MaxPool2D, GlobalAvgPool1D, Convolution2D, GroupedQueryAttention. */
static bool second_name(const char *name, char *out, size_t size) {
    static const char *const words[][2] = {{"MaxPool", "MaxPooling"},
                                           {"AvgPool", "AveragePooling"},
                                           {"Convolution", "Conv"},
                                           {"GroupedQuery", "GroupQuery"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *at = strstr(name, words[i][0]), *rest = at ? at + strlen(words[i][0]) : NULL;
        if (!at || strncmp(rest, "ing", 3) == 0) continue;
        const int n = number_format(out, size, "%.*s%s%s", (int)(at - name), name, words[i][1], rest);
        return n > 0 && (size_t)n < size;
    }
    return false;
}

static const soma_layer_class *find_class(const soma_custom *custom, const char *name) {
    for (int i = 0; custom && i < SOMA_MAX_CUSTOM; i++) {
        if (custom[i].layer && name_matches(custom[i].layer->name, name)) return custom[i].layer;
    }
    for (int i = 0; layer_table[i]; i++) {
        if (name_matches(layer_table[i]->name, name) || name_matches(layer_name_list[i], name)) return layer_table[i];
    }
    return NULL;
}

const soma_layer_class *layer_class_find(const soma_custom *custom, const char *name) {
    char second[64];
    const soma_layer_class *kind = find_class(custom, name);
    return !kind && second_name(name, second, sizeof second) ? find_class(custom, second) : kind;
}

/* ---- life ---- */

static const soma_field no_fields[] = {{.name = NULL}};

static const soma_field *fields_of(const soma_layer_class *kind) {
    return kind->fields ? kind->fields : no_fields;
}

static char *copy_string(soma_context *context, const char *string) {
    char *copy = mem_alloc(context, strlen(string) + 1);
    return copy ? memcpy(copy, string, strlen(string) + 1) : NULL;
}

static void free_string(soma_context *context, char *string) {
    if (string) mem_free(context, string, strlen(string) + 1);
}

/* The string options become copies of the layer's own; all or none. */
static soma_status own_strings(soma_layer *layer) {
    soma_status status = SOMA_OK;
    for (const soma_field *f = fields_of(layer->kind); f->name; f++) {
        if (f->kind != SOMA_FIELD_STRING) continue;
        const char **string = (const char **)(void *)((char *)layer->options + f->offset);
        if (!*string) continue;
        *string = status == SOMA_OK ? copy_string(layer->context, *string) : NULL;
        if (!*string) status = SOMA_NO_MEMORY;
    }
    return status;
}

/* ---- layers that are options of others ---- */

static soma_layer **inner_at(const void *options, const soma_field *f) {
    return (soma_layer **)(void *)((char *)(uintptr_t)options + f->offset);
}

/* The layer in an option that is one, if this layer has taken it over. */
static soma_layer *own_inner(const soma_layer *layer, const soma_field *f) {
    soma_layer *inner = f->kind == SOMA_FIELD_LAYER ? *inner_at(layer->options, f) : NULL;
    return inner && inner->owner == layer ? inner : NULL;
}

static void set_dtype(soma_layer *layer, soma_dtype dtype) {
    layer->options->dtype = dtype;
    for (const soma_field *f = fields_of(layer->kind); f->name; f++) {
        if (own_inner(layer, f)) set_dtype(own_inner(layer, f), dtype);
    }
}

bool layer_trains(const soma_layer *layer, int i) {
    const layer_weight *w = &layer->weights[i];
    return !w->spec.not_trainable && !w->spec.state && !w->frozen && !layer->options->frozen;
}

void layer_set_frozen(soma_layer *layer, bool frozen) {
    layer->options->frozen = frozen;
    for (const soma_field *f = fields_of(layer->kind); f->name; f++) {
        if (own_inner(layer, f)) layer_set_frozen(own_inner(layer, f), frozen);
    }
    for (int i = 0; i < layer->n_weights; i++) {
        layer->weights[i].frozen = frozen;
        if (layer->weights[i].variable) layer->weights[i].variable->trainable = layer_trains(layer, i);
    }
}

soma_status layer_adopt(soma_layer *layer, soma_layer *inner) {
    RETURN_IF(layer->context, inner->owner || inner->references > 0 || inner->n_symbols > 0, SOMA_INVALID,
              "[%s] the %s given to it belongs to a model or another layer", layer->kind->name, inner->kind->name);
    inner->owner = layer;
    layer_retain(inner);
    if (inner->options->dtype == SOMA_F64) layer->options->dtype = SOMA_F64;
    set_dtype(inner, layer->options->dtype);
    return SOMA_OK;
}

static soma_status own_layers(soma_layer *layer) {
    for (const soma_field *f = fields_of(layer->kind); f->name; f++) {
        if (f->kind != SOMA_FIELD_LAYER || !*inner_at(layer->options, f)) continue;
        if (own_inner(layer, f)) {
            *inner_at(layer->options, f) = NULL;
            return error_set(layer->context, SOMA_INVALID, "[%s] %s is there twice", layer->kind->name, f->name);
        }
        TRY(layer_adopt(layer, *inner_at(layer->options, f)));
    }
    return SOMA_OK;
}

void layer_options_abandon(const soma_layer_class *kind, const void *options) {
    for (const soma_field *f = fields_of(kind); options && f->name; f++) {
        soma_layer *inner = f->kind == SOMA_FIELD_LAYER ? *inner_at(options, f) : NULL;
        if (inner && !inner->owner && inner->n_symbols == 0) soma_layer_destroy(inner);
    }
}

/* Lets go of the layers among the options that this one could not take over. */
static void drop_layers(soma_layer *layer) {
    for (const soma_field *f = fields_of(layer->kind); f->name; f++) {
        if (f->kind != SOMA_FIELD_LAYER || own_inner(layer, f)) continue;
        soma_layer *inner = *inner_at(layer->options, f);
        if (inner && !inner->owner && inner->n_symbols == 0) soma_layer_destroy(inner);
        *inner_at(layer->options, f) = NULL;
    }
}

static void free_options(soma_layer *layer) {
    for (const soma_field *f = fields_of(layer->kind); f->name; f++) {
        if (f->kind == SOMA_FIELD_STRING)
            free_string(layer->context, *(char **)(void *)((char *)layer->options + f->offset));
        if (own_inner(layer, f)) layer_release(own_inner(layer, f));
    }
    fields_forget_numbers(layer->context, layer->kind->fields, layer->options);
    mem_free(layer->context, layer->options, layer->kind->size);
}

soma_layer *soma_layer_create(const soma_layer_class *kind, const void *options) {
    soma_context *context = context_of(options ? ((const layer_options *)options)->context : NULL);
    RETURN_NULL_IF(context, !kind || !kind->call || kind->size < sizeof(layer_options), SOMA_INVALID,
                   "[layer] the class lacks its call, or its options do not begin with SOMA_LAYER_OPTIONS");
    soma_layer *layer = mem_zalloc(context, sizeof *layer);
    if (layer) layer->options = mem_zalloc(context, kind->size);
    if (!layer || !layer->options) {
        mem_free(context, layer, sizeof *layer);
        layer_options_abandon(kind, options);
        return NULL;
    }
    layer->context = context;
    layer->kind = kind;
    if (options) memcpy(layer->options, options, kind->size);
    soma_status status = own_strings(layer), numbers = fields_own_numbers(context, kind->fields, layer->options);
    if (status == SOMA_OK) status = numbers;
    if (status == SOMA_OK) status = own_layers(layer);
    if (status == SOMA_OK) status = fields_complete(context, kind->name, layer_common_fields, layer->options);
    if (status == SOMA_OK) status = fields_complete(context, kind->name, kind->fields, layer->options);
    if (status == SOMA_OK && layer->options->name) status = layer_set_name(layer, layer->options->name);
    layer->options->name = layer->name;
    if (status == SOMA_OK) return layer;
    drop_layers(layer);
    layer_release(layer);
    return NULL;
}

const void *soma_layer_options(const soma_layer *layer) {
    return layer ? layer->options : NULL;
}

void layer_retain(soma_layer *layer) {
    layer->references++;
}

void layer_free_symbol(soma_layer *layer, soma_symbol *symbol) {
    mem_free(layer->context, symbol->inputs, (size_t)symbol->n_inputs * sizeof *symbol->inputs);
    mem_free(layer->context, symbol, sizeof *symbol);
}

void layer_release(soma_layer *layer) {
    if (--layer->references > 0) return;
    for (int i = 0; i < layer->n_weights; i++) {
        soma_variable_destroy(layer->weights[i].variable);
        free_string(layer->context, (char *)(uintptr_t)layer->weights[i].spec.name);
    }
    mem_free(layer->context, layer->weights, (size_t)layer->n_weights * sizeof *layer->weights);
    for (int i = 0; i < layer->n_symbols; i++)
        layer_free_symbol(layer, layer->symbols[i]);
    mem_free(layer->context, layer->symbols, (size_t)layer->n_symbols * sizeof *layer->symbols);
    free_string(layer->context, layer->name);
    free_options(layer);
    mem_free(layer->context, layer, sizeof *layer);
}

void soma_layer_destroy(soma_layer *layer) {
    if (layer && layer->references == 0) layer_release(layer);
}

/* ---- names ---- */

soma_status layer_set_name(soma_layer *layer, const char *name) {
    RETURN_IF(layer->context, !*name || strchr(name, '/'), SOMA_INVALID,
              "[layer] the name '%s' must not be empty, nor have a '/' in it", name);
    char *copy = copy_string(layer->context, name);
    if (!copy) return SOMA_NO_MEMORY;
    free_string(layer->context, layer->name);
    layer->name = copy;
    layer->options->name = copy;
    return SOMA_OK;
}

char *layer_snake_name(soma_context *context, const char *class_name) {
    text t;
    text_init(&t, context);
    for (const char *c = class_name; *c; c++) {
        bool starts = isupper((unsigned char)*c) && c > class_name &&
                      (islower((unsigned char)c[-1]) || (c[1] && islower((unsigned char)c[1])));
        text_printf(&t, "%s%c", starts ? "_" : "", tolower((unsigned char)*c));
    }
    char *result = text_take(&t);
    text_deinit(&t);
    return result;
}

const char *soma_layer_name(const soma_layer *layer) {
    return layer && layer->name ? layer->name : "";
}
const char *soma_layer_class_name(const soma_layer *layer) {
    return layer ? layer->kind->name : "";
}

/* ---- weights ---- */

int soma_layer_weights(const soma_layer *layer) {
    return layer ? layer->n_weights : 0;
}

soma_variable *soma_layer_get_weight(const soma_layer *layer, int i) {
    return layer && i >= 0 && i < layer->n_weights ? layer->weights[i].variable : NULL;
}

soma_status layer_set_weight(soma_layer *layer, int i, const double *values) {
    soma_variable *v = soma_layer_get_weight(layer, i);
    RETURN_IF(layer->context, !v, SOMA_INVALID, "[%s] its weights are made when it is in a model", layer->kind->name);
    const size_t n = (size_t)v->size;
    if (v->dtype == SOMA_F64) return soma_variable_set(v, values, n * sizeof *values);
    float *singles = mem_alloc(layer->context, n * sizeof *singles);
    if (!singles) return SOMA_NO_MEMORY;
    for (size_t k = 0; k < n; k++)
        singles[k] = (float)values[k];
    soma_status status = soma_variable_set(v, singles, n * sizeof *singles);
    mem_free(layer->context, singles, n * sizeof *singles);
    return status;
}

/* The weights of a layer that is an option are its owner's, one after the other. */
static soma_status add_to_owner(soma_layer *layer, const soma_weight_options *options) {
    soma_weight_options weight = *options;
    text name;
    text_init(&name, layer->context);
    text_printf(&name, "%s%s", layer->prefix ? layer->prefix : "", options->name);
    weight.name = text_string(&name);
    if (layer->n_inner == 0) layer->first = layer->owner->owner ? layer->owner->n_inner : layer->owner->n_weights;
    soma_status status = name.failed ? SOMA_NO_MEMORY : soma_layer_add_weight(layer->owner, &weight);
    if (status == SOMA_OK) {
        const soma_layer *root = layer->owner;
        while (root->owner)
            root = root->owner;
        if (layer->options->frozen) root->weights[root->n_weights - 1].frozen = true;
        layer->n_inner++;
    }
    text_deinit(&name);
    return status;
}

soma_status soma_layer_add_weight(soma_layer *layer, const soma_weight_options *options) {
    soma_context *context = layer ? layer->context : NULL;
    RETURN_IF(context, !layer || !options || !options->name, SOMA_INVALID, "[layer] a weight needs a layer and a name");
    RETURN_IF(context,
              options->rank < 0 || options->rank > SOMA_MAX_RANK || shape_size(options->rank, options->shape) < 0,
              SOMA_SHAPE, "[%s] the shape of %s is negative or too large", layer->kind->name, options->name);
    if (layer->owner) return add_to_owner(layer, options);
    size_t n = (size_t)layer->n_weights;
    char *name = copy_string(layer->context, options->name);
    if (!name) return SOMA_NO_MEMORY;
    layer_weight *weights = mem_realloc(layer->context, layer->weights, n * sizeof *weights, (n + 1) * sizeof *weights);
    if (!weights) {
        free_string(layer->context, name);
        return SOMA_NO_MEMORY;
    }
    layer->weights = weights;
    layer->weights[n] = (layer_weight){.spec = *options};
    layer->weights[n].spec.name = name;
    layer->n_weights++;
    return SOMA_OK;
}

soma_status soma_layer_build_inner(soma_layer *layer, soma_layer *inner, const char *prefix, soma_tensor *const *inputs,
                                   int n) {
    RETURN_IF(NULL, !layer || !inputs, SOMA_INVALID, "[layer] no layer or no inputs given");
    RETURN_IF(layer->context, !inner || inner->owner != layer, SOMA_INVALID, "[%s] no layer is given to it",
              layer->kind->name);
    inner->prefix = prefix;
    if (inner->kind->build) TRY(inner->kind->build(inner, inputs, n));
    inner->built = true;
    return SOMA_OK;
}

soma_tensor *layer_cast(const soma_layer *layer, soma_tensor *x) {
    return x && x->dtype != layer->options->dtype ? soma_cast(x, layer->options->dtype) : x;
}

soma_tensor *layer_float(const soma_layer *layer, soma_tensor *x) {
    return x && !dtype_is_float(x->dtype) ? soma_cast(x, layer->options->dtype) : x;
}
