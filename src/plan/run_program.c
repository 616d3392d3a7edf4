/* Runs tile programs: a list of map and reduce instructions over a block of rows that stays in L1.
 * Rests on the kernels' tables and on program_arrays.c for what comes from memory and goes there. */
#include "plan/program_block.h"

void block_map(const block *b, const tile_instruction *in) {
    void *dst = b->registers[in->dst];
    const void *arguments[3] = {NULL, NULL, NULL};
    for (int i = 0; i < in->n_arguments; i++)
        arguments[i] = b->registers[in->arguments[i]];
    if (in->result == ACCESS_FULL && in->by_rows && b->rows > 1) {
        if (in->code == CPU_COPY) {
            call_repeat(b->runner, b->program->real, dst, b->ld, arguments[0], b->rows, b->columns);
            return;
        }
        cpu_map_fn *f = in->map[in->variant | in->row_variant];
        for (int64_t r = 0; r < b->rows; r++) {
            const void *row[3] = {NULL, NULL, NULL};
            for (int i = 0; i < in->n_arguments; i++) {
                int64_t step = in->row_variant >> i & 1 ? 1 : in->variant >> i & 1 ? 0 : b->ld;
                row[i] = (const char *)arguments[i] + r * step * b->size;
            }
            call_map(b->runner, f, (char *)dst + r * b->ld * b->size, row[0], row[1], row[2], b->columns);
        }
        return;
    }
    int64_t n = in->result == ACCESS_FULL ? b->rows * b->ld : in->result == ACCESS_ROW ? b->rows : 1;
    unsigned variant = in->variant;
    if (in->result == ACCESS_FULL) variant |= in->row_variant;
    call_map(b->runner, in->map[variant], dst, arguments[0], arguments[1], arguments[2], n);
}

static void random_numbers(const block *b, const tile_instruction *in) {
    if (calls_refused(b->runner)) return;
    const tile_access *access = &b->program->accesses[in->access];
    const cpu_real *real = b->program->real;
    uint64_t counter = 0;
    if (in->step >= 0) {
        const tile_access *step = &b->program->accesses[in->step];
        counter = (uint64_t)((const int64_t *)b->runner->plan->bases[step->storage])[step->offset];
    }
    for (int64_t r = 0; r < b->rows; r++) {
        char *dst = (char *)b->registers[in->dst] + r * b->ld * b->size;
        int64_t first = access->offset + access_row_offset(access, &b->program->space, b->row + r) + b->column;
        if (in->kind == INSTRUCTION_UNIFORM_RANDOM)
            real->uniform(dst, in->key, counter, first, b->columns);
        else
            real->normal(dst, in->key, counter, first, b->columns);
    }
}

/* Registers to their places: in scratch, or where their values are stored. */
static void place_registers(block *b, char *scratch) {
    const tile_program *program = b->program;
    for (int i = 1; i < program->n_registers; i++) /* register 0 is the caller's */
        b->registers[i] = scratch + program->offsets[i];
    for (int i = 0; i < program->n_stores; i++) {
        const tile_instruction *in = &program->instructions[program->stores[i]];
        if (!in->in_place) continue;
        const tile_access *access = &program->accesses[in->access];
        void *there = block_in_place(b, access, true);
        b->in_place[in->arguments[0]] = there ? access->storage : -1;
        if (!there) continue;
        block_look_ahead(b, there);
        b->registers[in->arguments[0]] = there;
    }
}

bool block_hold(program_registers *registers, const block *b) {
    if (registers->program == b->program && registers->rows >= b->rows && registers->column == b->column &&
        registers->columns == b->columns && registers->ld == b->ld)
        return !b->runner->writing;
    registers->program = b->program;
    registers->rows = b->rows;
    registers->column = b->column;
    registers->columns = b->columns;
    registers->ld = b->ld;
    return false;
}

bool program_run_pieces(const tile_program *program, const plan_runner *runner, char *scratch,
                        program_registers *in_turn, int64_t row, int64_t rows, int64_t column, int64_t columns,
                        program_piece *done, void *user) {
    int bound[PROGRAM_MAX_REGISTERS];
    block b = {.program = program,
               .runner = runner,
               .registers = in_turn->at,
               .past = in_turn->past,
               .row = row,
               .rows = rows,
               .column = column,
               .columns = columns,
               .ld = columns,
               .size = program->dtype == SOMA_F64 ? 8 : 4,
               .in_place = bound};
    if (!program->plain || rows * columns <= 0) return false;
    place_registers(&b, scratch);
    return block_run_plain(&b, in_turn, done, user);
}

void program_run(const tile_program *program, const plan_runner *runner, char *scratch, program_registers *in_turn,
                 int64_t row, int64_t rows, int64_t column, int64_t columns, int64_t ld) {
    int bound[PROGRAM_MAX_REGISTERS];
    void **registers = in_turn->at;
    block b = {.program = program,
               .runner = runner,
               .registers = registers,
               .past = in_turn->past,
               .row = row,
               .rows = rows,
               .column = column,
               .columns = columns,
               .ld = ld,
               .size = program->dtype == SOMA_F64 ? 8 : 4,
               .in_place = bound};
    const int64_t whole = rows * ld;
    place_registers(&b, scratch);
    if (whole > program->chunk && program->plain && !program->whole_result && block_run_plain(&b, in_turn, NULL, NULL))
        return;
    b.held = block_hold(in_turn, &b);
    const bool in_pieces = rows == 1 && columns > cpu_row_piece(columns) && !runner->writing;
    for (int i = 0; i < program->n_instructions; i++) {
        const tile_instruction *in = &program->instructions[i];
        if (in_pieces && in->together) {
            block_run_together(&b, i);
            i += in->together - 1;
            continue;
        }
        for (int k = 0; k < b.n_ahead; k++)
            fetch_part(b.ahead[k], whole * b.size, i, program->n_instructions);
        switch (in->kind) {
        case INSTRUCTION_LOAD:
            block_load(&b, in);
            break;
        case INSTRUCTION_STORE:
            block_store(&b, in);
            break;
        case INSTRUCTION_MAP:
            if (in->plain)
                call_map(runner, in->plain, registers[in->dst], registers[in->arguments[0]],
                         registers[in->arguments[1]], registers[in->arguments[2]], whole);
            else
                block_map(&b, in);
            break;
        case INSTRUCTION_REDUCE:
            call_reduce(runner, in->reduce, registers[in->dst], registers[in->arguments[0]], ld, rows, columns);
            break;
        case INSTRUCTION_PICK:
            call_pick(runner, program->real, registers[in->dst], registers[in->arguments[0]], in->by_rows ? ld : 0,
                      registers[in->arguments[1]], rows, columns);
            break;
        case INSTRUCTION_PUT:
            call_put(runner, program->real, registers[in->dst], ld, registers[in->arguments[0]],
                     registers[in->arguments[1]], rows, columns);
            break;
        case INSTRUCTION_UNIFORM_RANDOM:
        case INSTRUCTION_NORMAL_RANDOM:
            random_numbers(&b, in);
            break;
        }
    }
}
