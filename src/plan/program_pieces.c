/* Plain programs, loads, maps and stores of arrays without gaps: a block of any size, piece after piece through all
 * instructions. Where arrays lie is found out once, and what is between two maps stays in L1.
 * Rests on program_block.h. */
#include "plan/program_block.h"

/* Rows of a piece: as many as keep it in L1, whole vectors together; 0 where no rows do. */
static int64_t piece_rows(const tile_program *p, int64_t ld) {
    const int64_t unit = p->real->lanes / minimum(ld & -ld, p->real->lanes), rows = p->chunk / ld / unit * unit;
    return rows ? rows : unit * ld <= p->block ? unit : 0;
}

/* An array that a plain program walks through: its place is a register, or apart from the one it is converted for. */
typedef struct walk {
    void **place;
    int64_t step, ahead; /* bytes of a piece; how many are asked for ahead */
} walk;

/* What a plain program walks through: at[i] is where its i-th instruction loads from or stores to, NULL if its register
 * lies there itself. Returns how many, -1 if an array has gaps. */
static int find_walks(block *b, int64_t piece, void **at, walk *walks) {
    const tile_program *p = b->program;
    int n = 0;
    for (int i = 0; i < p->n_each; i++) {
        const tile_instruction *in = &p->instructions[p->each[i]];
        if (in->kind == INSTRUCTION_MAP) continue;
        const tile_access *access = &p->accesses[in->access];
        const bool load = in->kind == INSTRUCTION_LOAD;
        const int reg = load ? in->dst : in->arguments[0];
        void *there = load ? block_in_place(b, access, false) : NULL;
        at[i] = NULL;
        if (there) b->registers[reg] = there;
        if (there || (!load && in->in_place && b->in_place[reg] == access->storage)) {
            bool known = false; /* what is read and written is asked for once */
            for (int k = 0; k < n; k++)
                known = known || *walks[k].place == b->registers[reg];
            walks[n++] = (walk){&b->registers[reg], piece * b->size, known ? 0 : piece * b->size};
            continue;
        }
        if (!(at[i] = block_in_one_run(b, access))) return -1;
        const int64_t step = piece * block_element_size(b, access);
        walks[n++] = (walk){&at[i], step, in->past ? 0 : step};
    }
    return n;
}

static void run_piece(const block *b, const tile_instruction *in, void *at, int64_t n) {
    const cpu_real *real = b->program->real;
    void **registers = b->registers;
    if (in->kind == INSTRUCTION_MAP)
        call_map(b->runner, in->plain, registers[in->dst], registers[in->arguments[0]], registers[in->arguments[1]],
                 registers[in->arguments[2]], n);
    else if (in->kind == INSTRUCTION_LOAD)
        call_load(b->runner, real->load[b->program->accesses[in->access].dtype], registers[in->dst], at, 1, n);
    else if (in->past)
        real->store_past(at, registers[in->arguments[0]], n, &b->past[in->past - 1]);
    else
        call_store(b->runner, real->store[b->program->accesses[in->access].dtype], at, 1, registers[in->arguments[0]],
                   n);
}

bool block_run_plain(block *b, program_registers *in_turn, program_piece *done, void *user) {
    const tile_program *p = b->program;
    void *at[2 * PROGRAM_MAX_REGISTERS];
    walk walks[2 * PROGRAM_MAX_REGISTERS];
    int64_t piece = p->chunk;
    block first = *b;
    if (done || p->repeats) {
        if (b->rows == 1) return false;
        first.rows = minimum(piece_rows(p, b->ld), b->rows);
        piece = first.rows * b->ld;
        if (piece == 0) return false;
    }
    const int n_walks = find_walks(b, piece, at, walks);
    if (n_walks < 0) return false;
    first.held = block_hold(in_turn, &first); /* always: this program takes the place of what another one left */
    for (int i = 0; i < p->n_before; i++) {
        const tile_instruction *in = &p->instructions[p->before[i]];
        if (in->kind == INSTRUCTION_LOAD)
            block_load(&first, in);
        else
            block_map(b, in);
    }
    const int64_t whole = b->rows * b->ld;
    for (int64_t start = 0; start < whole; start += piece) {
        const int64_t n = minimum(piece, whole - start);
        for (int i = 0; i < p->n_each; i++) {
            const tile_instruction *in = &p->instructions[p->each[i]];
            if (p->far && start + piece < whole)
                for (int k = 0; k < n_walks; k++)
                    fetch_part((const char *)*walks[k].place + walks[k].step, walks[k].ahead, i, p->n_each);
            if (in->kind == INSTRUCTION_MAP || at[i]) run_piece(b, in, at[i], n);
        }
        if (done) done(user, n);
        b->registers[0] = (char *)b->registers[0] + piece * b->size;
        for (int i = 0; i < n_walks; i++)
            *walks[i].place = (char *)*walks[i].place + walks[i].step;
    }
    return true;
}
