/* A block of rows on its way through a program: what the ways of running one share.
 * Rests on calls.h. */
#ifndef PLAN_PROGRAM_BLOCK_H
#define PLAN_PROGRAM_BLOCK_H

#include "plan/calls.h"

enum { AHEAD_MAX = 16 };

typedef struct block {
    const tile_program *program;
    const plan_runner *runner;
    void **registers;
    cpu_line *past;
    int64_t row, rows, column, columns, ld;
    int64_t size;  /* bytes of a register's element */
    int *in_place; /* by register: the storage in which it is computed, -1 */
    bool held;     /* what is the same in all rows is in its registers */
    int n_ahead;   /* arrays that the next block reads or writes right behind this one */
    const char *ahead[AHEAD_MAX];
} block;

/* ---- program_arrays.c ---- */

static inline int64_t block_element_size(const block *b, const tile_access *access) {
    return access->dtype == b->program->dtype ? b->size : (int64_t)soma_dtype_size(access->dtype);
}

/* Where a full access' block lies if it lies as a register would and may be touched to whole vectors; else NULL. */
void *block_in_place(const block *b, const tile_access *access, bool write);
/* Where a block's elements begin that lie without gaps, though they may have to be converted; else NULL. */
void *block_in_one_run(const block *b, const tile_access *access);
/* An array of a program that walks through more than the caches hold: its next piece will be asked for while this one
 * is computed, a little at a time, since bursts of requests hold up the loads of now. */
void block_look_ahead(block *b, const void *there);
void block_load(block *b, const tile_instruction *in);
void block_store(const block *b, const tile_instruction *in);

/* ---- run_program.c ---- */

void block_map(const block *b, const tile_instruction *in);
/* Has the block before left what is the same in all rows? Else this one will, for the next. */
bool block_hold(program_registers *registers, const block *b);

/* ---- program_together.c ---- */

/* The i-th instruction and those that go together with it, over a long row. */
void block_run_together(const block *b, int i);

/* ---- program_pieces.c ---- */

/* A plain program whose arrays lie without gaps. What all rows read is written out for one piece; done: NULL, or gets
 * each piece. False when an array has gaps, or no piece is whole rows where that is needed. */
bool block_run_plain(block *b, program_registers *in_turn, program_piece *done, void *user);

#endif
