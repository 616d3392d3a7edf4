/* Which instructions of a program with whole rows go together through a long row, piece by piece.
 * Rests on steps.h. Instruction by instruction each would take the row from the second cache and put another one there;
 * so what lies between them stays in L1, and of a softmax that are three ways through the caches instead of nine. */
#include "plan/emitter.h"

/* May the instruction go with those from the first one on? Of what they reduce nothing is known before they are
 * through, and where an array is read as well, its old row may have to stay till then. */
static bool goes(const emitter *e, int first, int i) {
    const tile_instruction *in = &e->instructions[i];
    if (in->kind == INSTRUCTION_STORE) {
        for (int k = 0; k < e->n_accesses; k++)
            if (k != in->access && e->accesses[k].storage == e->accesses[in->access].storage) return false;
        return in->result == ACCESS_FULL;
    }
    for (int k = first; k < i; k++)
        for (int n = 0; n < in->n_arguments; n++)
            if (e->instructions[k].kind == INSTRUCTION_REDUCE && e->instructions[k].dst == in->arguments[n])
                return false;
    return (in->kind == INSTRUCTION_MAP && in->result == ACCESS_FULL) || in->kind == INSTRUCTION_PUT ||
           (in->kind == INSTRUCTION_REDUCE && in->code <= CPU_REDUCE_MIN);
}

/* What does not compute rows comes before the maps of rows beside it. */
static void gather(emitter *e) {
    for (int i = 1; i < e->n_instructions; i++) {
        const tile_instruction in = e->instructions[i];
        if (in.kind != INSTRUCTION_LOAD && (in.kind != INSTRUCTION_MAP || in.result == ACCESS_FULL)) continue;
        int k = i;
        for (; k > 0; k--) {
            const tile_instruction *map = &e->instructions[k - 1];
            bool stays = map->kind != INSTRUCTION_MAP || map->result != ACCESS_FULL;
            for (int n = 0; n < in.n_arguments; n++)
                stays = stays || in.arguments[n] == map->dst;
            if (stays) break;
            e->instructions[k] = *map;
        }
        e->instructions[k] = in;
    }
}

void together_find(emitter *e) {
    gather(e);
    for (int i = 0; i < e->n_instructions;) {
        int end = i;
        while (end < e->n_instructions && goes(e, i, end))
            end++;
        e->instructions[i].together = end - i;
        i = end > i ? end : i + 1;
    }
}

bool together_reads_number(const tile_instruction *in, int argument) {
    return in->kind == INSTRUCTION_PUT || (in->kind == INSTRUCTION_MAP && in->row_variant >> argument & 1);
}

static bool names(const tile_instruction *in, int reg) {
    bool is = in->dst == reg;
    for (int k = 0; k < in->n_arguments; k++)
        is = is || in->arguments[k] == reg;
    return is;
}

/* Is the value wanted by others than the instructions first .. end-1? */
static bool is_wanted(const emitter *e, int reg, int first, int end) {
    for (int i = 0; i < e->n_instructions; i++) {
        const tile_instruction *in = &e->instructions[i];
        if (names(in, reg) && (i < first || i >= end)) return true;
    }
    return reg == e->reduced_register;
}

/* Does one of them keep in the register's place what all pieces give? */
static bool is_taken(const emitter *e, const int *slots, int reg, int first, int end) {
    for (int i = first; i < end; i++) {
        const tile_instruction *in = &e->instructions[i];
        if (in->dst >= 0 && in->kind != INSTRUCTION_PUT && slots[in->dst] == slots[reg] &&
            (in->kind == INSTRUCTION_REDUCE || is_wanted(e, in->dst, first, end)))
            return true;
    }
    return false;
}

void together_pass(const emitter *e, tile_program *p) {
    for (int r = 0; r < p->n_registers; r++)
        p->passes[r] = r == 0;
    for (int i = 0; i < p->n_instructions; i++)
        if (p->instructions[i].dst > 0 && p->instructions[i].result == ACCESS_FULL)
            p->passes[p->instructions[i].dst] = true;
    for (int i = 0; i < p->n_instructions; i++) {
        const int end = i + p->instructions[i].together;
        for (int k = i; k < end; k++)
            if (p->instructions[k].kind == INSTRUCTION_MAP)
                p->passes[p->instructions[k].dst] = is_taken(e, p->slots, p->instructions[k].dst, i, end);
    }
}
