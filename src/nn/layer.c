/* Layers: their life, their names, their weights' list.
 * Rests on fields.c for the options. A class is data and two functions; see layer_dense.c for one.
 * A layer only describes its weights; variables are made by the model, which knows the context and the order. */
#include "nn/layer.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "base/context_internal.h"

const soma_field layer_common_fields[] = {
    {.name = "name", .kind = SOMA_FIELD_STRING, .offset = offsetof(layer_options, name)},
    {.name = "input_shape", .kind = SOMA_FIELD_SHAPE, .offset = offsetof(layer_options, input_shape)},
    {.name = "dtype", .kind = SOMA_FIELD_DTYPE, .offset = offsetof(layer_options, dtype)},
    {.name = "trainable", .kind = SOMA_FIELD_NOT, .offset = offsetof(layer_options, frozen)},
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

const soma_layer_class *layer_class_find(const soma_custom *custom, const char *name) {
    for (int i = 0; custom && i < SOMA_MAX_CUSTOM; i++) {
        if (custom[i].layer && name_matches(custom[i].layer->name, name)) return custom[i].layer;
    }
    for (int i = 0; layer_table[i]; i++) {
        if (name_matches(layer_table[i]->name, name) || name_matches(layer_name_list[i], name)) return layer_table[i];
    }
    return NULL;
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

static void free_options(soma_layer *layer) {
    for (const soma_field *f = fields_of(layer->kind); f->name; f++) {
        if (f->kind != SOMA_FIELD_STRING) continue;
        free_string(layer->context, *(char **)(void *)((char *)layer->options + f->offset));
    }
    mem_free(layer->context, layer->options, layer->kind->size);
}

soma_layer *soma_layer_create(const soma_layer_class *kind, const void *options) {
    soma_context *context = context_of(options ? ((const layer_options *)options)->context : NULL);
    RETURN_NULL_IF(context, !kind || !kind->call || kind->size < sizeof(layer_options), SOMA_INVALID,
                   "[layer] the class lacks its call, or its options do not begin with SOMA_LAYER_OPTIONS");
    soma_layer *layer = mem_zalloc(context, sizeof *layer);
    if (!layer) return NULL;
    layer->context = context;
    layer->kind = kind;
    layer->options = mem_zalloc(context, kind->size);
    if (!layer->options) {
        mem_free(context, layer, sizeof *layer);
        return NULL;
    }
    if (options) memcpy(layer->options, options, kind->size);
    soma_status status = own_strings(layer);
    if (status == SOMA_OK) status = fields_complete(context, kind->name, layer_common_fields, layer->options);
    if (status == SOMA_OK) status = fields_complete(context, kind->name, kind->fields, layer->options);
    if (status == SOMA_OK && layer->options->name) status = layer_set_name(layer, layer->options->name);
    layer->options->name = layer->name;
    if (status == SOMA_OK) return layer;
    layer_release(layer);
    return NULL;
}

const void *soma_layer_options(const soma_layer *layer) {
    return layer ? layer->options : NULL;
}

void layer_retain(soma_layer *layer) {
    layer->references++;
}

static void free_symbol(soma_layer *layer, soma_symbol *symbol) {
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
        free_symbol(layer, layer->symbols[i]);
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

soma_status soma_layer_add_weight(soma_layer *layer, const soma_weight_options *options) {
    soma_context *context = layer ? layer->context : NULL;
    RETURN_IF(context, !layer || !options || !options->name, SOMA_INVALID, "[layer] a weight needs a layer and a name");
    RETURN_IF(context,
              options->rank < 0 || options->rank > SOMA_MAX_RANK || shape_size(options->rank, options->shape) < 0,
              SOMA_SHAPE, "[%s] the shape of %s is negative or too large", layer->kind->name, options->name);
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

soma_tensor *layer_cast(const soma_layer *layer, soma_tensor *x) {
    return x && x->dtype != layer->options->dtype ? soma_cast(x, layer->options->dtype) : x;
}

soma_tensor *layer_float(const soma_layer *layer, soma_tensor *x) {
    return x && !dtype_is_float(x->dtype) ? soma_cast(x, layer->options->dtype) : x;
}
