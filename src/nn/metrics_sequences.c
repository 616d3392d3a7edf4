/* Measures of labels, texts and sequences: plain functions on arrays.
 * Rests on base. Words and n-grams become small numbers by a table of pairs, (what came before, what follows), so that
 * a text of any length is counted in time that grows with its length. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <soma/metrics.h>

#include "base/base.h"

soma_status soma_confusion_matrix(soma_context *context, int64_t n, const int64_t *labels, const int64_t *predictions,
                                  const double *weights, int64_t classes, double *counts) {
    context = context_of(context);
    int64_t cells;
    RETURN_IF(context, !labels || !predictions || !counts, SOMA_INVALID,
              "[confusion_matrix] labels, predictions and counts are needed");
    RETURN_IF(context, n < 0 || classes < 1 || !int64_mul_checked(classes, classes, &cells), SOMA_INVALID,
              "[confusion_matrix] %lld samples, %lld classes", (long long)n, (long long)classes);
    for (int64_t i = 0; i < n; i++) {
        const bool label = labels[i] < 0 || labels[i] >= classes;
        RETURN_IF(context, label || predictions[i] < 0 || predictions[i] >= classes, SOMA_INVALID,
                  "[confusion_matrix] %s %lld is %lld: there are %lld classes, from 0", label ? "label" : "prediction",
                  (long long)i, (long long)(label ? labels[i] : predictions[i]), (long long)classes);
    }
    memset(counts, 0, (size_t)cells * sizeof *counts);
    for (int64_t i = 0; i < n; i++)
        counts[labels[i] * classes + predictions[i]] += weights ? weights[i] : 1;
    return SOMA_OK;
}

double soma_perplexity_of(int64_t n, const double *log_probabilities) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += log_probabilities[i];
    return n > 0 ? exp(-sum / (double)n) : (double)NAN;
}

/* ---- pairs as small numbers ---- */

typedef struct pair_slot {
    int64_t before, item, number; /* number 0: free */
} pair_slot;

typedef struct pair_table {
    soma_context *context;
    pair_slot *slots;
    size_t capacity; /* a power of two, more than twice what goes in */
    int64_t n;
} pair_table;

static bool pairs_init(pair_table *t, soma_context *context, int64_t most) {
    *t = (pair_table){.context = context, .capacity = 16};
    while (t->capacity / 2 <= (size_t)most)
        t->capacity *= 2;
    t->slots = mem_zalloc(context, t->capacity * sizeof *t->slots);
    return t->slots != NULL;
}
static void pairs_clear(pair_table *t) {
    memset(t->slots, 0, t->capacity * sizeof *t->slots);
    t->n = 0;
}
static void pairs_deinit(pair_table *t) {
    mem_free(t->context, t->slots, t->capacity * sizeof *t->slots);
}

/* From 1: the same for the same pair. */
static int64_t pair_number(pair_table *t, int64_t before, int64_t item) {
    uint64_t hash = (uint64_t)before * 0x9E3779B97F4A7C15U ^ (uint64_t)item;
    hash = (hash ^ hash >> 29) * 0xBF58476D1CE4E5B9U;
    size_t at = (size_t)(hash ^ hash >> 32) & (t->capacity - 1);
    while (t->slots[at].number && (t->slots[at].before != before || t->slots[at].item != item))
        at = (at + 1) & (t->capacity - 1);
    if (!t->slots[at].number) t->slots[at] = (pair_slot){before, item, ++t->n};
    return t->slots[at].number;
}

/* ---- from texts to sequences ---- */

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The words of a text as numbers, into items, which has room for as many as bytes; how many. A word's number is that of
 * its last byte after all before it. */
static int64_t words_of(pair_table *t, const char *string, int64_t *items) {
    int64_t n = 0, word = 0;
    for (;; string++) {
        if (*string && !is_space(*string)) {
            word = pair_number(t, word, (unsigned char)*string);
            continue;
        }
        if (word) items[n++] = word;
        word = 0;
        if (!*string) return n;
    }
}

/* The code points of UTF-8; a byte that belongs to none is one of its own. */
static int64_t characters_of(pair_table *t, const char *string, int64_t *items) {
    int64_t n = 0;
    (void)t;
    while (*string) {
        const unsigned char first = (unsigned char)*string++;
        const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC0 ? 1 : 0;
        int64_t point = more ? first & (0x3F >> more) : first;
        for (int k = 0; k < more && ((unsigned char)*string & 0xC0) == 0x80; k++)
            point = point << 6 | ((unsigned char)*string++ & 0x3F);
        items[n++] = point;
    }
    return n;
}

/* Texts as sequences that share one table of words and one array of tokens. */
typedef struct token_texts {
    soma_context *context;
    pair_table table;
    soma_sequence *sequences;
    int64_t *items, n, bytes;
} token_texts;

static void texts_deinit(token_texts *t) {
    pairs_deinit(&t->table);
    mem_free(t->context, t->sequences, (size_t)t->n * sizeof *t->sequences);
    mem_free(t->context, t->items, (size_t)t->bytes * sizeof *t->items);
}

/* a texts, then b texts; false after an error. */
static bool texts_init(token_texts *t, soma_context *context, const char *const *first, int64_t a,
                       const char *const *second, int64_t b, int64_t (*split)(pair_table *, const char *, int64_t *)) {
    *t = (token_texts){.context = context, .n = a + b};
    for (int64_t i = 0; i < t->n; i++)
        t->bytes += (int64_t)strlen(i < a ? first[i] : second[i - a]);
    t->sequences = mem_alloc(context, (size_t)t->n * sizeof *t->sequences);
    t->items = mem_alloc(context, (size_t)t->bytes * sizeof *t->items);
    if (!t->sequences || !t->items || !pairs_init(&t->table, context, t->bytes)) {
        texts_deinit(t);
        return false;
    }
    int64_t *items = t->items;
    for (int64_t i = 0; i < t->n; i++) {
        const int64_t count = split(&t->table, i < a ? first[i] : second[i - a], items);
        t->sequences[i] = (soma_sequence){items, count};
        items += count;
    }
    return true;
}

/* ---- edit distance ---- */

int64_t soma_edit_distance(soma_context *context, soma_sequence a, soma_sequence b) {
    context = context_of(context);
    if (a.n < 0 || b.n < 0) return -1;
    const size_t bytes = ((size_t)b.n + 1) * sizeof(int64_t);
    int64_t *row = mem_alloc(context, bytes); /* distances of the beginning of a to all beginnings of b */
    if (!row) return -1;
    for (int64_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (int64_t i = 1; i <= a.n; i++) {
        int64_t corner = row[0];
        row[0] = i;
        for (int64_t j = 1; j <= b.n; j++) {
            const int64_t exchanged = corner + (a.items[i - 1] != b.items[j - 1]);
            const int64_t shorter = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            corner = row[j];
            row[j] = exchanged < shorter ? exchanged : shorter;
        }
    }
    const int64_t distance = row[b.n];
    mem_free(context, row, bytes);
    return distance;
}

double soma_token_error_rate(soma_context *context, int64_t n, const soma_sequence *references,
                             const soma_sequence *hypotheses) {
    int64_t errors = 0, length = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t distance = soma_edit_distance(context, references[i], hypotheses[i]);
        if (distance < 0) return (double)NAN;
        errors += distance;
        length += references[i].n;
    }
    return length > 0 ? (double)errors / (double)length : (double)NAN;
}

static double text_error_rate(soma_context *context, int64_t n, const char *const *references,
                              const char *const *hypotheses, int64_t (*split)(pair_table *, const char *, int64_t *)) {
    token_texts t;
    if (n < 1 || !references || !hypotheses) return (double)NAN;
    if (!texts_init(&t, context_of(context), references, n, hypotheses, n, split)) return (double)NAN;
    const double rate = soma_token_error_rate(context, n, t.sequences, t.sequences + n);
    texts_deinit(&t);
    return rate;
}

double soma_word_error_rate(soma_context *context, int64_t n, const char *const *references,
                            const char *const *hypotheses) {
    return text_error_rate(context, n, references, hypotheses, words_of);
}
double soma_character_error_rate(soma_context *context, int64_t n, const char *const *references,
                                 const char *const *hypotheses) {
    return text_error_rate(context, n, references, hypotheses, characters_of);
}

/* ---- BLEU ---- */

/* How often an n-gram is in the hypothesis, in this reference, in the reference that has it most often. */
typedef struct gram_count {
    int64_t said, here, most;
    const soma_sequence *reference; /* that here counts */
} gram_count;

typedef struct bleu {
    double hits[SOMA_BLEU_ORDERS], grams[SOMA_BLEU_ORDERS];
    int64_t hypothesis_length, reference_length;
    /* room for one hypothesis and its references */
    pair_table table;
    gram_count *counts;
    int64_t *numbers, room;
} bleu;

/* Numbers of the n-grams of a sequence: before, those of one token less. */
static void longer(pair_table *t, soma_sequence s, int order, int64_t *numbers) {
    for (int64_t i = 0; i + order < s.n; i++)
        numbers[i] = pair_number(t, order ? numbers[i] : 0, s.items[i + order]);
}

static void count_order(bleu *b, soma_sequence said, const soma_sequence *references, int64_t n, int order) {
    pairs_clear(&b->table);
    memset(b->counts, 0, (size_t)b->room * sizeof *b->counts);
    int64_t *numbers = b->numbers;
    longer(&b->table, said, order, numbers);
    for (int64_t i = 0; i + order < said.n; i++)
        b->counts[numbers[i] - 1].said++;
    numbers += said.n;
    for (int64_t r = 0; r < n; r++) {
        longer(&b->table, references[r], order, numbers);
        for (int64_t i = 0; i + order < references[r].n; i++) {
            gram_count *c = &b->counts[numbers[i] - 1];
            if (c->reference != &references[r]) *c = (gram_count){c->said, 0, c->most, &references[r]};
            if (++c->here > c->most) c->most = c->here;
        }
        numbers += references[r].n;
    }
    for (int64_t i = 0; i < b->table.n; i++)
        b->hits[order] += (double)(b->counts[i].said < b->counts[i].most ? b->counts[i].said : b->counts[i].most);
    if (said.n > order) b->grams[order] += (double)(said.n - order);
}

static void count_lengths(bleu *b, soma_sequence said, const soma_sequence *references, int64_t n) {
    int64_t nearest = references[0].n;
    for (int64_t r = 1; r < n; r++) {
        const int64_t length = references[r].n, far = llabs(length - said.n), near = llabs(nearest - said.n);
        if (far < near || (far == near && length < nearest)) nearest = length;
    }
    b->hypothesis_length += said.n;
    b->reference_length += nearest;
}

static double smoothed(const bleu *b, const soma_bleu_options *o, int order, double *halved) {
    double hits = b->hits[order], grams = b->grams[order];
    const double value = o->smoothing_value;
    if (o->smoothing == SOMA_SMOOTH_ADD_K && order > 0) {
        hits += value > 0 ? value : 1;
        grams += value > 0 ? value : 1;
    }
    if (grams == 0) return 0;
    if (hits > 0) return hits / grams;
    if (o->smoothing == SOMA_SMOOTH_FLOOR) return (value > 0 ? value : 0.1) / grams;
    if (o->smoothing == SOMA_SMOOTH_EXP) return (*halved /= 2) / grams;
    return 0;
}

static soma_bleu_score score(const bleu *b, const soma_bleu_options *o, int orders) {
    soma_bleu_score s = {.status = SOMA_OK,
                         .hypothesis_length = b->hypothesis_length,
                         .reference_length = b->reference_length,
                         .brevity_penalty = 1};
    double logarithms = 0, halved = 1;
    for (int k = 0; k < orders; k++) {
        s.precisions[k] = smoothed(b, o, k, &halved);
        logarithms += log(s.precisions[k]);
    }
    if (b->hypothesis_length < b->reference_length)
        s.brevity_penalty =
            b->hypothesis_length > 0 ? exp(1 - (double)b->reference_length / (double)b->hypothesis_length) : 0;
    s.bleu = s.brevity_penalty > 0 ? s.brevity_penalty * exp(logarithms / orders) : 0;
    return s;
}

static soma_bleu_score no_score(soma_status status) {
    soma_bleu_score s = {.status = status, .bleu = (double)NAN, .brevity_penalty = (double)NAN};
    for (int k = 0; k < SOMA_BLEU_ORDERS; k++)
        s.precisions[k] = (double)NAN;
    return s;
}

static soma_bleu_score measure(soma_context *context, const soma_bleu_options *o, const soma_sequence *said,
                               const soma_sequence *references, int64_t per, int orders) {
    bleu b = {.room = 0};
    for (int64_t i = 0; i < o->n; i++) {
        int64_t tokens = said[i].n;
        for (int64_t r = 0; r < per; r++)
            tokens += references[i * per + r].n;
        if (tokens > b.room) b.room = tokens;
    }
    const size_t count_bytes = (size_t)b.room * sizeof *b.counts, number_bytes = (size_t)b.room * sizeof *b.numbers;
    b.counts = mem_alloc(context, count_bytes);
    b.numbers = mem_alloc(context, number_bytes);
    const bool ready = b.counts && b.numbers && pairs_init(&b.table, context, b.room);
    for (int64_t i = 0; ready && i < o->n; i++) {
        count_lengths(&b, said[i], references + i * per, per);
        for (int k = 0; k < orders; k++)
            count_order(&b, said[i], references + i * per, per, k);
    }
    const soma_bleu_score s = ready ? score(&b, o, orders) : no_score(SOMA_NO_MEMORY);
    pairs_deinit(&b.table);
    mem_free(context, b.counts, count_bytes);
    mem_free(context, b.numbers, number_bytes);
    return s;
}

soma_bleu_score soma_bleu_create(const soma_bleu_options *o) {
    if (!o) return no_score(error_set(NULL, SOMA_INVALID, "[bleu] nothing given"));
    soma_context *context = context_of(o->context);
    const bool texts = o->hypothesis_texts && o->reference_texts;
    const int64_t per = o->references_per ? o->references_per : 1;
    const int orders = o->max_order ? o->max_order : 4;
    int64_t references;
    if ((!texts && (!o->hypotheses || !o->references)) || o->n < 1 || per < 1 ||
        !int64_mul_checked(o->n, per, &references))
        return no_score(error_set(context, SOMA_INVALID, "[bleu] hypotheses and references are needed"));
    if (orders < 1 || orders > SOMA_BLEU_ORDERS)
        return no_score(error_set(context, SOMA_INVALID, "[bleu] max_order is %d: from 1 to %d is possible", orders,
                                  SOMA_BLEU_ORDERS));
    if (!texts) return measure(context, o, o->hypotheses, o->references, per, orders);
    token_texts t;
    if (!texts_init(&t, context, o->hypothesis_texts, o->n, o->reference_texts, references, words_of))
        return no_score(SOMA_NO_MEMORY);
    const soma_bleu_score s = measure(context, o, t.sequences, t.sequences + o->n, per, orders);
    texts_deinit(&t);
    return s;
}
