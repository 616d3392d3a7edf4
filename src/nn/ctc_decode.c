/* Decoding CTC: from logits of each step to labels, greedily or by a search over prefixes.
 * Rests on tensors that have their elements, and on doubles. Prefixes are nodes of a tree, so that one that leaves the
 * beam and comes back is the same node; the beam keeps of each the probability of all its spellings that end on a
 * blank, and of those that end on its last label. Ties go to what came first, so results do not depend on the machine's
 * sort. */
#include <math.h>
#include <string.h>

#include "nn/losses.h"
#include "tensor/node.h"

/* ---- logits as logarithms of probabilities ---- */

typedef struct sequences {
    soma_context *context;
    int64_t batch, steps, classes;
    const void *data;
    bool wide;
} sequences;

static soma_status open_sequences(soma_tensor *logits, const int64_t *lengths, int64_t blank, sequences *s) {
    RETURN_IF(NULL, !logits, SOMA_INVALID, "[ctc_decode] no logits given");
    *s = (sequences){.context = logits->graph->context, .wide = logits->dtype == SOMA_F64};
    char a[SHAPE_TEXT];
    RETURN_IF(s->context, logits->rank != 3 || logits->shape[2] < 1, SOMA_SHAPE,
              "[ctc_decode] logits are %s: (batch, steps, classes) is needed", tensor_shape_text(a, logits));
    RETURN_IF(s->context, logits->dtype != SOMA_F32 && logits->dtype != SOMA_F64, SOMA_DTYPE,
              "[ctc_decode] logits are %s: float32 or float64 is needed", soma_dtype_name(logits->dtype));
    s->batch = logits->shape[0];
    s->steps = logits->shape[1];
    s->classes = logits->shape[2];
    RETURN_IF(s->context, blank < 0 || blank >= s->classes, SOMA_INVALID,
              "[ctc_decode] the blank is class %lld of %lld", (long long)blank, (long long)s->classes);
    for (int64_t i = 0; lengths && i < s->batch; i++)
        RETURN_IF(s->context, lengths[i] < 0 || lengths[i] > s->steps, SOMA_INVALID,
                  "[ctc_decode] length %lld of sequence %lld: there are %lld steps", (long long)lengths[i],
                  (long long)i, (long long)s->steps);
    s->data = soma_data(logits);
    if (s->data) return SOMA_OK;
    return soma_last_status(s->context) != SOMA_OK ? soma_last_status(s->context) : SOMA_INVALID;
}

static void log_probabilities(const sequences *s, int64_t i, int64_t t, double *out) {
    double most = -(double)INFINITY, sum = 0;
    int64_t first = (i * s->steps + t) * s->classes;
    for (int64_t c = 0; c < s->classes; c++) {
        out[c] = s->wide ? ((const double *)s->data)[first + c] : (double)((const float *)s->data)[first + c];
        if (out[c] > most) most = out[c];
    }
    for (int64_t c = 0; c < s->classes; c++)
        sum += exp(out[c] - most);
    for (int64_t c = 0; c < s->classes; c++)
        out[c] -= most + log(sum);
}

/* ---- greedy ---- */

soma_status soma_ctc_greedy_decode(soma_tensor *logits, const int64_t *lengths, int64_t blank, int64_t *labels,
                                   double *log_probabilities_out) {
    sequences s;
    TRY(open_sequences(logits, lengths, blank, &s));
    RETURN_IF(s.context, !labels, SOMA_INVALID, "[ctc_decode] nowhere to write the labels to");
    double *p = mem_alloc(s.context, (size_t)s.classes * sizeof *p);
    if (!p) return SOMA_NO_MEMORY;
    for (int64_t i = 0; i < s.batch; i++) {
        int64_t n = 0, before = -1, steps = lengths ? lengths[i] : s.steps;
        double sum = 0;
        for (int64_t t = 0; t < steps; t++) {
            log_probabilities(&s, i, t, p);
            int64_t best = 0;
            for (int64_t c = 1; c < s.classes; c++)
                if (p[c] > p[best]) best = c;
            sum += p[best];
            if (best != blank && best != before) labels[i * s.steps + n++] = best;
            before = best;
        }
        while (n < s.steps)
            labels[i * s.steps + n++] = -1;
        if (log_probabilities_out) log_probabilities_out[i] = sum;
    }
    mem_free(s.context, p, (size_t)s.classes * sizeof *p);
    return SOMA_OK;
}

/* ---- prefixes ---- */

typedef struct prefix {
    int64_t parent, label, child, sibling; /* indices; -1: none */
} prefix;

/* One of the beam, or what may become one: a node, or a node to be made of a parent and a label. */
typedef struct candidate {
    int64_t node, parent, label;
    double blank, on; /* logarithms: spellings that end on a blank, on the last label */
    double total;
} candidate;

typedef struct search {
    const sequences *s;
    int64_t width, blank;
    prefix *nodes;
    int64_t n_nodes, capacity;
    candidate *beam, *next; /* next: a heap whose worst is first */
    int64_t n_beam, n_next;
    double *p;
} search;

static double log_sum(double a, double b) {
    double most = a > b ? a : b, least = a > b ? b : a;
    return isinf(least) ? most : most + log1p(exp(least - most));
}

/* The order in which candidates are dropped: less probable first, of equals the one that came later. */
static bool worse(const candidate *a, const candidate *b) {
    if (a->total != b->total) return a->total < b->total;
    return a->parent != b->parent ? a->parent > b->parent : a->label > b->label;
}

static void sink(candidate *heap, int64_t n, int64_t i) {
    for (;;) {
        int64_t worst = i;
        for (int64_t child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
            if (worse(&heap[child], &heap[worst])) worst = child;
        if (worst == i) return;
        candidate c = heap[i];
        heap[i] = heap[worst];
        heap[worst] = c;
        i = worst;
    }
}

/* Keeps the best `width` of those offered. */
static void offer(search *h, candidate c) {
    c.total = log_sum(c.blank, c.on);
    if (isinf(c.total)) return;
    if (h->n_next < h->width) {
        int64_t i = h->n_next++;
        for (; i > 0 && worse(&c, &h->next[(i - 1) / 2]); i = (i - 1) / 2)
            h->next[i] = h->next[(i - 1) / 2];
        h->next[i] = c;
    } else if (worse(&h->next[0], &c)) {
        h->next[0] = c;
        sink(h->next, h->n_next, 0);
    }
}

static soma_status node_of(search *h, candidate *c) {
    if (c->node >= 0) return SOMA_OK;
    for (int64_t i = h->nodes[c->parent].child; i >= 0; i = h->nodes[i].sibling) {
        c->node = i;
        if (h->nodes[i].label == c->label) return SOMA_OK;
    }
    if (h->n_nodes == h->capacity) {
        int64_t more = 2 * h->capacity;
        prefix *grown =
            mem_realloc(h->s->context, h->nodes, (size_t)h->capacity * sizeof *grown, (size_t)more * sizeof *grown);
        if (!grown) return SOMA_NO_MEMORY;
        h->nodes = grown;
        h->capacity = more;
    }
    c->node = h->n_nodes++;
    h->nodes[c->node] = (prefix){c->parent, c->label, -1, h->nodes[c->parent].child};
    h->nodes[c->parent].child = c->node;
    return SOMA_OK;
}

/* The same prefix after a step: on a blank, or still on its last label. */
static candidate stayed(const search *h, const candidate *c) {
    candidate result = *c;
    result.blank = c->total + h->p[h->blank];
    result.on = c->label >= 0 ? c->on + h->p[c->label] : -(double)INFINITY;
    /* or its last label came just now, after the prefix without it */
    for (int64_t k = 0; k < h->n_beam && c->label >= 0; k++) {
        const candidate *before = &h->beam[k];
        if (before->node != c->parent) continue;
        double from = before->label == c->label ? before->blank : before->total;
        result.on = log_sum(result.on, from + h->p[c->label]);
    }
    return result;
}

static bool in_beam(const search *h, int64_t parent, int64_t label) {
    for (int64_t i = 0; i < h->n_beam; i++)
        if (h->beam[i].parent == parent && h->beam[i].label == label) return true;
    return false;
}

/* Every label after a prefix, but those that make one of the beam. */
static void extend(search *h, const candidate *c) {
    for (int64_t label = 0; label < h->s->classes; label++) {
        double from = c->label == label ? c->blank : c->total, on = from + h->p[label];
        if (label == h->blank || (h->n_next == h->width && on < h->next[0].total)) continue;
        if (in_beam(h, c->node, label)) continue;
        offer(h, (candidate){-1, c->node, label, -(double)INFINITY, on, 0});
    }
}

static soma_status advance(search *h) {
    h->n_next = 0;
    for (int64_t i = 0; i < h->n_beam; i++)
        offer(h, stayed(h, &h->beam[i]));
    for (int64_t i = 0; i < h->n_beam; i++)
        extend(h, &h->beam[i]);
    candidate *old = h->beam;
    h->beam = h->next;
    h->n_beam = h->n_next;
    h->next = old;
    for (int64_t i = 0; i < h->n_beam; i++)
        TRY(node_of(h, &h->beam[i]));
    return SOMA_OK;
}

/* The beam from best to worst: the heap's worst goes to the end again and again. */
static void sort_beam(search *h) {
    for (int64_t n = h->n_beam - 1; n > 0; n--) {
        candidate worst = h->beam[0];
        h->beam[0] = h->beam[n];
        h->beam[n] = worst;
        sink(h->beam, n, 0);
    }
}

static void write_path(const search *h, int64_t node, int64_t *labels) {
    int64_t n = 0;
    for (int64_t i = node; h->nodes[i].parent >= 0; i = h->nodes[i].parent)
        n++;
    for (int64_t i = n; i < h->s->steps; i++)
        labels[i] = -1;
    for (int64_t i = node; h->nodes[i].parent >= 0; i = h->nodes[i].parent)
        labels[--n] = h->nodes[i].label;
}

static soma_status run(search *h, int64_t i, int64_t steps, int64_t paths, int64_t *labels, double *scores) {
    h->nodes[0] = (prefix){-1, -1, -1, -1};
    h->n_nodes = 1;
    h->beam[0] = (candidate){0, -1, -1, 0, -(double)INFINITY, 0};
    h->n_beam = 1;
    for (int64_t t = 0; t < steps; t++) {
        log_probabilities(h->s, i, t, h->p);
        TRY(advance(h));
    }
    sort_beam(h);
    for (int64_t k = 0; k < paths; k++) {
        bool there = k < h->n_beam;
        write_path(h, there ? h->beam[k].node : 0, labels + k * h->s->steps);
        if (scores) scores[k] = there ? h->beam[k].total : -(double)INFINITY;
    }
    return SOMA_OK;
}

soma_status soma_ctc_beam_decode(soma_tensor *logits, const int64_t *lengths, const soma_ctc_beam_options *options,
                                 int64_t *labels, double *log_probabilities_out) {
    soma_ctc_beam_options o = options ? *options : (soma_ctc_beam_options){0};
    sequences s;
    TRY(open_sequences(logits, lengths, o.blank, &s));
    if (o.beam_width == 0) o.beam_width = 100;
    if (o.top_paths == 0) o.top_paths = 1;
    RETURN_IF(s.context, !labels, SOMA_INVALID, "[ctc_decode] nowhere to write the labels to");
    RETURN_IF(s.context, o.beam_width < 1 || o.beam_width > 1000000 || o.top_paths < 1 || o.top_paths > o.beam_width,
              SOMA_INVALID,
              "[ctc_decode] %lld paths of a beam of %lld: a beam of 1 to 1000000 at least as wide is needed",
              (long long)o.top_paths, (long long)o.beam_width);
    search h = {.s = &s, .width = o.beam_width, .blank = o.blank, .capacity = 256};
    size_t beam = (size_t)o.beam_width * sizeof *h.beam;
    h.nodes = mem_alloc(s.context, (size_t)h.capacity * sizeof *h.nodes);
    h.beam = mem_alloc(s.context, beam);
    h.next = mem_alloc(s.context, beam);
    h.p = mem_alloc(s.context, (size_t)s.classes * sizeof *h.p);
    soma_status status = h.nodes && h.beam && h.next && h.p ? SOMA_OK : SOMA_NO_MEMORY;
    for (int64_t i = 0; i < s.batch && status == SOMA_OK; i++)
        status = run(&h, i, lengths ? lengths[i] : s.steps, o.top_paths, labels + i * o.top_paths * s.steps,
                     log_probabilities_out ? log_probabilities_out + i * o.top_paths : NULL);
    mem_free(s.context, h.nodes, (size_t)h.capacity * sizeof *h.nodes);
    mem_free(s.context, h.beam, beam);
    mem_free(s.context, h.next, beam);
    mem_free(s.context, h.p, (size_t)s.classes * sizeof *h.p);
    return status;
}
