/* Schedules: learning rates as functions of the number of steps, and their JSON. schedules.def names them.
 * Rests on names.h and formats/json.h; formulas and defaults are Keras'.
 * They are numbers and not tensors: a rate is asked for once a step, in double, by whoever trains. */
#include "nn/schedules.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* ---- rates; parameters in the order of schedules.def ---- */

static double exponential_decay(double step, const double *p, int n) {
    (void)n;
    double periods = step / p[1];
    return p[0] * pow(p[2], p[3] != 0 ? floor(periods) : periods);
}

static double inverse_time_decay(double step, const double *p, int n) {
    (void)n;
    double periods = step / p[1];
    return p[0] / (1 + p[2] * (p[3] != 0 ? floor(periods) : periods));
}

static double polynomial_decay(double step, const double *p, int n) {
    (void)n;
    double steps = p[1];
    if (p[4] != 0 && step > 0) steps *= ceil(step / steps);
    double left = 1 - fmin(step, steps) / steps;
    return (p[0] - p[2]) * pow(left, p[3]) + p[2];
}

/* From high to alpha high in so many steps. */
static double half_cosine(double step, double steps, double high, double alpha) {
    double done = fmin(step, steps) / steps;
    return high * ((1 - alpha) * 0.5 * (1 + cos(pi * done)) + alpha);
}

static double cosine_decay(double step, const double *p, int n) {
    (void)n;
    double target = p[3], warm = p[4];
    if (target == 0) return half_cosine(step, p[1], p[0], p[2]);
    if (step < warm) return p[0] + (target - p[0]) * step / warm;
    return half_cosine(step - warm, p[1], target, p[2]);
}

static double cosine_decay_restarts(double step, const double *p, int n) {
    (void)n;
    double length = p[1], height = 1, longer = p[2], higher = p[3], alpha = p[4];
    if (longer == 1) {
        height = pow(higher, floor(step / length));
        step = fmod(step, length);
    }
    while (step >= length && length >= 1) {
        step -= length;
        length *= longer;
        height *= higher;
    }
    double cosine = 0.5 * height * (1 + cos(pi * fmin(step / length, 1)));
    return p[0] * ((1 - alpha) * cosine + alpha);
}

/* k boundaries and k + 1 values */
static double piecewise_constant_decay(double step, const double *p, int n) {
    int k = (n - 1) / 2, i = 0;
    while (i < k && step > p[i])
        i++;
    return p[k + i];
}

/* ---- makers ---- */

/* Zero stands for the default; a zero with a minus is zero. */
static double or_default(double value, double standard) {
    return value != 0 ? value : signbit(value) ? 0 : standard;
}

soma_schedule soma_exponential_decay_create(const soma_exponential_decay_options *o) {
    return (soma_schedule){
        exponential_decay, 4, {o->initial_learning_rate, o->decay_steps, o->decay_rate, o->staircase}};
}

soma_schedule soma_inverse_time_decay_create(const soma_inverse_time_decay_options *o) {
    return (soma_schedule){
        inverse_time_decay, 4, {o->initial_learning_rate, o->decay_steps, o->decay_rate, o->staircase}};
}

soma_schedule soma_polynomial_decay_create(const soma_polynomial_decay_options *o) {
    return (soma_schedule){polynomial_decay,
                           5,
                           {o->initial_learning_rate, o->decay_steps, or_default(o->end_learning_rate, 0.0001),
                            or_default(o->power, 1), o->cycle}};
}

soma_schedule soma_cosine_decay_create(const soma_cosine_decay_options *o) {
    return (soma_schedule){
        cosine_decay, 5, {o->initial_learning_rate, o->decay_steps, o->alpha, o->warmup_target, o->warmup_steps}};
}

soma_schedule soma_cosine_decay_restarts_create(const soma_cosine_decay_restarts_options *o) {
    return (soma_schedule){
        cosine_decay_restarts,
        5,
        {o->initial_learning_rate, o->first_decay_steps, or_default(o->t_mul, 2), or_default(o->m_mul, 1), o->alpha}};
}

enum { BOUNDARIES = (SOMA_SCHEDULE_NUMBERS - 1) / 2 };

soma_schedule soma_piecewise_constant_decay(int n, const double *boundaries, const double *values) {
    soma_schedule schedule = {.rate = piecewise_constant_decay, .n = -1};
    if (n < 0 || n > BOUNDARIES || !values || (n > 0 && !boundaries)) return schedule; /* schedule_check says it */
    schedule.n = 2 * n + 1;
    for (int i = 0; i < n; i++)
        schedule.parameters[i] = boundaries[i];
    for (int i = 0; i <= n; i++)
        schedule.parameters[n + i] = values[i];
    return schedule;
}

/* ---- names ---- */

enum { NAMED = 5 };

typedef struct schedule_entry {
    const char *name;
    soma_schedule_fn *rate;
    int n, required, flag;
    const char *parameters[NAMED];
    double standard[NAMED];
} schedule_entry;

static const schedule_entry entries[] = {
#define SCHEDULE(text, function, count, required, flag, names, defaults)                                               \
    {text, function, count, required, flag, names, defaults},
#include "nn/schedules.def"
#undef SCHEDULE
};
enum { ENTRIES = sizeof entries / sizeof *entries };

const char *const schedule_name_list[] = {
#define SCHEDULE(text, function, count, required, flag, names, defaults) text,
#include "nn/schedules.def"
#undef SCHEDULE
    NULL};

static const schedule_entry *entry_of(soma_schedule_fn *rate) {
    for (int i = 0; i < ENTRIES; i++) {
        if (entries[i].rate == rate) return &entries[i];
    }
    return NULL;
}

soma_status schedule_check(soma_context *context, const char *who, const soma_schedule *schedule) {
    if (!schedule->rate) return SOMA_OK;
    const schedule_entry *entry = entry_of(schedule->rate);
    RETURN_IF(context, schedule->n < 0 || schedule->n > SOMA_SCHEDULE_NUMBERS, SOMA_INVALID,
              "[%s] schedule: from 0 to %d boundaries, and one value more, are possible", who, BOUNDARIES);
    RETURN_IF(context, entry && entry->n > 0 && !(schedule->parameters[1] > 0), SOMA_INVALID,
              "[%s] %s: %s is %g: it must be more than 0", who, entry->name, entry->parameters[1],
              schedule->parameters[1]);
    for (int i = 1; schedule->rate == piecewise_constant_decay && i < schedule->n / 2; i++)
        RETURN_IF(context, !(schedule->parameters[i] > schedule->parameters[i - 1]), SOMA_INVALID,
                  "[%s] %s: boundary %g after %g: they must rise", who, entry->name, schedule->parameters[i],
                  schedule->parameters[i - 1]);
    double first = schedule->rate(0, schedule->parameters, schedule->n);
    RETURN_IF(context, !(first >= 0 && first <= 1e30), SOMA_INVALID, "[%s] schedule: the first learning rate is %g",
              who, first);
    return SOMA_OK;
}

/* ---- JSON ---- */

static void write_list(text *out, const double *numbers, int n) {
    text_append(out, "[");
    for (int i = 0; i < n; i++) {
        if (i) text_append(out, ", ");
        json_write_number(out, numbers[i]);
    }
    text_append(out, "]");
}

static void write_named(text *out, const schedule_entry *entry, const double *numbers) {
    text_append(out, "{");
    for (int i = 0; i < entry->n; i++) {
        text_printf(out, "%s\"%s\": ", i ? ", " : "", entry->parameters[i]);
        if (i == entry->flag) {
            text_append(out, numbers[i] != 0 ? "true" : "false");
        } else {
            json_write_number(out, numbers[i]);
        }
    }
    text_append(out, "}");
}

soma_status schedule_write_json(text *out, const field_names *names, const char *who, const soma_schedule *schedule) {
    const schedule_entry *entry = entry_of(schedule->rate);
    const char *name = entry ? entry->name : NULL;
    for (int i = 0; names->custom && i < SOMA_MAX_CUSTOM && names->custom[i].name && !name; i++) {
        if (names->custom[i].function == (soma_function *)schedule->rate) name = names->custom[i].name;
    }
    RETURN_IF(names->context, !name, SOMA_INVALID,
              "[%s] the schedule has no name: give it one by .custom = {{\"name\", (soma_function *)function}}", who);
    text_append(out, "{");
    json_write_string(out, name);
    text_append(out, ": ");
    if (entry && entry->n > 0) {
        write_named(out, entry, schedule->parameters);
    } else if (entry) {
        int k = (schedule->n - 1) / 2;
        text_append(out, "{\"boundaries\": ");
        write_list(out, schedule->parameters, k);
        text_append(out, ", \"values\": ");
        write_list(out, schedule->parameters + k, k + 1);
        text_append(out, "}");
    } else {
        write_list(out, schedule->parameters, schedule->n);
    }
    text_append(out, "}");
    return SOMA_OK;
}

static soma_status read_list(const field_names *names, const char *who, const char *what, const json_node *list,
                             double *numbers, int most, int *n) {
    int64_t count = list && json_node_kind(list) == JSON_IS_ARRAY ? json_node_count(list) : -1;
    RETURN_IF(names->context, count < 0 || count > most, SOMA_INVALID, "[%s] %s must be a list of at most %d numbers",
              who, what, most);
    for (int64_t i = 0; i < count; i++)
        RETURN_IF(names->context, !json_node_number(json_node_at(list, i), &numbers[i]), SOMA_INVALID,
                  "[%s] %s: number %lld is none", who, what, (long long)i);
    *n = (int)count;
    return SOMA_OK;
}

static soma_status read_piecewise(const field_names *names, const char *who, const json_node *numbers,
                                  soma_schedule *out) {
    double boundaries[BOUNDARIES], values[BOUNDARIES + 1];
    int n = 0, m = 0;
    TRY(read_list(names, who, "boundaries", json_node_find(numbers, "boundaries"), boundaries, BOUNDARIES, &n));
    TRY(read_list(names, who, "values", json_node_find(numbers, "values"), values, BOUNDARIES + 1, &m));
    RETURN_IF(names->context, m != n + 1, SOMA_INVALID,
              "[%s] %d boundaries and %d values: there must be one value more", who, n, m);
    *out = soma_piecewise_constant_decay(n, boundaries, values);
    return SOMA_OK;
}

static soma_status read_number(const field_names *names, const char *who, const schedule_entry *entry, const char *key,
                               const json_node *value, soma_schedule *out, unsigned *given) {
    int i = 0;
    bool flag;
    while (i < entry->n && strcmp(entry->parameters[i], key) != 0)
        i++;
    if (i == entry->n && (strcmp(key, "name") == 0 || json_node_kind(value) == JSON_IS_NULL)) return SOMA_OK;
    RETURN_IF(names->context, i == entry->n, SOMA_NOT_FOUND, "[%s] %s has no number '%s'", who, entry->name, key);
    if (json_node_kind(value) == JSON_IS_NULL) return SOMA_OK;
    if (i == entry->flag && json_node_bool(value, &flag)) {
        out->parameters[i] = flag;
    } else {
        RETURN_IF(names->context, !json_node_number(value, &out->parameters[i]), SOMA_INVALID,
                  "[%s] %s: %s must be a number", who, entry->name, key);
    }
    *given |= 1U << i;
    return SOMA_OK;
}

static soma_status read_numbers(const field_names *names, const char *who, const schedule_entry *entry,
                                const json_node *numbers, soma_schedule *out) {
    RETURN_IF(names->context, !numbers || json_node_kind(numbers) != JSON_IS_OBJECT, SOMA_INVALID,
              "[%s] %s: its numbers must be given by name", who, entry->name);
    if (entry->n == 0) return read_piecewise(names, who, numbers, out);
    *out = (soma_schedule){.rate = entry->rate, .n = entry->n};
    memcpy(out->parameters, entry->standard, sizeof entry->standard);
    void *cursor = NULL;
    const char *key;
    const json_node *value;
    unsigned given = 0;
    while (json_node_next(numbers, &cursor, &key, &value))
        TRY(read_number(names, who, entry, key, value, out, &given));
    for (int i = 0; i < entry->required; i++)
        RETURN_IF(names->context, !(given >> i & 1), SOMA_INVALID, "[%s] %s needs its %s", who, entry->name,
                  entry->parameters[i]);
    return SOMA_OK;
}

soma_status schedule_read_json(const field_names *names, const char *who, const json_node *node, soma_schedule *out) {
    const char *name = NULL;
    const json_node *numbers = NULL;
    if (json_node_find(node, "class_name")) {
        name = json_node_string(json_node_find(node, "class_name"));
        numbers = json_node_find(node, "config");
    } else if (json_node_kind(node) == JSON_IS_OBJECT && json_node_count(node) == 1) {
        void *cursor = NULL;
        (void)json_node_next(node, &cursor, &name, &numbers);
    }
    RETURN_IF(names->context, !name, SOMA_INVALID,
              "[%s] a schedule must be a name with its numbers, like {\"cosine_decay\": {...}}", who);
    for (int i = 0; names->custom && i < SOMA_MAX_CUSTOM && names->custom[i].name; i++) {
        if (!names->custom[i].function || strcmp(names->custom[i].name, name) != 0) continue;
        *out = (soma_schedule){.rate = (soma_schedule_fn *)names->custom[i].function};
        return read_list(names, who, name, numbers, out->parameters, SOMA_SCHEDULE_NUMBERS, &out->n);
    }
    for (int i = 0; i < ENTRIES; i++) {
        if (name_matches(entries[i].name, name)) return read_numbers(names, who, &entries[i], numbers, out);
    }
    return name_unknown(names->context, "schedule", name, schedule_name_list);
}
