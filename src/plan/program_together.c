/* A long row through instructions that go together (emit_together.c), piece by piece.
 * Rests on program_block.h. What is reduced is one number a piece in the result's place, and in the end those are; as
 * the kernel for whole rows does it, so that bits are the same. */
#include <string.h>

#include "plan/program_block.h"

/* One value for a row of which this is a piece. */
static void put(const block *b, const tile_instruction *in, int64_t start) {
    union {
        float f32[PROGRAM_PAD / 4];
        double f64[PROGRAM_PAD / 8];
    } place = {{0}};
    const void *there = b->registers[in->arguments[1]];
    if (b->size == 4)
        place.f32[0] = *(const float *)there - (float)start;
    else
        place.f64[0] = *(const double *)there - (double)start;
    b->program->real->put(b->registers[in->dst], b->ld, b->registers[in->arguments[0]], &place, 1, b->columns);
}

static void run(const block *b, const tile_instruction *in, int64_t piece, int64_t start) {
    char *dst = in->dst >= 0 ? b->registers[in->dst] : NULL;
    switch (in->kind) {
    case INSTRUCTION_MAP:
        block_map(b, in);
        break;
    case INSTRUCTION_STORE:
        block_store(b, in);
        break;
    case INSTRUCTION_PUT:
        put(b, in, start);
        break;
    default:
        in->reduce(dst + piece * b->size, b->registers[in->arguments[0]], 0, 1, b->columns);
    }
}

void block_run_together(const block *b, int i) {
    const tile_program *p = b->program;
    const tile_instruction *first = &p->instructions[i];
    const int count = first->together;
    const int64_t length = cpu_row_piece(b->columns), pieces = (b->columns + length - 1) / length;
    void *registers[PROGRAM_MAX_REGISTERS];
    bool passes[PROGRAM_MAX_REGISTERS];
    block piece = *b;
    piece.registers = registers;
    memcpy(registers, b->registers, (size_t)p->n_registers * sizeof *registers);
    memcpy(passes, p->passes, (size_t)p->n_registers * sizeof *passes);
    for (int j = 0; j < count; j++) /* what lies where it is stored lies there as a whole */
        if (first[j].in_place && b->in_place[first[j].arguments[0]] == p->accesses[first[j].access].storage)
            passes[first[j].arguments[0]] = true;
    for (int64_t k = 0; k < pieces; k++) {
        const int64_t start = k * length;
        piece.column = b->column + start;
        piece.columns = piece.ld = minimum(length, b->columns - start);
        for (int j = 0; j < count; j++) {
            for (int a = 0; a < b->n_ahead; a++)
                fetch_part(b->ahead[a], b->ld * b->size, i * pieces + k * count + j, p->n_instructions * pieces);
            run(&piece, &first[j], k, start);
        }
        for (int r = 0; r < p->n_registers; r++)
            if (passes[r]) registers[r] = (char *)registers[r] + length * b->size;
    }
    for (int j = 0; j < count; j++)
        if (first[j].kind == INSTRUCTION_REDUCE)
            first[j].reduce(b->registers[first[j].dst], b->registers[first[j].dst], 0, 1, pieces);
}
