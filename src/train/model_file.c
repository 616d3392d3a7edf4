/* The .soma file: a safetensors file whose metadata says what the tensors belong to.
 * Rests on formats/safetensors.h and on the JSON of models and training. Metadata: "soma" the version of the layout,
 * "model", "training", "history", "labels" JSON. Weights are row-major under "layer/weight", the optimizer's state
 * under "optimizer/...". No clock, no path: equal models give equal bytes. Reading compares the file with the
 * description of the model before it makes anything of that size. */
#include <stdio.h>
#include <string.h>

#include "base/context_internal.h"
#include "formats/safetensors.h"
#include "train/model_file.h"
#include "train/training_json.h"

enum { METADATA = 8 };
static const char VERSION[] = "1";

/* ---- what is in a file ---- */

/* The k-th variable that belongs into the file; NULL after the last. */
static soma_variable *variable_at(const soma_model *model, bool optimizer, int64_t k) {
    for (int i = 0; i < model->n_layers; i++) {
        int n = model->layers[i]->n_weights;
        if (k < n) return model->layers[i]->weights[k].variable;
        k -= n;
    }
    const training *t = model->training;
    return optimizer && t && k <= INT32_MAX ? soma_minimizer_variable(&t->minimizer, (int)k) : NULL;
}

/* ---- saving ---- */

typedef struct metadata {
    safetensors_metadata items[METADATA];
    text texts[METADATA];
    int n;
} metadata;

static text *metadata_add(metadata *m, soma_context *context, const char *key) {
    text *t = &m->texts[m->n];
    text_init(t, context);
    m->items[m->n++].key = key;
    return t;
}

static soma_status describe(const soma_model *model, const field_names *names, bool optimizer, metadata *m) {
    const training *t = model->training;
    text_append(metadata_add(m, model->context, "soma"), VERSION);
    TRY(model_write_json(metadata_add(m, model->context, "model"), names, model));
    if (t && t->n_labels > 0) TRY(labels_write_json(metadata_add(m, model->context, "labels"), model));
    if (!t || !t->compiled || !optimizer) return SOMA_OK;
    TRY(training_write_json(metadata_add(m, model->context, "training"), names, model));
    if (t->history.epochs > 0) TRY(history_write_json(metadata_add(m, model->context, "history"), model));
    return SOMA_OK;
}

/* Row-major copies of all variables, one after the other, and an entry for each. */
typedef struct contents {
    safetensors_entry *entries;
    int64_t n;
    char *data;
    size_t bytes;
} contents;

static size_t variable_bytes(const soma_variable *v) {
    return (size_t)v->size * soma_dtype_size(v->dtype);
}

/* With room for more entries behind them. */
static soma_status copy_variables(const soma_model *model, bool optimizer, int more, contents *c) {
    const soma_variable *v;
    for (; (v = variable_at(model, optimizer, c->n)) != NULL; c->n++)
        c->bytes += variable_bytes(v);
    int64_t variables = c->n;
    c->n += more;
    c->entries = mem_zalloc(model->context, (size_t)c->n * sizeof *c->entries);
    c->data = mem_alloc(model->context, c->bytes);
    if (!c->entries || !c->data) return SOMA_NO_MEMORY;
    char *data = c->data;
    for (int64_t i = 0; i < variables; i++) {
        v = variable_at(model, optimizer, i);
        TRY(soma_variable_get(v, data, variable_bytes(v)));
        c->entries[i] =
            (safetensors_entry){.name = v->name, .dtype = v->dtype, .rank = v->rank, .shape = v->shape, .data = data};
        data += variable_bytes(v);
    }
    return SOMA_OK;
}

soma_status soma_model_save(const soma_model *model, const soma_save_options *options) {
    return model_save_with(model, options, NULL, 0);
}

soma_status model_save_with(const soma_model *model, const soma_save_options *options, const safetensors_entry *more,
                            int n) {
    RETURN_IF(NULL, !model || !options || !options->path, SOMA_INVALID, "[save] no model or no path given");
    RETURN_IF(model->context, !model->built, SOMA_INVALID, "[save] the model has no weights yet");
    field_names names = {.context = model->context, .custom = options->custom};
    metadata m = {.n = 0};
    contents c = {.n = 0};
    place_entries place = {.n = 0};
    const training *t = model->training;
    if (t && t->compiled && !options->no_optimizer) place_write(&t->place, &place);
    soma_status status = describe(model, &names, !options->no_optimizer, &m);
    if (status == SOMA_OK) status = copy_variables(model, !options->no_optimizer, place.n + n, &c);
    for (int i = 0; i < place.n + n && status == SOMA_OK; i++)
        c.entries[c.n - n - place.n + i] = i < place.n ? place.items[i] : more[i - place.n];
    for (int i = 0; i < m.n; i++)
        m.items[i].value = text_string(&m.texts[i]);
    if (status == SOMA_OK) status = safetensors_write(model->context, options->path, c.entries, (int)c.n, m.items, m.n);
    for (int i = 0; i < m.n; i++)
        text_deinit(&m.texts[i]);
    mem_free(model->context, c.entries, (size_t)c.n * sizeof *c.entries);
    mem_free(model->context, c.data, c.bytes);
    return status;
}

/* ---- loading ---- */

typedef struct loading {
    field_names names;
    const char *path;
    safetensors *file;
} loading;

/* The JSON of a key; *out NULL when the file has no such key. */
static soma_status parse(const loading *l, const char *key, json_document **out) {
    *out = NULL;
    const char *json = safetensors_metadata_find(l->file, key);
    if (!json) return SOMA_OK;
    text name;
    text_init(&name, l->names.context);
    text_printf(&name, "%s: %s", l->path, key);
    soma_status status = SOMA_NO_MEMORY;
    if (!name.failed) status = json_document_parse(l->names.context, text_string(&name), 0, json, strlen(json), out);
    text_deinit(&name);
    return status;
}

/* Reads a part of the metadata by one of the *_read_json. */
static soma_status read_part(const loading *l, soma_model *model, const char *key,
                             soma_status (*read)(const field_names *, soma_model *, const json_node *)) {
    json_document *document;
    TRY(parse(l, key, &document));
    if (!document) return SOMA_OK;
    soma_status status = read(&l->names, model, json_document_root(document));
    json_document_free(document);
    return status;
}

static soma_status check_entry(const loading *l, const char *name, soma_dtype dtype, int rank, const int64_t *shape,
                               const safetensors_entry **entry) {
    *entry = safetensors_find(l->file, name);
    RETURN_IF(l->names.context, !*entry, SOMA_FORMAT, "%s: tensor '%s' is missing", l->path, name);
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    RETURN_IF(l->names.context, (*entry)->dtype != dtype || !shape_equal((*entry)->rank, (*entry)->shape, rank, shape),
              SOMA_FORMAT, "%s: tensor '%s' is %s %s, the model needs %s %s", l->path, name, (*entry)->dtype_name,
              shape_text(a, (*entry)->rank, (*entry)->shape), soma_dtype_name(dtype), shape_text(b, rank, shape));
    return SOMA_OK;
}

/* Compares the weights that the architecture describes with what the file has, before they are made. */
static soma_status check_weights(const loading *l, const soma_model *model) {
    RETURN_IF(l->names.context, !model->built, SOMA_FORMAT, "%s: the model has no input shape", l->path);
    for (int i = 0; i < model->n_layers; i++) {
        const soma_layer *layer = model->layers[i];
        for (int j = 0; j < layer->n_weights; j++) {
            const soma_weight_options *spec = &layer->weights[j].spec;
            const safetensors_entry *entry;
            text name;
            text_init(&name, l->names.context);
            text_printf(&name, "%s/%s", layer->name, spec->name);
            soma_status status = name.failed ? SOMA_NO_MEMORY
                                             : check_entry(l, text_string(&name), layer->options->dtype, spec->rank,
                                                           spec->shape, &entry);
            text_deinit(&name);
            TRY(status);
        }
    }
    return SOMA_OK;
}

static soma_status fill_variables(const loading *l, soma_model *model) {
    soma_variable *v;
    for (int64_t i = 0; (v = variable_at(model, true, i)) != NULL; i++) {
        const safetensors_entry *entry;
        TRY(check_entry(l, v->name, v->dtype, v->rank, v->shape, &entry));
        TRY(soma_variable_set(v, entry->data, variable_bytes(v)));
    }
    return SOMA_OK;
}

static soma_status fill(const loading *l, soma_model *model) {
    TRY(check_weights(l, model));
    TRY(model_make_variables(model, false));
    TRY(read_part(l, model, "labels", labels_read_json));
    TRY(read_part(l, model, "training", training_read_json));
    const training *t = model->training;
    if (t && t->compiled) {
        TRY(read_part(l, model, "history", history_read_json));
        if (safetensors_find(l->file, "optimizer/iterations")) TRY(training_prepare(model));
        TRY(place_read(&((training *)model->training)->place, model->context, l->path, l->file));
    }
    return fill_variables(l, model);
}

static soma_model *read_model(const loading *l) {
    const char *version = safetensors_metadata_find(l->file, "soma");
    RETURN_NULL_IF(l->names.context, !version || !safetensors_metadata_find(l->file, "model"), SOMA_FORMAT,
                   "%s: a safetensors file, but not one that Soma wrote", l->path);
    RETURN_NULL_IF(l->names.context, strcmp(version, VERSION) != 0, SOMA_FORMAT,
                   "%s: layout version %s; this Soma reads version %s", l->path, version, VERSION);
    json_document *document;
    if (parse(l, "model", &document) != SOMA_OK) return NULL;
    soma_model *model = model_from_json_node(&l->names, json_document_root(document), false);
    json_document_free(document);
    if (model && fill(l, model) != SOMA_OK) {
        soma_model_destroy(model);
        model = NULL;
    }
    return model;
}

/* What is wrong with a layer or an option was said without the file that it came from. */
static void name_file(const loading *l) {
    soma_context *context = l->names.context;
    const char *message = soma_last_error(context);
    if (strstr(message, l->path)) return;
    text prefixed;
    text_init(&prefixed, context);
    text_printf(&prefixed, "%s: %s", l->path, message);
    if (!prefixed.failed) {
        soma_status status = soma_last_status(context);
        soma_clear_error(context);
        (void)error_set(context, status, "%s", text_string(&prefixed));
    }
    text_deinit(&prefixed);
}

static soma_model *load(loading *l) {
    bool clean = soma_last_status(l->names.context) == SOMA_OK;
    soma_model *model = read_model(l);
    safetensors_close(l->file);
    if (!model && clean) name_file(l);
    return model;
}

soma_model *soma_model_load(soma_context *context, const soma_load_options *options) {
    context = context_of(context);
    RETURN_NULL_IF(context, !options || !options->path, SOMA_INVALID, "[load] no path given");
    loading l = {.names = {.context = context, .custom = options->custom}, .path = options->path};
    return safetensors_open(context, options->path, &l.file) == SOMA_OK ? load(&l) : NULL;
}

soma_model *model_load_memory(soma_context *context, const char *name, const void *data, size_t size) {
    loading l = {.names = {.context = context_of(context)}, .path = name};
    return safetensors_open_memory(context, name, data, size, &l.file) == SOMA_OK ? load(&l) : NULL;
}

/* ---- into a model that is there ---- */

/* What the training's JSON says of how far it had come. */
static soma_status read_progress(const field_names *names, soma_model *model, const json_node *node) {
    training *t = model->training;
    int64_t epochs = 0;
    double rate = 0;
    const json_node *config = json_node_find(json_node_find(node, "optimizer"), "config");
    RETURN_IF(names->context, !json_node_integer(json_node_find(node, "epochs"), &epochs) || epochs < 0, SOMA_FORMAT,
              "[restore] epochs must be a whole number");
    RETURN_IF(names->context, !json_node_number(json_node_find(config, "learning_rate"), &rate), SOMA_FORMAT,
              "[restore] the learning rate must be a number");
    t->epochs_done = epochs;
    t->minimizer.optimizer->options->learning_rate = rate;
    return SOMA_OK;
}

soma_status model_restore(soma_model *model, const char *path, safetensors **file) {
    *file = NULL;
    TRY(training_prepare(model));
    loading l = {.names = {.context = model->context}, .path = path};
    TRY(safetensors_open(model->context, path, &l.file));
    *file = l.file;
    TRY(fill_variables(&l, model));
    TRY(read_part(&l, model, "history", history_read_json));
    TRY(place_read(&((training *)model->training)->place, model->context, path, l.file));
    return read_part(&l, model, "training", read_progress);
}
