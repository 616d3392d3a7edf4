/* Options as tables: what zero stands for, bounds, and numbers that options own.
 * Rests on fields.h; fields_write.c and fields_read.c are the two directions of files. */
#include "nn/fields.h"

#include <math.h>
#include <string.h>

#include "nn/schedules.h"

static soma_status check_bounds(soma_context *context, const char *who, const soma_field *f, double value) {
    if (f->low == 0 && f->high == 0) return SOMA_OK;
    RETURN_IF(context, !(value >= f->low), SOMA_INVALID, "[%s] %s is %.9g: it must be at least %.9g", who, f->name,
              value, f->low);
    RETURN_IF(context, f->high > f->low && !(value <= f->high), SOMA_INVALID,
              "[%s] %s is %.9g: it must be at most %.9g", who, f->name, value, f->high);
    return SOMA_OK;
}

soma_status fields_complete(soma_context *context, const char *who, const soma_field *fields, void *options) {
    for (const soma_field *f = fields; f && f->name; f++) {
        if (f->kind == SOMA_FIELD_INT) {
            int64_t *value = field_at(options, f);
            if (*value == 0) *value = (int64_t)f->standard;
            TRY(check_bounds(context, who, f, (double)*value));
        } else if (f->kind == SOMA_FIELD_NUMBER) {
            double *value = field_at(options, f);
            if (*value == 0) *value = signbit(*value) ? 0 : f->standard;
            RETURN_IF(context, !isfinite(*value), SOMA_INVALID, "[%s] %s is not a finite number", who, f->name);
            TRY(check_bounds(context, who, f, *value));
        } else if (f->kind == SOMA_FIELD_DTYPE) {
            soma_dtype dtype = *(const soma_dtype *)field_at_const(options, f);
            RETURN_IF(context, dtype != SOMA_F32 && dtype != SOMA_F64, SOMA_DTYPE, "[%s] %s must be float32 or float64",
                      who, f->name);
        } else if (f->kind == SOMA_FIELD_SCHEDULE) {
            TRY(schedule_check(context, who, field_at(options, f)));
        } else if (f->kind == SOMA_FIELD_AXES) {
            int64_t *axes = field_at(options, f);
            if (axes[0] == 0) axes[0] = (int64_t)f->standard;
        } else if (f->kind == SOMA_FIELD_SHAPE) {
            const int64_t *shape = field_at_const(options, f);
            for (int i = 0; i < SOMA_MAX_RANK && shape[i] != 0; i++) {
                RETURN_IF(context, shape[i] < -1, SOMA_SHAPE, "[%s] %s has an extent of %lld", who, f->name,
                          (long long)shape[i]);
            }
        }
    }
    return SOMA_OK;
}

void fields_forget_numbers(soma_context *context, const soma_field *fields, void *options) {
    for (const soma_field *f = fields; f && f->name; f++) {
        if (f->kind != SOMA_FIELD_NUMBERS) continue;
        soma_numbers *numbers = field_at(options, f);
        mem_free(context, (double *)(uintptr_t)numbers->values, (size_t)numbers->n * sizeof *numbers->values);
        *numbers = (soma_numbers){.n = 0};
    }
}

soma_status fields_own_numbers(soma_context *context, const soma_field *fields, void *options) {
    soma_status status = SOMA_OK;
    for (const soma_field *f = fields; f && f->name; f++) {
        if (f->kind != SOMA_FIELD_NUMBERS) continue;
        soma_numbers *numbers = field_at(options, f);
        const size_t bytes = (size_t)numbers->n * sizeof *numbers->values;
        double *copy = numbers->n > 0 && status == SOMA_OK ? mem_alloc(context, bytes) : NULL;
        if (copy) memcpy(copy, numbers->values, bytes);
        if (numbers->n > 0 && !copy) status = SOMA_NO_MEMORY;
        *numbers = (soma_numbers){.n = copy ? numbers->n : 0, .values = copy};
    }
    return status;
}
