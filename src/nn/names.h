/* Functions by name: what lets files and commands speak of activations, losses, metrics, initializers, regularizers.
 * Rests on base/text.h for near misses. Each kind has one .def list beside it; nothing else enumerates.
 * Names match loosely (GlorotUniform is glorot_uniform); the first entry of a function is its name in files. */
#ifndef NN_NAMES_H
#define NN_NAMES_H

#include <soma/train.h>

#include "base/base.h"

/* What a loss takes as y_true: any values, class indices (y_pred has a value a class), 0 to 1, or -1 to 1. */
typedef enum label_kind { LABELS_VALUES, LABELS_CLASSES, LABELS_TRUTHS, LABELS_SIGNS } label_kind;

typedef struct name_entry {
    const char *name;
    soma_function *function;
    int n;                         /* parameters */
    const char *const *parameters; /* their names; NULL: none */
    const double *standard;
    soma_function *with;    /* metrics: the same with numbers; NULL: it has none */
    soma_finish_fn *finish; /* metrics that give statistics */
    bool list;              /* the last number is a list: how many, then they themselves */
    label_kind labels;      /* losses */
} name_entry;

typedef struct name_table {
    const char *what; /* "activation" */
    const name_entry *entries;
    int n;
    const char *const *names; /* of the entries, ends with NULL */
    int room;                 /* how many numbers a function is handed; 0: none */
} name_table;

extern const name_table activation_names, loss_names, loss_with_names, metric_names, initializer_names,
    regularizer_names, constraint_names;

/* Equal but for case and underscores. */
bool name_matches(const char *a, const char *b);
/* NULL when there is none. */
const name_entry *name_find(const name_table *table, const char *name);
const name_entry *name_of(const name_table *table, soma_function *function);
/* Records that there is no such name, and the nearest there is. */
soma_status name_unknown(soma_context *context, const char *what, const char *name, const char *const *names);

/* The user's own names first, then the table: NULL with an error when there is none. *entry is NULL for the user's. */
soma_function *name_resolve(soma_context *context, const name_table *table, const soma_custom *custom, const char *name,
                            const name_entry **entry);
/* The name of a function, the user's or ours; NULL when it has none. custom may be NULL. */
const char *name_for(const name_table *table, const soma_custom *custom, soma_function *function);

#endif
