/* Runs reductions that do not fit a row in L1: outer x reduced x inner, in chunks of fixed size.
 * Rests on tile programs for what is reduced (pre) and for what becomes of the result (post). Chunks are cut by problem
 * size and combined in order, so that the number of threads changes no bit. */
#include <string.h>

#include "base/base.h"
#include "plan/calls.h"

typedef struct frame {
    const reduction *r;
    const plan_runner *runner;
    const cpu_real *real;
    char *accumulator, *row, *scratch; /* row: a copy of one */
    int64_t size;
    program_registers *registers;
    char *into; /* while rows of `columns` are summed: where to, and whether there is something already */
    int64_t columns;
    bool begun;
} frame;

static const int combining[CPU_REDUCE_COUNT] = {[CPU_REDUCE_SUM] = CPU_ADD,
                                                [CPU_REDUCE_PROD] = CPU_MUL,
                                                [CPU_REDUCE_MAX] = CPU_MAXIMUM,
                                                [CPU_REDUCE_MIN] = CPU_MINIMUM};

static size_t accumulator_bytes(const reduction *r) {
    return (size_t)vector_pad(r->block) * 8 + PROGRAM_PAD;
}

size_t reduction_scratch(const reduction *r) {
    size_t pre = program_scratch(&r->pre), post = program_scratch(&r->post);
    return 2 * accumulator_bytes(r) + (pre > post ? pre : post);
}

static void combine(const frame *f, char *into, const void *value, int64_t n) {
    call_map(f->runner, f->real->map[combining[f->r->code]][0], into, into, value, NULL, n);
}

/* The next n elements, whole rows of pre's result: all of them into `into`, in order. */
static void take_rows(void *user, int64_t n) {
    frame *f = user;
    const reduction *r = f->r;
    const char *values = f->registers->at[r->pre_result];
    const int64_t columns = f->columns, rows = n / columns, lanes = f->real->lanes;
    const int64_t touched = (columns + lanes - 1) & -lanes;
    int64_t j = 0;
    if (r->code == CPU_REDUCE_SUM && !f->runner->writing && f->begun) { /* in the same order */
        const int64_t whole = columns < touched ? rows - (touched - 1) / columns : rows;
        if (whole > 0) f->real->add_rows(f->into, values, columns, whole, columns);
        j = whole > 0 ? whole : 0;
    }
    for (; j < rows; j++) {
        const char *row = values + j * columns * f->size;
        if ((rows - j) * columns < touched) { /* whole vectors would reach behind what may be somebody else's array */
            call_copy(f->runner, f->row, row, columns * f->size);
            row = f->row;
        }
        if (f->begun)
            combine(f, f->into, row, columns);
        else
            call_copy(f->runner, f->into, row, columns * f->size);
        f->begun = true;
    }
}

/* `into` gets the reduction of elements first .. last-1 for one piece of inner. */
static void reduce_columns(frame *f, int64_t outer, int64_t first, int64_t last, int64_t column, int64_t columns,
                           char *into) {
    const reduction *r = f->r;
    const int64_t most = minimum(PROGRAM_MAX_ROWS, r->pre.block / columns);
    f->into = into;
    f->columns = columns;
    f->begun = false;
    for (int64_t i = first, n; i < last; i += n) {
        const int64_t row = outer * r->reduced + i;
        n = last - i;
        if (r->together) n = minimum(n, r->together - row % r->together);
        if (!f->runner->writing &&
            program_run_pieces(&r->pre, f->runner, f->scratch, f->registers, row, n, column, columns, take_rows, f))
            continue;
        n = minimum(n, most < 1 ? 1 : most);
        program_run(&r->pre, f->runner, f->scratch, f->registers, row, n, column, columns, columns);
        take_rows(f, n * columns);
    }
}

/* The same for one long row: inner is 1. */
static void reduce_row(frame *f, int64_t outer, int64_t first, int64_t last) {
    const reduction *r = f->r;
    for (int64_t i = first; i < last; i += r->pre.block) {
        int64_t n = minimum(r->pre.block, last - i);
        program_run(&r->pre, f->runner, f->scratch, f->registers, outer, 1, i, n, n);
        char *into = i == first ? f->accumulator : f->row;
        call_reduce(f->runner, f->real->reduce[r->code], into, f->registers->at[r->pre_result], n, 1, n);
        if (i != first) combine(f, f->accumulator, into, 1);
    }
}

static void finish(frame *f, int64_t outer, int64_t column, int64_t columns) {
    f->registers->at[0] = f->accumulator;
    program_run(&f->r->post, f->runner, f->scratch, f->registers, outer, 1, column, columns, columns);
}

static void reduce_chunk(frame *f, int64_t outer, int64_t chunk, int64_t column, int64_t columns) {
    const reduction *r = f->r;
    int64_t first = chunk * r->chunk, last = minimum(first + r->chunk, r->reduced);
    if (r->inner == 1)
        reduce_row(f, outer, first, last);
    else
        for (int64_t each = r->pre.width ? r->pre.width : columns, i = 0; i < columns; i += each)
            reduce_columns(f, outer, first, last, column + i, minimum(each, columns - i), f->accumulator + i * f->size);
    if (r->chunks == 1) {
        finish(f, outer, column, columns);
        return;
    }
    char *partial = f->runner->plan->bases[r->partial];
    call_copy(f->runner, partial + ((chunk * r->outer + outer) * r->inner + column) * f->size, f->accumulator,
              columns * f->size);
}

void reduction_run(const reduction *r, const plan_runner *runner) {
    program_registers registers;
    registers.program = NULL;
    frame f = {.r = r, .runner = runner, .real = r->pre.real, .registers = &registers};
    f.size = r->pre.dtype == SOMA_F64 ? 8 : 4;
    f.accumulator = runner->scratch;
    f.row = f.accumulator + accumulator_bytes(r);
    f.scratch = f.row + accumulator_bytes(r);
    int64_t blocks = r->inner <= r->block ? 1 : (r->inner + r->block - 1) / r->block, first, last;
    if (r->outer * r->inner == 0) return;
    runner_share(runner, r->outer * r->chunks * blocks, &first, &last);
    if (blocks == 1 && last == 1 && first == 0) { /* small ones do without divisions */
        reduce_chunk(&f, 0, 0, 0, r->inner);
        first = last;
    }
    for (int64_t u = first; u < last; u++) {
        int64_t column = u % blocks * r->block;
        reduce_chunk(&f, u / blocks / r->chunks, u / blocks % r->chunks, column, minimum(r->block, r->inner - column));
    }
    if (r->chunks == 1) return;
    if (runner->threads > 1) team_barrier(context_team(runner->plan->context), runner->thread);
    const char *partial = runner->plan->bases[r->partial];
    runner_share(runner, r->outer * blocks, &first, &last);
    for (int64_t u = first; u < last; u++) {
        int64_t outer = u / blocks, column = u % blocks * r->block, columns = minimum(r->block, r->inner - column);
        for (int64_t chunk = 0; chunk < r->chunks; chunk++) {
            const char *values = partial + ((chunk * r->outer + outer) * r->inner + column) * f.size;
            if (chunk == 0)
                call_copy(runner, f.accumulator, values, columns * f.size);
            else
                combine(&f, f.accumulator, values, columns);
        }
        finish(&f, outer, column, columns);
    }
}
