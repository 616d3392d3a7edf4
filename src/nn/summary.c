/* The summary: a table of layers, output shapes and parameters, drawn as Keras 3 draws it.
 * Rests on model.h. The columns end at fixed shares of the width; what the borders take is then shared out evenly, and
 * cells wrap at spaces. Sequential models have three columns, others say what each layer is connected to. */
#include <math.h>
#include <string.h>

#include "nn/model.h"

enum { COLUMNS = 5 };

/* Corners and lines of a table: left, middle, right of each kind of row, its line, and the bars between cells. */
typedef struct frame {
    const char *top[4], *head[4], *row[4], *bottom[4]; /* left, line, crossing, right */
    const char *head_bar, *bar, *cut;
} frame;

static const frame boxes = {
    {"┏", "━", "┳", "┓"}, {"┡", "━", "╇", "┩"}, {"├", "─", "┼", "┤"}, {"└", "─", "┴", "┘"}, "┃", "│", "…"};
static const frame ascii_boxes = {
    {"+", "-", "+", "+"}, {"+", "=", "+", "+"}, {"+", "-", "+", "+"}, {"+", "-", "+", "+"}, "|", "|", "~"};

typedef struct table {
    text *out;
    const frame *frame;
    int n;
    int width[COLUMNS]; /* of the text in a cell */
    char align[COLUMNS];
} table;

/* Half to even, as the original rounds. */
static int round_even(double x) {
    double low = floor(x), rest = x - low;
    if (rest == 0.5) return (int)low + ((int)low % 2 != 0);
    return (int)floor(x + 0.5);
}

/* Column ends at shares of the whole, each cell with a blank on both sides, reduced evenly to fit between the bars. */
static void layout(table *t, int width, const double *ends) {
    int full[COLUMNS], begin = 0, sum = 0;
    for (int i = 0; i < t->n; i++) {
        int end = (int)(ends[i] * width);
        full[i] = end - begin + 2;
        begin = end;
        sum += full[i];
    }
    int excess = sum - (width - t->n - 1);
    for (int i = 0; i < t->n; i++) {
        int cut = excess > 0 ? round_even((double)excess / (t->n - i)) : 0;
        excess -= cut;
        t->width[i] = full[i] - cut - 2 > 1 ? full[i] - cut - 2 : 1;
    }
}

static void rule(const table *t, const char *const parts[4]) {
    text_append(t->out, parts[0]);
    for (int i = 0; i < t->n; i++) {
        for (int j = 0; j < t->width[i] + 2; j++)
            text_append(t->out, parts[1]);
        text_append(t->out, i + 1 < t->n ? parts[2] : parts[3]);
    }
    text_append(t->out, "\n");
}

/* Columns that n bytes of UTF-8 take, a character each. */
static int columns(const char *s, int n) {
    int count = 0;
    for (int i = 0; i < n; i++)
        count += ((unsigned char)s[i] & 0xC0) != 0x80;
    return count;
}

/* Bytes of the words that fit into a width, at least one word; the first one may be too long. */
static int line_bytes(const char *s, int width) {
    int end = 0;
    for (int i = 0;; i++) {
        if (s[i] && s[i] != ' ') continue;
        if (end > 0 && columns(s, i) > width) return end;
        end = i;
        if (!s[i]) return end;
    }
}

/* A line of a cell; a word that is too long for it loses its end. */
static void cell(const table *t, int column, const char *s, int n) {
    int width = t->width[column], used = columns(s, n);
    bool cut = used > width;
    while (used > width - cut && n > 0) {
        while (n > 0 && ((unsigned char)s[--n] & 0xC0) == 0x80)
            continue;
        used--;
    }
    int blanks = width - used - cut;
    int before = t->align[column] == 'r' ? blanks : t->align[column] == 'c' ? blanks / 2 : 0;
    text_printf(t->out, " %*s%.*s%s%*s ", before, "", n, s, cut ? t->frame->cut : "", blanks - before, "");
}

static void row(const table *t, const char *bar, const char *const *cells) {
    const char *rest[COLUMNS];
    for (int i = 0; i < t->n; i++)
        rest[i] = cells[i];
    for (bool more = true; more;) {
        more = false;
        text_append(t->out, bar);
        for (int i = 0; i < t->n; i++) {
            int n = line_bytes(rest[i], t->width[i]);
            cell(t, i, rest[i], n);
            rest[i] += n;
            while (*rest[i] == ' ')
                rest[i]++;
            more = more || *rest[i];
            text_append(t->out, bar);
        }
        text_append(t->out, "\n");
    }
}

/* ---- what the cells say ---- */

/* 1234567 -> "1,234,567" */
static void add_count(text *out, int64_t count) {
    char digits[24];
    int n = number_format(digits, sizeof digits, "%lld", (long long)count);
    for (int i = 0; i < n; i++)
        text_printf(out, "%s%c", i > 0 && (n - i) % 3 == 0 ? "," : "", digits[i]);
}

static void add_bytes(text *out, double bytes) {
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB"};
    int unit = 0;
    while (bytes >= 1024 && unit < 5)
        bytes /= 1024, unit++;
    text_printf(out, "%.2f %s", bytes, units[unit]);
}

static void add_shape(text *out, const model_value *value) {
    if (value->rank < 0) {
        text_append(out, "?");
        return;
    }
    text_append(out, value->rank == 0 ? "(None,)" : "(None");
    for (int i = 0; i < value->rank; i++)
        text_printf(out, ", %lld", (long long)value->shape[i]);
    if (value->rank > 0) text_append(out, ")");
}

static int64_t weights_size(const soma_layer *layer) {
    int64_t size = 0;
    for (int i = 0; i < layer->n_weights; i++)
        size += shape_size(layer->weights[i].spec.rank, layer->weights[i].spec.shape);
    return size;
}

/* Who made a value: "dense[0][0]". */
static void add_source(text *out, const soma_model *model, int value) {
    for (int i = 0; i < model->n_inputs; i++) {
        if (model->inputs[i] == value) text_printf(out, "%s[0][0]", model->layers[i]->name);
    }
    for (int i = 0; i < model->n_calls; i++) {
        const model_call *call = &model->calls[i];
        if (value < call->output || value >= call->output + call->n_outputs) continue;
        text_printf(out, "%s[%d][%d]", model->layers[call->layer]->name, call->place, value - call->output);
    }
}

static void add_connections(text *out, const soma_model *model, int layer) {
    bool first = true;
    for (int i = 0; i < model->n_calls; i++) {
        if (model->calls[i].layer != layer) continue;
        for (int j = 0; j < model->calls[i].n_inputs; j++) {
            if (!first) text_append(out, ", ");
            first = false;
            add_source(out, model, model->calls[i].inputs[j]);
        }
    }
    if (first) text_append(out, "-");
}

/* What a layer gives at its first call: a shape, or "[(None, 4), (None, 4)]". */
static void add_outputs(text *out, const soma_model *model, int layer) {
    for (int i = 0; i < model->n_calls; i++) {
        const model_call *call = &model->calls[i];
        if (call->layer != layer) continue;
        for (int j = 0; j < call->n_outputs; j++) {
            text_append(out, j ? ", " : call->n_outputs > 1 ? "[" : "");
            add_shape(out, &model->values[call->output + j]);
        }
        if (call->n_outputs > 1) text_append(out, "]");
        return;
    }
    add_shape(out, &model->values[model->inputs[layer < model->n_inputs ? layer : 0]]);
}

/* Whether every layer is called once, on the result of the one before. */
static bool is_chain(const soma_model *model) {
    if (model->sequential) return true;
    if (model->n_inputs != 1 || model->n_outputs != 1 || model->n_calls != model->n_layers - 1) return false;
    for (int i = 0; i < model->n_calls; i++) {
        const model_call *call = &model->calls[i];
        if (call->n_inputs != 1 || call->inputs[0] != i || call->n_outputs != 1) return false;
    }
    return true;
}

static void layer_row(const table *t, const soma_model *model, int i, bool connections, bool trainable) {
    const soma_layer *layer = model->layers[i];
    text cells[COLUMNS];
    const char *strings[COLUMNS];
    for (int c = 0; c < COLUMNS; c++)
        text_init(&cells[c], model->context);
    text_printf(&cells[0], "%s (%s)", layer->name, layer->kind->name);
    add_outputs(&cells[1], model, i);
    if (model->built) {
        add_count(&cells[2], weights_size(layer));
    } else {
        text_append(&cells[2], "0 (unbuilt)");
    }
    int n = 3;
    if (connections) add_connections(&cells[n++], model, i);
    if (trainable) text_append(&cells[n++], layer->n_weights == 0 ? "-" : layer->options->frozen ? "N" : "Y");
    for (int c = 0; c < COLUMNS; c++)
        strings[c] = text_string(&cells[c]);
    row(t, t->frame->bar, strings);
    for (int c = 0; c < COLUMNS; c++) {
        if (cells[c].failed) t->out->failed = true;
        text_deinit(&cells[c]);
    }
}

static void total(text *out, const char *name, int64_t count, double bytes) {
    text_printf(out, " %s params: ", name);
    add_count(out, count);
    text_append(out, " (");
    add_bytes(out, bytes);
    text_append(out, ")\n");
}

static void totals(text *out, const soma_model *model) {
    int64_t count[2] = {0, 0};
    double bytes[2] = {0, 0};
    for (int i = 0; i < model->n_layers; i++) {
        const soma_layer *layer = model->layers[i];
        for (int j = 0; j < layer->n_weights; j++) {
            const soma_weight_options *spec = &layer->weights[j].spec;
            int still = !layer_trains(layer, j);
            int64_t size = shape_size(spec->rank, spec->shape);
            count[still] += size;
            bytes[still] += (double)size * (double)soma_dtype_size(layer->options->dtype);
        }
    }
    total(out, "Total", count[0] + count[1] + model->optimizer_count,
          bytes[0] + bytes[1] + (double)model->optimizer_bytes);
    total(out, "Trainable", count[0], bytes[0]);
    total(out, "Non-trainable", count[1], bytes[1]);
    if (model->optimizer_count > 0) total(out, "Optimizer", model->optimizer_count, (double)model->optimizer_bytes);
}

static void draw(text *out, const soma_model *model, const soma_summary_options *options) {
    static const char *const three[] = {"Layer (type)", "Output Shape", "Param #", "Trainable"};
    static const char *const four[] = {"Layer (type)", "Output Shape", "Param #", "Connected to", "Trainable"};
    bool connections = !is_chain(model), trainable = options->show_trainable;
    table t = {.out = out, .frame = options->ascii ? &ascii_boxes : &boxes, .n = connections ? 4 : 3};
    double ends[COLUMNS] = {0.45, 0.80, 1.0};
    if (connections) memcpy(ends, (const double[]){0.30, 0.56, 0.74, 1.0}, 4 * sizeof *ends);
    memcpy(t.align, connections ? "llrlc" : "llrcc", COLUMNS);
    int line = connections ? 108 : 88;
    if (trainable) {
        for (int i = 0; i < t.n; i++)
            ends[i] *= 0.90;
        ends[t.n++] = 1.0;
        line += 12;
    }
    int width = options->width > 0 ? options->width : 80;
    layout(&t, line < width - 4 ? line : width - 4, ends);
    text_printf(out, "Model: \"%s\"\n", model->name);
    rule(&t, t.frame->top);
    row(&t, t.frame->head_bar, connections ? four : three);
    rule(&t, t.frame->head);
    int shown = 0;
    for (int i = 0; i < model->n_layers; i++) {
        if (model->sequential && model->layers[i]->kind == &layer_input) continue;
        if (shown++) rule(&t, t.frame->row);
        layer_row(&t, model, i, connections, trainable);
    }
    rule(&t, t.frame->bottom);
    totals(out, model);
}

char *soma_summary(const soma_model *model, const soma_summary_options *options) {
    RETURN_NULL_IF(NULL, !model, SOMA_INVALID, "[summary] no model given");
    static const soma_summary_options defaults = {0};
    if (!options) options = &defaults;
    RETURN_NULL_IF(model->context, options->width != 0 && options->width < 40, SOMA_INVALID,
                   "[summary] a width of %d is too little for the table: 40 columns are needed", options->width);
    text out;
    text_init(&out, model->context);
    draw(&out, model, options);
    char *result = text_take(&out);
    text_deinit(&out);
    return result;
}
