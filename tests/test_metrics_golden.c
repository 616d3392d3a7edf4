/* Every metric with its numbers, in evaluate whatever the batches, and the measures of texts, against NumPy's values.
 * Rests on cmocka and metrics_golden.h, which metrics_golden.py writes.
 * A metric goes in by its JSON, so that reading, writing and the names of the numbers are tested with the values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include <soma/soma.h>

#include "support/expect.h"
#include "support/failing.h"
#include "support/needs.h"
#include "support/scratch.h"

typedef enum golden_data { CLASSES, LABELS, NUMBERS, ONE } golden_data;
#include "metrics_golden.h"

static int64_t columns_of(golden_data kind) {
    return kind == CLASSES ? GOLDEN_CLASSES : kind == ONE ? 1 : GOLDEN_OUTPUTS;
}

static soma_dataset *data_of(golden_data kind) {
    static float first_truth[GOLDEN_N], first_guess[GOLDEN_N];
    for (int i = 0; i < GOLDEN_N; i++) {
        first_truth[i] = golden_truth[i * GOLDEN_OUTPUTS];
        first_guess[i] = golden_guess[i * GOLDEN_OUTPUTS];
    }
    const float *x[] = {golden_scores, golden_chances, golden_guess, first_guess};
    const void *y[] = {golden_classes, golden_labels, golden_truth, first_truth};
    const int64_t columns = columns_of(kind), shape[] = {GOLDEN_N, columns};
    soma_array_data labels = {SOMA_F32, 2, shape, y[kind]};
    if (kind == CLASSES) labels = (soma_array_data){SOMA_I64, 1, shape, y[kind]};
    return soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, 2, shape, x[kind]}, labels, true);
}

static const char *loss_of(golden_data kind) {
    return kind == CLASSES ? "sparse_categorical_crossentropy" : "mse";
}

static soma_model *identity_model(golden_data kind) {
    return soma_sequential(soma_activation(soma_linear, .input_shape = {columns_of(kind)}));
}

static void against_numpy(void **state) {
    (void)state;
    NEEDS(JANSSON);
    const size_t n = sizeof golden_metrics / sizeof *golden_metrics;
    assert_true(n > 90);
    for (size_t i = 0; i < n; i++) {
        const golden_data kind = golden_metrics[i].data;
        soma_model *net = identity_model(kind);
        char json[512];
        (void)snprintf(json, sizeof json, "{\"loss\": \"%s\", \"metrics\": [%s, \"%s\"]}", loss_of(kind),
                       golden_metrics[i].metric, loss_of(kind));
        if (soma_model_compile_json(net, json) != SOMA_OK) fail_msg("%s: %s", json, soma_last_error(NULL));
        soma_dataset *data = data_of(kind);
        double first = 0;
        static const int64_t sizes[] = {GOLDEN_N, 16, 1};
        for (int k = 0; k < 3; k++) {
            const soma_scores s = soma_evaluate(net, data, .batch_size = sizes[k]);
            if (s.status != SOMA_OK) fail_msg("%s: %s", json, soma_last_error(NULL));
            expect_near(json, s.metrics[0], golden_metrics[i].value, 1e-6);
            if (k == 0) first = s.metrics[0];
        }
        /* what is saved is the same metric with the same name */
        assert_int_equal(soma_save(net, scratch_path("golden_metric.soma")), SOMA_OK);
        soma_model *again = soma_load(NULL, scratch_path("golden_metric.soma"));
        if (!again) fail_msg("%s: %s", json, soma_last_error(NULL));
        assert_string_equal(soma_metric_name(again, 0), soma_metric_name(net, 0));
        assert_true(soma_evaluate(again, data, .batch_size = GOLDEN_N).metrics[0] == first);
        soma_dataset_destroy(data);
        soma_model_destroy(again);
        soma_model_destroy(net);
        soma_graph_reset(NULL);
    }
}

/* The value that the golden table has for this metric. */
static double golden(golden_data kind, const char *metric) {
    for (size_t i = 0; i < sizeof golden_metrics / sizeof *golden_metrics; i++) {
        if (golden_metrics[i].data == kind && strcmp(golden_metrics[i].metric, metric) == 0)
            return golden_metrics[i].value;
    }
    fail_msg("no golden value of %s", metric);
    return 0;
}

static void made_in_c(void **state) {
    (void)state;
    const struct {
        golden_data kind;
        soma_metric metric;
        const char *json;
    } cases[] = {
        {CLASSES, soma_precision_metric(0.3, -1, 0), "{\"precision\": {\"thresholds\": 0.3}}"},
        {CLASSES, soma_recall_metric(0.45, -1, 3), "{\"recall\": {\"top_k\": 3, \"thresholds\": 0.45}}"},
        {CLASSES, soma_recall_metric((double)NAN, 2, 0), "{\"recall\": {\"class_id\": 2}}"},
        {LABELS, soma_precision_at_recall(0.3, 200, 1),
         "{\"precision_at_recall\": {\"recall\": 0.3, \"class_id\": 1}}"},
        {LABELS, soma_recall_at_precision(0.9, 17, -1),
         "{\"recall_at_precision\": {\"precision\": 0.9, \"num_thresholds\": 17}}"},
        {LABELS, soma_sensitivity_at_specificity(0.9, 17, -1),
         "{\"sensitivity_at_specificity\": {\"specificity\": 0.9, \"num_thresholds\": 17}}"},
        {LABELS, soma_specificity_at_sensitivity(0.9, 17, -1),
         "{\"specificity_at_sensitivity\": {\"sensitivity\": 0.9, \"num_thresholds\": 17}}"},
        {LABELS, soma_auc_metric(33, SOMA_PR, SOMA_MAJORING, true, false),
         "{\"auc\": {\"curve\": \"PR\", \"summation_method\": \"majoring\", \"multi_label\": true, "
         "\"num_thresholds\": 33}}"},
        {LABELS, {.plain = soma_auc}, "\"auc\""},
        {LABELS, soma_auc_thresholds_metric(3, (double[]){0.7, 0.1, 0.35}, SOMA_ROC, SOMA_INTERPOLATION, false, false),
         "{\"auc\": {\"thresholds\": [0.7, 0.1, 0.35], \"multi_label\": false}}"},
        {CLASSES, soma_iou_ignoring(3, (int[]){1, 3, 4}, 0),
         "{\"iou\": {\"ignore_class\": 0, \"target_class_ids\": [1, 3, 4], \"num_classes\": 6}}"},
        {CLASSES, soma_f_beta_metric(0.5, SOMA_WEIGHTED, 0.4, -1),
         "{\"fbeta_score\": {\"beta\": 0.5, \"average\": \"weighted\", \"threshold\": 0.4}}"},
        {CLASSES, soma_iou_metric(2, (int[]){0, 3}), "{\"iou\": {\"target_class_ids\": [0, 3]}}"},
        {LABELS, soma_binary_iou_metric(0.25, 1), "{\"binary_iou\": {\"threshold\": 0.25, \"class_id\": 1}}"},
        {LABELS, soma_binary_accuracy_metric(0.3), "{\"binary_accuracy\": {\"threshold\": 0.3}}"},
        {CLASSES, soma_sparse_top_k_metric(2), "{\"sparse_top_k_categorical_accuracy\": {\"k\": 2}}"},
        {NUMBERS, soma_r2_metric(SOMA_VARIANCE_WEIGHTED, 4),
         "{\"r2_score\": {\"class_aggregation\": \"variance_weighted_average\", \"num_regressors\": 4}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        soma_model *net = identity_model(cases[i].kind);
        soma_loss_fn *loss = cases[i].kind == CLASSES ? soma_sparse_categorical_crossentropy : soma_mean_squared_error;
        soma_dataset *data = data_of(cases[i].kind);
        assert_int_equal(soma_compile(net, .loss = loss, .metrics = {loss}, .metrics_with = {cases[i].metric}),
                         SOMA_OK);
        expect_near(cases[i].json, soma_evaluate(net, data).metrics[1], golden(cases[i].kind, cases[i].json), 1e-6);
        soma_dataset_destroy(data);
        soma_model_destroy(net);
    }
}

static void names_and_errors(void **state) {
    (void)state;
    NEEDS(JANSSON);
    soma_model *net = identity_model(CLASSES);
    assert_int_equal(soma_model_compile_json(net, "{\"loss\": \"sparse_categorical_crossentropy\", \"metrics\": "
                                                  "[{\"precision\": {\"class_id\": 1}}, {\"Precision\": {\"name\": "
                                                  "\"mine\", \"class_id\": 2}}, \"precision\", \"acc\"]}"),
                     SOMA_OK);
    const char *const expected[] = {"precision", "mine", "precision_1", "acc"};
    for (int i = 0; i < 4; i++)
        assert_string_equal(soma_metric_name(net, i), expected[i]);
    assert_int_equal(soma_model_compile_json(net, "{\"loss\": \"mse\", \"metrics\": [{\"precision_at_recall\": "
                                                  "{\"recall\": 0.5}}, \"precision\", \"precision\"]}"),
                     SOMA_OK);
    const char *const alike[] = {"precision_at_recall", "precision", "precision_1"};
    for (int i = 0; i < 3; i++)
        assert_string_equal(soma_metric_name(net, i), alike[i]);
    static const struct {
        const char *metric, *error;
    } wrong[] = {
        {"{\"precision\": {\"class_ids\": 1}}",
         "[compile] precision has no number 'class_ids'; did you mean 'class_id'?"},
        {"{\"auc\": {\"curve\": \"rok\"}}", "[compile] auc: curve must be one of roc, pr"},
        {"\"precison\"", "unknown metric 'precison'; did you mean 'precision'?"},
        {"{\"accuracy\": {\"k\": 1}}", "[compile] accuracy takes no numbers"},
        {"3", "[compile] a metric must be a name, or a name with its numbers"},
        {"{\"iou\": {\"target_class_ids\": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, "
         "22, "
         "23, 24, 25, 26, 27, 28]}}",
         "[compile] target_class_ids has 28 numbers: 27 are possible"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char json[256];
        (void)snprintf(json, sizeof json, "{\"loss\": \"mse\", \"metrics\": [%s]}", wrong[i].metric);
        soma_clear_error(NULL);
        assert_int_not_equal(soma_model_compile_json(net, json), SOMA_OK);
        assert_string_equal(soma_last_error(NULL), wrong[i].error);
    }
    soma_dataset *data = data_of(CLASSES);
    soma_clear_error(NULL);
    assert_int_equal(soma_model_compile_json(net, "{\"loss\": \"sparse_categorical_crossentropy\", \"metrics\": "
                                                  "[{\"recall\": {\"class_id\": 6}}]}"),
                     SOMA_OK);
    assert_int_equal(soma_evaluate(net, data).status, SOMA_INVALID);
    assert_non_null(strstr(soma_last_error(NULL), "class_id 6: there are 6 classes"));
    soma_dataset_destroy(data);
    soma_model_destroy(net);
}

static void texts(void **state) {
    (void)state;
    enum { N = sizeof golden_hypotheses / sizeof *golden_hypotheses };
    for (size_t i = 0; i < sizeof golden_bleu / sizeof *golden_bleu; i++) {
        const soma_bleu_score s =
            soma_bleu(.n = N, .references_per = 2, .hypothesis_texts = golden_hypotheses,
                      .reference_texts = golden_references, .max_order = golden_bleu[i].orders,
                      .smoothing = (soma_smoothing)golden_bleu[i].smoothing, .smoothing_value = golden_bleu[i].value);
        assert_int_equal(s.status, SOMA_OK);
        expect_near("bleu", s.bleu, golden_bleu[i].bleu, 1e-14);
    }
    const soma_bleu_score one =
        soma_bleu(.n = 1, .hypothesis_texts = golden_hypotheses, .reference_texts = golden_references, .max_order = 2);
    expect_near("bleu of one", one.bleu, golden_bleu_of_one, 1e-14);
    assert_int_equal(one.hypothesis_length, 7);
    assert_int_equal(one.reference_length, 6);
    expect_near("unigrams", one.precisions[0], 5.0 / 7, 1e-15);
    const char *firsts[N];
    for (int i = 0; i < N; i++)
        firsts[i] = golden_references[2 * i];
    expect_near("wer", soma_word_error_rate(NULL, N, firsts, golden_hypotheses), golden_wer, 1e-14);
    expect_near("cer", soma_character_error_rate(NULL, N, firsts, golden_hypotheses), golden_cer, 1e-14);
}

/* Papineni's own example: clipped unigrams 2 of 7. And what can go wrong. */
static void sequences(void **state) {
    (void)state;
    static const int64_t the[] = {1, 1, 1, 1, 1, 1, 1}, mat[] = {1, 2, 3, 4, 1, 5}, there[] = {6, 3, 7, 2, 4, 1, 5};
    const soma_sequence said = {the, 7}, references[] = {{mat, 6}, {there, 7}}, empty = {the, 0};
    const soma_bleu_score s =
        soma_bleu(.n = 1, .references_per = 2, .hypotheses = &said, .references = references, .max_order = 1);
    expect_near("clipped", s.bleu, 2.0 / 7, 1e-15);
    assert_true(soma_bleu(.n = 1, .hypotheses = &empty, .references = references).bleu == 0);
    expect_near("the same", soma_bleu(.n = 1, .hypotheses = references, .references = references).bleu, 1, 1e-15);
    /* one more of none is one of one, as in Chen and Cherry's second way: precisions 1/2, 1/2 and 1 */
    const soma_sequence two = {the, 2}, four = {mat, 4};
    expect_near(
        "short",
        soma_bleu(.n = 1, .hypotheses = &two, .references = &four, .max_order = 3, .smoothing = SOMA_SMOOTH_ADD_K).bleu,
        exp(1 - 4 / 2.) * cbrt(0.25), 1e-14);
    assert_int_equal(soma_bleu(.n = 0).status, SOMA_INVALID);
    assert_int_equal(soma_bleu(.n = 1, .hypotheses = &said, .references = references, .max_order = 9).status,
                     SOMA_INVALID);

    assert_int_equal(soma_edit_distance(NULL, references[0], references[1]), 4);
    assert_int_equal(soma_edit_distance(NULL, empty, references[1]), 7);
    assert_int_equal(soma_edit_distance(NULL, references[1], empty), 7);
    const char *const kitten[] = {"kitten"}, *const sitting[] = {"sitting"};
    expect_near("kitten", soma_character_error_rate(NULL, 1, kitten, sitting), 3.0 / 6, 1e-15);
    const char *const nothing[] = {""};
    assert_true(isnan(soma_word_error_rate(NULL, 1, nothing, sitting)));
    expect_near("perplexity", soma_perplexity_of(2, (double[]){log(0.5), log(0.125)}), 4, 1e-14);
}

static void confusion(void **state) {
    (void)state;
    static const int64_t labels[] = {0, 1, 2, 2, 1}, said[] = {0, 2, 2, 1, 1}, beyond[] = {0, 1, 2, 3, 1};
    double counts[9];
    assert_int_equal(soma_confusion_matrix(NULL, 5, labels, said, NULL, 3, counts), SOMA_OK);
    static const double expected[] = {1, 0, 0, 0, 1, 1, 0, 1, 1};
    for (int i = 0; i < 9; i++)
        assert_true(counts[i] == expected[i]);
    assert_int_equal(soma_confusion_matrix(NULL, 5, labels, said, (double[]){1, 2, 3, 4, 5}, 3, counts), SOMA_OK);
    assert_true(counts[5] == 2 && counts[8] == 3 && counts[7] == 4);
    assert_int_equal(soma_confusion_matrix(NULL, 5, labels, beyond, NULL, 3, counts), SOMA_INVALID);
    assert_string_equal(soma_last_error(NULL), "[confusion_matrix] prediction 3 is 3: there are 3 classes, from 0");
}

/* The n-th allocation fails: no number, nothing left. */
static void out_of_memory(void **state) {
    (void)state;
    failing f;
    soma_context *context = failing_context(&f, 1);
    const int64_t before = f.blocks;
    int refused = 0;
    for (int64_t n = 0;; n++, refused++) {
        f.requests = 0, f.refuse = n;
        const soma_bleu_score s = soma_bleu(.n = 4, .references_per = 2, .hypothesis_texts = golden_hypotheses,
                                            .reference_texts = golden_references, .context = context);
        assert_int_equal(f.blocks, before);
        if (s.status == SOMA_OK) break;
        assert_int_equal(s.status, SOMA_NO_MEMORY);
        assert_true(isnan(s.bleu));
        soma_clear_error(context);
    }
    assert_true(refused > 4);
    for (int64_t n = 0;; n++) {
        f.requests = 0, f.refuse = n;
        const double rate = soma_word_error_rate(context, 4, golden_hypotheses, golden_hypotheses);
        assert_int_equal(f.blocks, before);
        if (rate == 0) break;
        assert_true(isnan(rate));
        soma_clear_error(context);
    }
    f.refuse = -1;
    assert_false(f.wrong_size);
    soma_context_destroy(context);
}

/* Predictions that are indices, in which ignored elements may be of any class; one output; a wrong number of classes.
 */
static void overlaps_of_indices(void **state) {
    (void)state;
    const int64_t truth[] = {0, 1, 2, 1, 255, 2}, said[] = {0, 1, 1, 2, 1, 2};
    soma_metric m = soma_iou_ignoring(0, NULL, 255);
    m.numbers[0] = 3;
    m.numbers[3] = 1; /* sparse_y_pred */
    soma_tensor *y = soma_array(NULL, SOMA_I64, SOMA_DIMS(2, 3), truth),
                *p = soma_array(NULL, SOMA_I64, SOMA_DIMS(2, 3), said);
    double sums[9];
    soma_tensor *rows = m.build(y, p, m.numbers), *total = soma_sum(rows, SOMA_AXES(0), false);
    for (int i = 0; i < 9; i++)
        sums[i] = soma_item(total, i);
    expect_near("indices", m.finish(sums, 9, m.numbers), (1. / 1 + 1. / 3 + 1. / 3) / 3, 1e-12);
    m.numbers[0] = 0;
    assert_null(m.build(y, p, m.numbers));
    expect_error(SOMA_INVALID, "[iou] sparse_y_pred: num_classes must say how many classes there are");
    m = soma_iou_ignoring(0, NULL, 1);
    const float chances[] = {0.9f, 0.2f, 0.7f, 0.1f}, bits[] = {1, 0, 0, 0};
    y = soma_array(NULL, SOMA_F32, SOMA_DIMS(4, 1), bits), p = soma_array(NULL, SOMA_F32, SOMA_DIMS(4, 1), chances);
    total = soma_sum(m.build(y, p, m.numbers), SOMA_AXES(0), false);
    for (int i = 0; i < 6; i++)
        sums[i] = soma_item(total, i);
    expect_near("one output", m.finish(sums, 6, m.numbers), (2. / 3 + 0) / 2, 1e-12);
    m.numbers[0] = 3;
    assert_null(m.build(y, p, m.numbers));
    expect_error(SOMA_INVALID, "[iou] num_classes is 3: y_pred tells 2 classes apart");
    m = soma_auc_thresholds_metric(1, (double[]){1.5}, SOMA_ROC, SOMA_INTERPOLATION, false, false);
    assert_null(m.build(y, p, m.numbers));
    expect_error(SOMA_INVALID, "[auc] a threshold of 1.5: they must be from 0 to 1");
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {
        TEST(against_numpy), TEST(made_in_c), TEST(names_and_errors), TEST(texts),
        TEST(sequences),     TEST(confusion), TEST(out_of_memory),    TEST(overlaps_of_indices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
