/* A tile program while it is made: what lower_program.c, lower_spot.c and emit_finish.c share.
 * Rests on passes.h. A value is a register, or a number in all places of a row but one (lower_spot.c). */
#ifndef PLAN_EMITTER_H
#define PLAN_EMITTER_H

#include "plan/passes.h"

typedef enum spot_kind {
    SPOT_NONE,
    SPOT_HIT,  /* true where the column is the row's place, else false; in no register yet */
    SPOT_VALUE /* `reg`, of one value a row at most, but `at` in the row's place */
} spot_kind;

typedef struct value {
    const soma_tensor *node; /* members; NULL for loads */
    int access;              /* loads */
    int reg;
    access_class kind;
    spot_kind spot;
    int place, at;            /* registers of one value a row: the column, what is there */
    int zero;                 /* a register of +0 when `reg` is nothing but zeros, -1 */
    const soma_tensor *equal; /* hits: the comparison */
    bool picked;              /* a row's value is node's at `place`, or the hit's comparison in a register: -1 */
} value;

typedef struct emitter {
    build *b;
    int group_index;
    const group *g;
    program_part part;
    const cpu_real *real;
    int rank, split; /* the part's space; split == rank + 1: anything may be a column (maps) */
    int64_t shape[SOMA_MAX_RANK];
    int64_t size;
    tile_access accesses[PROGRAM_MAX_REGISTERS];
    tile_instruction instructions[2 * PROGRAM_MAX_REGISTERS];
    value values[PROGRAM_MAX_REGISTERS];
    int n_accesses, n_instructions, n_values, n_registers;
    const soma_tensor *preset, *random; /* the last random node, for errors */
    int reduced_register;
    bool reduces, failed; /* reduces: rows must be whole */
} emitter;

/* ---- lower_program.c; false after a failure ---- */

bool emit_full(emitter *e);
/* culprit must be computed into memory first. */
bool emit_block(emitter *e, const soma_tensor *culprit);
tile_instruction *emit_push(emitter *e, instruction_kind kind, access_class result);
/* The value of a node seen by one of the space's (or a row's) size, through its views and `outer`, a forced view. */
bool emit_value(emitter *e, const soma_tensor *y, const soma_tensor *outer, bool per_row, value *out);
bool emit_map(emitter *e, int code, int n, value *arguments, value *out);
/* The same value with one element for each place of a wider class; for what is spotted in an ordinary register. */
bool emit_widen(emitter *e, value *v, access_class kind);
/* The same in a register of its own. */
bool emit_copy(emitter *e, value *v, access_class kind);
const value *emit_known(const emitter *e, const soma_tensor *t);
/* Is the node computed here? */
bool emit_belongs(const emitter *e, const soma_tensor *t);

/* ---- lower_spot.c ---- */

/* A comparison or a choice as a hit or spotted value; false if it is none, or after a failure. */
bool emit_spot(emitter *e, const soma_tensor *t, bool per_row, value *out);
/* A map of which some arguments are so. */
bool emit_spot_map(emitter *e, int code, int n, value *arguments, value *out);
/* The sum of rows that are zero but in one place. */
bool emit_spot_sum(emitter *e, const value *x, value *out);
/* In an ordinary register. */
bool emit_spot_settle(emitter *e, value *v);

/* ---- emit_finish.c ---- */

/* The program of what was emitted. */
bool emit_finish(emitter *e, tile_program *p);

/* ---- emit_together.c ---- */

/* Puts instructions in order and finds those that go together, before registers have slots. */
void together_find(emitter *e);
/* Is the argument of such an instruction one number a row, which each piece reads? */
bool together_reads_number(const tile_instruction *in, int argument);
/* Finds which registers hold all of a row; the others hold a piece. */
void together_pass(const emitter *e, tile_program *p);

#endif
