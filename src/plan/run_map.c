/* Runs the program of a map or of rows over its whole space: cut into blocks by its size alone, shared by the threads.
 * Rests on run_program.c and program_pieces.c. */
#include <string.h>

#include "plan/steps.h"

/* Panel by panel, some rows at a time: elements of arrays in panels are used where they lie. */
static void run_panels(const tile_program *program, const plan_runner *runner, program_registers *registers) {
    const tile_space *space = &program->space;
    const int64_t width = program->width, panels = (space->columns + width - 1) / width;
    int64_t rows = minimum(minimum(program->block / width, PROGRAM_MAX_ROWS), space->rows), first, last;
    const int64_t blocks = (space->rows + rows - 1) / rows;
    runner_share(runner, panels * blocks, &first, &last);
    for (int64_t u = first; u < last; u++) {
        const int64_t column = u / blocks * width, row = u % blocks * rows;
        program_run(program, runner, runner->scratch, registers, row, minimum(rows, space->rows - row), column,
                    minimum(width, space->columns - column), width);
    }
}

enum { TOGETHER = 16 }; /* rows that fold together, and are whole lines */

/* Units: whole blocks of rows when a row is short or must be whole, else pieces of rows. */
static void run_units(const tile_program *program, const plan_runner *runner, program_registers *registers) {
    const tile_space *space = &program->space;
    if (space->rows == 0 || space->columns == 0) return;
    if (program->width) {
        run_panels(program, runner, registers);
        return;
    }
    int64_t first, last;
    if (program->whole_rows || space->columns <= program->block / 2) {
        int64_t rows = program->block / space->columns;
        if (rows > PROGRAM_MAX_ROWS) rows = PROGRAM_MAX_ROWS;
        if (rows > TOGETHER) rows &= -TOGETHER;
        if (rows < 1) rows = 1;
        runner_share(runner, (space->rows + rows - 1) / rows, &first, &last);
        /* The last one is left, for vectors that would reach behind an array. */
        if (program_run_pieces(program, runner, runner->scratch, registers, first * rows, (last - 1 - first) * rows, 0,
                               space->columns, NULL, NULL))
            first = last - 1;
        for (int64_t u = first; u < last; u++) {
            int64_t row = u * rows, n = minimum(rows, space->rows - row);
            program_run(program, runner, runner->scratch, registers, row, n, 0, space->columns, space->columns);
        }
        return;
    }
    int64_t pieces = (space->columns + program->block - 1) / program->block;
    runner_share(runner, space->rows * pieces, &first, &last);
    if (space->rows == 1 && program_run_pieces(program, runner, runner->scratch, registers, 0, 1,
                                               first * program->block, (last - 1 - first) * program->block, NULL, NULL))
        first = last - 1;
    for (int64_t u = first; u < last; u++) {
        int64_t row = u / pieces, column = u % pieces * program->block;
        int64_t n = space->columns - column < program->block ? space->columns - column : program->block;
        program_run(program, runner, runner->scratch, registers, row, 1, column, n, n);
    }
}

void map_run(const tile_program *program, const plan_runner *runner) {
    program_registers registers;
    registers.program = NULL;
    registers.at[0] = runner->scratch; /* not read */
    memset(registers.past, 0, (size_t)program->past * sizeof *registers.past);
    run_units(program, runner, &registers);
    for (int i = 0; i < program->past; i++)
        program->real->store_past(NULL, NULL, 0, &registers.past[i]);
    if (program->past) atomic_thread_fence(memory_order_seq_cst); /* before another thread reads */
}
