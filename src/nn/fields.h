/* Options as tables: defaults, bounds, and JSON in both directions, for every struct of options that files know.
 * Rests on names.h (functions by name) and formats/json.h. A new layer or optimizer only lists its fields.
 * Texts name the owner and the option, and the nearest known one. */
#ifndef NN_FIELDS_H
#define NN_FIELDS_H

#include "formats/json.h"
#include "nn/names.h"

/* Who reads or writes: for errors, and for functions that only the user can name. */
typedef struct field_names {
    soma_context *context;
    const soma_custom *custom; /* may be NULL */
} field_names;

enum { FIELD_TABLES = 2 };

/* Where an option's value is. */
static inline void *field_at(void *options, const soma_field *f) {
    return (char *)options + f->offset;
}
static inline const void *field_at_const(const void *options, const soma_field *f) {
    return (const char *)options + f->offset;
}

/* What zero stands for takes its place, and values are checked against their bounds. fields may be NULL. */
soma_status fields_complete(soma_context *context, const char *who, const soma_field *fields, void *options);

/* Adds "name": value pairs, each but the first with a comma before it; what is unset is left out. *first as given is
 * whether a pair has yet to come. */
soma_status fields_write(text *out, const field_names *names, const char *who, const soma_field *fields,
                         const void *options, bool *first);

/* Lists of numbers become copies of the options' own, all or none; and are freed, also those that reading made. fields
 * may be NULL. */
soma_status fields_own_numbers(soma_context *context, const soma_field *fields, void *options);
void fields_forget_numbers(soma_context *context, const soma_field *fields, void *options);

/* Reads an object's members into options, each by the table that has its name; NULL tables are skipped. Strings are
 * borrowed from the document. */
soma_status fields_read(const field_names *names, const char *who, const soma_field *const tables[FIELD_TABLES],
                        const json_node *object, void *options);
/* Whether a key beside numbers is none of them: name, seed, dtype, weighted. Who knows it reads it elsewhere. */
bool field_aside(const char *key);
/* The numbers of a named function, {"delta": 0.5}, or a lone one, the first; most: how many there is room for. What is
 * not said has its default. */
soma_status fields_read_numbers(const field_names *names, const char *who, const name_entry *entry,
                                const json_node *node, double *numbers, int most);
/* "delta": 0.5, ... */
void fields_write_numbers(text *out, const name_entry *entry, const double *numbers);
/* Those of a user's own function, which have no names: "numbers": [0.5, 2]; what is not listed stays as it is. */
soma_status fields_read_own(const field_names *names, const char *who, const char *function, const json_node *config,
                            double *numbers, int most);
void fields_write_own(text *out, const double *numbers, int n);
/* The number that a word stands for under a key; false when there is none. */
bool field_word(const char *key, const char *word, double *out);
/* A number was expected, or for some keys a word: the error says which. of: the function, "" an option. */
soma_status field_no_number(const field_names *names, const char *who, const char *of, const char *key);
/* One value, for the short form {"dense": 10}. */
soma_status fields_read_value(const field_names *names, const char *who, const soma_field *field,
                              const json_node *value, void *options);

#endif
