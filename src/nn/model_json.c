/* Models as JSON: what .soma files keep, and what people write in configurations.
 * Rests on fields.h. {"layers": [...]} is a sequential model; with "calls" it is any other: values are numbered, inputs
 * first, then the result of each call. Everything read is checked before it is used. */
#include <string.h>

#include "base/context_internal.h"
#include "nn/model.h"

/* ---- layers ---- */

soma_status layer_write_json(text *out, const field_names *names, const soma_layer *layer) {
    bool first = true;
    text_append(out, "{\"class_name\": ");
    json_write_string(out, layer->kind->name);
    text_append(out, ", \"config\": {");
    TRY(fields_write(out, names, layer->kind->name, layer_common_fields, layer->options, &first));
    TRY(fields_write(out, names, layer->kind->name, layer->kind->fields, layer->options, &first));
    text_append(out, "}}");
    return out->failed ? SOMA_NO_MEMORY : SOMA_OK;
}

/* The class' name and its options, in each of the ways that they may be written. */
static const char *split(const json_node *node, const json_node **config) {
    *config = NULL;
    const char *name = json_node_string(node);
    if (name) return name;
    if (json_node_find(node, "class_name")) {
        *config = json_node_find(node, "config");
        return json_node_string(json_node_find(node, "class_name"));
    }
    if (json_node_kind(node) != JSON_IS_OBJECT || json_node_count(node) != 1) return NULL;
    void *cursor = NULL;
    (void)json_node_next(node, &cursor, &name, config);
    return name;
}

/* Often an option stands beside the name instead of below it: it is named, the second of an object's keys. */
static void refuse_layer(const field_names *names, const json_node *node) {
    void *cursor = NULL;
    const char *name = NULL, *beside = NULL;
    const json_node *value;
    const bool two = json_node_kind(node) == JSON_IS_OBJECT && json_node_next(node, &cursor, &name, &value) &&
                     json_node_next(node, &cursor, &beside, &value);
    (void)error_set(names->context, SOMA_INVALID,
                    "[model] a layer must be a name, {\"dense\": {...}} or {\"class_name\": \"Dense\", \"config\": "
                    "{...}}%s%s%s%s%s",
                    two ? "; here '" : "", two ? beside : "", two ? "' stands beside '" : "", two ? name : "",
                    two ? "', not among its options" : "");
}

soma_layer *layer_from_json_node(const field_names *names, const json_node *node) {
    const json_node *config;
    const char *name = node ? split(node, &config) : NULL;
    if (!name) {
        refuse_layer(names, node);
        return NULL;
    }
    const soma_layer_class *kind = layer_class_find(names->custom, name);
    if (!kind) {
        (void)name_unknown(names->context, "layer", name, layer_name_list);
        return NULL;
    }
    layer_options *options = mem_zalloc(names->context, kind->size);
    if (!options) return NULL;
    options->context = names->context;
    json_kind shape = config ? json_node_kind(config) : JSON_IS_NULL;
    soma_status status;
    if (shape == JSON_IS_NULL || shape == JSON_IS_OBJECT) {
        const soma_field *tables[FIELD_TABLES] = {kind->fields, layer_common_fields};
        status = fields_read(names, kind->name, tables, config, options);
    } else {
        const soma_field *first = kind->fields;
        if (!first || (shape == JSON_IS_ARRAY && first->kind == SOMA_FIELD_STRING)) first = layer_input_shape_field;
        status = fields_read_value(names, kind->name, first, config, options);
    }
    soma_layer *layer = status == SOMA_OK ? soma_layer_create(kind, options) : NULL;
    if (status != SOMA_OK) layer_options_abandon(kind, options);
    fields_forget_numbers(names->context, kind->fields, options);
    mem_free(names->context, options, kind->size);
    return layer;
}

/* ---- models ---- */

static void write_indices(text *out, const int *indices, int n) {
    text_append(out, "[");
    for (int i = 0; i < n; i++)
        text_printf(out, "%s%d", i ? ", " : "", indices[i]);
    text_append(out, "]");
}

static void write_shape(text *out, const model_value *value) {
    text_append(out, "[");
    for (int i = 0; i < value->rank; i++)
        text_printf(out, "%s%lld", i ? ", " : "", (long long)value->shape[i]);
    text_append(out, "]");
}

soma_status model_write_json(text *out, const field_names *names, const soma_model *model) {
    text_append(out, "{\"class_name\": ");
    text_append(out, model->sequential ? "\"Sequential\"" : "\"Functional\"");
    text_append(out, ", \"name\": ");
    json_write_string(out, model->name);
    if (model->sequential && model->built) {
        text_append(out, ", \"input_shape\": ");
        write_shape(out, &model->values[model->inputs[0]]);
    }
    if (!model->raw_pixels) {
        text_append(out, ", \"pixels\": {\"scale\": ");
        json_write_number(out, model->pixel_scale);
        text_append(out, ", \"offset\": ");
        json_write_number(out, model->pixel_offset);
        text_append(out, "}");
    }
    text_append(out, ", \"layers\": [");
    for (int i = 0; i < model->n_layers; i++) {
        if (i) text_append(out, ", ");
        TRY(layer_write_json(out, names, model->layers[i]));
    }
    text_append(out, "]");
    if (!model->sequential) {
        text_printf(out, ", \"inputs\": %d, \"calls\": [", model->n_inputs);
        for (int i = 0; i < model->n_calls; i++) {
            text_printf(out, "%s{\"layer\": %d, \"inputs\": ", i ? ", " : "", model->calls[i].layer);
            write_indices(out, model->calls[i].inputs, model->calls[i].n_inputs);
            text_append(out, "}");
        }
        text_append(out, "], \"outputs\": ");
        write_indices(out, model->outputs, model->n_outputs);
    }
    text_append(out, "}");
    return out->failed ? SOMA_NO_MEMORY : SOMA_OK;
}

/* Every layer read has a reference here until the model, if there is one, has its own. */
static void release_layers(soma_layer **layers, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (layers[i]) layer_release(layers[i]);
    }
}

static soma_status failure(const field_names *names) {
    soma_status status = soma_last_status(names->context);
    return status != SOMA_OK ? status : SOMA_INVALID;
}

static soma_status read_layers(const field_names *names, const json_node *list, soma_layer **layers) {
    for (int64_t i = 0; i < json_node_count(list); i++) {
        layers[i] = layer_from_json_node(names, json_node_at(list, i));
        if (!layers[i]) return failure(names);
        layer_retain(layers[i]);
    }
    return SOMA_OK;
}

/* What a model that is not sequential is read from. */
typedef struct wiring {
    const field_names *names;
    const json_node *calls, *outputs;
    soma_layer **layers;
    int64_t n_layers, n_inputs, n_calls;
    int64_t known;         /* values so far */
    soma_symbol **symbols; /* of the inputs, then of each call's results */
    soma_symbol **chosen;  /* room for the inputs of a call, or the outputs */
} wiring;

/* chosen becomes the symbols of a list of indices, which must be known. */
static soma_status choose(wiring *w, const json_node *list) {
    int64_t count = json_node_count(list), index;
    RETURN_IF(w->names->context, count < 1 || count > w->known, SOMA_FORMAT,
              "[model] a call or \"outputs\" has %lld values, %lld are there", (long long)count, (long long)w->known);
    for (int64_t i = 0; i < count; i++) {
        RETURN_IF(w->names->context,
                  !json_node_integer(json_node_at(list, i), &index) || index < 0 || index >= w->known, SOMA_FORMAT,
                  "[model] a call or output refers to a value that is not there yet");
        w->chosen[i] = w->symbols[index];
    }
    return SOMA_OK;
}

/* A symbol makes an input layer of its own, which takes the place of the one that was read. */
static soma_status read_input(wiring *w, int64_t i) {
    const layer_options *o = w->layers[i]->options;
    RETURN_IF(w->names->context, w->layers[i]->kind != &layer_input, SOMA_FORMAT,
              "[model] its first layers must be its inputs");
    int rank = 0;
    while (rank < SOMA_MAX_RANK && o->input_shape[rank] != 0)
        rank++;
    w->symbols[i] = soma_symbol_create(w->names->context, rank, o->input_shape, o->name);
    if (!w->symbols[i]) return failure(w->names);
    layer_release(w->layers[i]);
    w->layers[i] = w->symbols[i]->layer;
    layer_retain(w->layers[i]);
    return SOMA_OK;
}

static soma_status read_call(wiring *w, int64_t i) {
    const json_node *call = json_node_at(w->calls, i);
    int64_t layer;
    RETURN_IF(w->names->context,
              !json_node_integer(json_node_find(call, "layer"), &layer) || layer < w->n_inputs || layer >= w->n_layers,
              SOMA_FORMAT, "[model] call %lld names no layer", (long long)i);
    const json_node *list = json_node_find(call, "inputs");
    TRY(choose(w, list));
    soma_symbol *y = soma_call_many(w->layers[layer], w->chosen, (int)json_node_count(list));
    if (!y) return failure(w->names);
    for (int j = 0; j < y->n_results; j++)
        w->symbols[w->known++] = soma_symbol_output(y, j);
    return SOMA_OK;
}

static soma_status read_wiring(wiring *w) {
    for (int64_t i = 0; i < w->n_inputs; i++)
        TRY(read_input(w, i));
    w->known = w->n_inputs;
    for (int64_t i = 0; i < w->n_calls; i++)
        TRY(read_call(w, i));
    return choose(w, w->outputs);
}

static soma_model *functional(const field_names *names, const json_node *root, soma_layer **layers, int64_t n,
                              bool make) {
    wiring w = {.names = names, .layers = layers, .n_layers = n};
    w.calls = json_node_find(root, "calls");
    w.outputs = json_node_find(root, "outputs");
    w.n_calls = json_node_count(w.calls);
    RETURN_NULL_IF(names->context,
                   !json_node_integer(json_node_find(root, "inputs"), &w.n_inputs) || w.n_inputs < 1 || w.n_inputs > n,
                   SOMA_FORMAT, "[model] \"inputs\" must be the number of its inputs");
    size_t most = (size_t)(w.n_inputs + SOMA_MAX_OUTPUTS * w.n_calls), bytes = 2 * most * sizeof(soma_symbol *);
    w.symbols = mem_zalloc(names->context, bytes);
    if (!w.symbols) return NULL;
    w.chosen = w.symbols + most;
    soma_model *model = NULL;
    if (read_wiring(&w) == SOMA_OK)
        model = model_functional(w.symbols, (int)w.n_inputs, w.chosen, (int)json_node_count(w.outputs), make);
    mem_free(names->context, w.symbols, bytes);
    return model;
}

static soma_status read_pixels(const field_names *names, soma_model *model, const json_node *node) {
    if (!node) return SOMA_OK;
    const json_node *offset = json_node_find(node, "offset");
    RETURN_IF(names->context,
              !json_node_number(json_node_find(node, "scale"), &model->pixel_scale) ||
                  (offset && !json_node_number(offset, &model->pixel_offset)),
              SOMA_INVALID, "[model] pixels: scale and offset must be numbers");
    model->raw_pixels = false;
    return SOMA_OK;
}

static soma_status read_rest(const field_names *names, const json_node *root, soma_model *model, bool make) {
    TRY(read_pixels(names, model, json_node_find(root, "pixels")));
    const json_node *name = json_node_find(root, "name"), *shape = json_node_find(root, "input_shape");
    if (name) {
        RETURN_IF(names->context, !json_node_string(name), SOMA_INVALID, "[model] its name must be a string");
        TRY(soma_model_set_name(model, json_node_string(name)));
    }
    if (!shape || model->built) return SOMA_OK;
    int64_t extents[SOMA_MAX_RANK];
    int64_t rank = json_node_count(shape);
    for (int64_t i = 0; i < rank && rank <= SOMA_MAX_RANK; i++) {
        RETURN_IF(names->context, !json_node_integer(json_node_at(shape, i), &extents[i]), SOMA_INVALID,
                  "[model] input_shape must be a list of whole numbers");
    }
    RETURN_IF(names->context, rank < 1 || rank >= SOMA_MAX_RANK, SOMA_INVALID, "[model] input_shape has rank %lld",
              (long long)rank);
    return make ? soma_model_build(model, (int)rank, extents) : model_describe(model, (int)rank, extents);
}

static soma_status check_keys(const field_names *names, const json_node *root) {
    static const char *const known[] = {"class_name", "name",  "input_shape", "pixels", "layers",
                                        "inputs",     "calls", "outputs",     NULL};
    void *cursor = NULL;
    const char *key;
    const json_node *value;
    while (json_node_next(root, &cursor, &key, &value)) {
        int i = 0;
        while (known[i] && strcmp(known[i], key) != 0)
            i++;
        if (!known[i]) return name_unknown(names->context, "model option", key, known);
    }
    return SOMA_OK;
}

soma_model *model_from_json_node(const field_names *names, const json_node *root, bool make) {
    const json_node *list = json_node_find(root, "layers");
    int64_t n = json_node_kind(list) == JSON_IS_ARRAY ? json_node_count(list) : 0;
    RETURN_NULL_IF(names->context, n < 1 || n > INT32_MAX, SOMA_INVALID, "[model] it needs a list of \"layers\"");
    if (check_keys(names, root) != SOMA_OK) return NULL;
    soma_layer **layers = mem_zalloc(names->context, (size_t)n * sizeof *layers);
    if (!layers) return NULL;
    soma_model *model = NULL;
    if (read_layers(names, list, layers) == SOMA_OK) {
        model = json_node_find(root, "calls") ? functional(names, root, layers, n, make)
                                              : model_sequential(names->context, layers, (int)n, make);
    }
    if (model && read_rest(names, root, model, make) != SOMA_OK) {
        soma_model_destroy(model);
        model = NULL;
    }
    release_layers(layers, n);
    mem_free(names->context, layers, (size_t)n * sizeof *layers);
    return model;
}

/* ---- public ---- */

static json_document *parse(soma_context *context, const char *json) {
    RETURN_NULL_IF(context, !json, SOMA_INVALID, "[model] no JSON given");
    json_document *document = NULL;
    return json_document_parse(context, "JSON", 0, json, strlen(json), &document) == SOMA_OK ? document : NULL;
}

soma_model *soma_model_from_json(soma_context *context, const char *json) {
    field_names names = {.context = context_of(context)};
    json_document *document = parse(names.context, json);
    if (!document) return NULL;
    soma_model *model = model_from_json_node(&names, json_document_root(document), true);
    json_document_free(document);
    return model;
}

soma_layer *soma_layer_from_json(soma_context *context, const char *json) {
    field_names names = {.context = context_of(context)};
    json_document *document = parse(names.context, json);
    if (!document) return NULL;
    soma_layer *layer = layer_from_json_node(&names, json_document_root(document));
    json_document_free(document);
    return layer;
}

char *soma_model_to_json(const soma_model *model) {
    RETURN_NULL_IF(NULL, !model, SOMA_INVALID, "[model] no model given");
    field_names names = {.context = model->context};
    text out;
    text_init(&out, model->context);
    char *result = model_write_json(&out, &names, model) == SOMA_OK ? text_take(&out) : NULL;
    text_deinit(&out);
    return result;
}
