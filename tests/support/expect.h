/* What tests of the public API expect, in the words of a failure: statuses, error texts, numbers within a tolerance.
 * Rests on cmocka, which must be included before, and on the default context; reset is a setup for each test.
 * Tolerances are relative above 1 and absolute below. */
#ifndef SUPPORT_EXPECT_H
#define SUPPORT_EXPECT_H

#include <math.h>
#include <string.h>

#include <soma/soma.h>

static inline int reset(void **state) {
    (void)state;
    soma_graph_reset(NULL);
    soma_clear_error(NULL);
    soma_set_random_seed(NULL, 0);
    return 0;
}

static inline void expect_ok(soma_status status) {
    if (status != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
}

static inline void expect_error(soma_status status, const char *part) {
    if (soma_last_status(NULL) != status || !strstr(soma_last_error(NULL), part))
        fail_msg("'%s' (%s) lacks '%s'", soma_last_error(NULL), soma_status_text(soma_last_status(NULL)), part);
    soma_clear_error(NULL);
}

static inline void expect_near(const char *what, double value, double expected, double tolerance) {
    if (!(fabs(value - expected) <= tolerance * (1 + fabs(expected))))
        fail_msg("%s: %.17g, expected %.17g", what, value, expected);
}

static inline void expect_all(const char *what, soma_tensor *x, const double *expected, int64_t n, double tolerance) {
    if (!x || soma_size(x) != n) fail_msg("%s: %s", what, soma_last_error(NULL));
    for (int64_t i = 0; i < n; i++) {
        double value = soma_item(x, i);
        if (!(fabs(value - expected[i]) <= tolerance * (1 + fabs(expected[i]))))
            fail_msg("%s[%d]: %.17g, expected %.17g", what, (int)i, value, expected[i]);
    }
}

#endif
