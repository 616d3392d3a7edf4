/* What a run would work out of a program again and again is worked out once: where registers lie in scratch, what may
 * be read as it is or stored past the caches, whether blocks can go piece by piece.
 * Rests on steps.h; run_program.c and program_pieces.c go by it. */
#include "plan/steps.h"

enum { CHUNK_BYTES = 2048, FAR_ELEMENTS = 1 << 18, PAST_BYTES = 1 << 24 };

/* May a number be read where it lies? Not by a map of nothing but numbers, which reads a whole vector. */
static bool is_single(const tile_program *program, const tile_instruction *load) {
    const tile_access *access = &program->accesses[load->access];
    if (access->kind != ACCESS_UNIFORM || access->storage < 0 || access->dtype != program->dtype) return false;
    for (int i = 0; i < program->n_instructions; i++) {
        const tile_instruction *in = &program->instructions[i];
        for (int k = 0; k < in->n_arguments; k++)
            if (in->arguments[k] == load->dst &&
                (in->kind == INSTRUCTION_REDUCE || (in->kind == INSTRUCTION_MAP && !(in->variant >> k & 1))))
                return false;
    }
    return true;
}

/* Would a store push from the caches what is worth more than what it stores? The user may read results soon, of the
 * plan nobody does. */
static bool goes_past(const tile_program *program, const tile_instruction *in, const plan_storage *storages) {
    if (in->kind != INSTRUCTION_STORE || !storages || program->past == PROGRAM_MAX_PAST) return false;
    const tile_access *access = &program->accesses[in->access];
    const plan_storage *storage = &storages[access->storage];
    const int64_t bytes = program->space.rows * program->space.columns * (int64_t)soma_dtype_size(access->dtype);
    return storage->kind == STORAGE_ARENA && storage->output && bytes >= PAST_BYTES && access->kind == ACCESS_FULL &&
           !access->width && access->dtype == program->dtype && access->column_stride == 1;
}

void program_prepare(tile_program *program, const plan_storage *storages) {
    const int64_t slot_bytes = program->block * (program->dtype == SOMA_F64 ? 8 : 4) + PROGRAM_PAD;
    for (int i = 0; i < program->n_registers; i++)
        program->offsets[i] = program->slots[i] > 0    ? program->slots[i] * slot_bytes
                              : program->slots[i] < -1 ? program->n_slots * slot_bytes + (-2 - program->slots[i]) * 64
                                                       : 0;
    program->chunk = minimum(program->block, CHUNK_BYTES / (program->dtype == SOMA_F64 ? 8 : 4));
    program->plain = true;
    program->repeats = false;
    program->far = program->n_stores > 0 && program->space.rows * program->space.columns > FAR_ELEMENTS;
    program->past = 0;
    program->n_before = program->n_each = 0;
    program->width = 0;
    for (int i = 0; i < program->n_accesses && !program->whole_rows; i++)
        if (program->accesses[i].width) program->width = program->accesses[i].width;
    for (int i = 0; i < program->n_instructions; i++) {
        tile_instruction *in = &program->instructions[i];
        in->past = goes_past(program, in, storages) ? ++program->past : 0;
        in->in_place = in->in_place && !in->past;
        in->single = in->kind == INSTRUCTION_LOAD && is_single(program, in);
        const bool map = in->kind == INSTRUCTION_MAP && !in->by_rows, number = in->result == ACCESS_UNIFORM;
        const bool load = in->kind == INSTRUCTION_LOAD, store = in->kind == INSTRUCTION_STORE;
        const bool repeats = load && program->accesses[in->access].kind == ACCESS_COLUMN;
        program->plain = program->plain && ((number && !store) || in->result == ACCESS_FULL) && (map || load || store);
        program->repeats = program->repeats || repeats;
        if (number || repeats)
            program->before[program->n_before++] = i;
        else
            program->each[program->n_each++] = i;
        if (!map || number || in->result != ACCESS_FULL) continue;
        in->plain = in->map[in->variant];
        for (int k = in->n_arguments; k < 3; k++)
            in->arguments[k] = in->arguments[0]; /* not read */
    }
}

size_t program_scratch(const tile_program *program) {
    size_t size = program->dtype == SOMA_F64 ? 8 : 4;
    return (size_t)program->n_slots * ((size_t)program->block * size + PROGRAM_PAD) + (size_t)program->n_numbers * 64;
}
