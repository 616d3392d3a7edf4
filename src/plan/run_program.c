/* Runs tile programs: a list of map and reduce instructions over a block of rows that stays in L1.
 * Rests on the kernels' tables. Arrays that already lie as a register would are used where they lie: no load, no store;
 * everything else is converted on the way in and out. */
#include <string.h>

#include "plan/calls.h"

enum { AHEAD_MAX = 16 };

typedef struct block {
    const tile_program *program;
    const plan_runner *runner;
    void **registers;
    int64_t row, rows, column, columns, ld;
    int64_t size;  /* bytes of a register's element */
    int *in_place; /* by register: the storage in which it is computed, -1 */
    bool held;     /* what is the same in all rows is in its registers */
    int n_ahead;   /* arrays that the next block reads or writes right behind this one */
    const char *ahead[AHEAD_MAX];
} block;

int64_t access_row_offset(const tile_access *access, const tile_space *space, int64_t row) {
    if (space->row_rank <= 1) return space->row_rank ? row * access->row_strides[0] : 0;
    int64_t offset = 0;
    for (int i = space->row_rank - 1; i > 0; i--) {
        offset += row % space->row_shape[i] * access->row_strides[i];
        row /= space->row_shape[i];
    }
    return offset + row * access->row_strides[0];
}

static int64_t element_size(const block *b, const tile_access *access) {
    return access->dtype == b->program->dtype ? b->size : (int64_t)soma_dtype_size(access->dtype);
}

/* Element offset of (row, column) in panels. */
static int64_t panel_offset(const tile_access *access, const tile_space *space, int64_t row, int64_t column) {
    int64_t panel = column >> access->width_shift;
    if (access->matrix_rows != space->rows) {
        panel += row / access->matrix_rows * access->panels;
        row %= access->matrix_rows;
    }
    return access->offset + ((panel * access->panel_rows + row) << access->width_shift) +
           (column & (access->width - 1));
}

/* Where a full access' block lies if it lies as a register would and may be touched to whole vectors; else NULL. */
static void *in_place(const block *b, const tile_access *access, bool write) {
    if (access->dtype != b->program->dtype || access->storage < 0) return NULL;
    char *base = b->runner->plan->bases[access->storage];
    int64_t n = b->rows * b->ld, offset;
    if (access->width) {
        if (b->ld != access->width || (b->column & (access->width - 1)) != 0) return NULL;
        if (access->matrix_rows != b->program->space.rows &&
            b->row / access->matrix_rows != (b->row + b->rows - 1) / access->matrix_rows)
            return NULL;
        offset = panel_offset(access, &b->program->space, b->row, b->column);
    } else {
        if (access->column_stride != 1 && b->columns != 1) return NULL;
        if (b->rows > 1 && !(access->dense && b->ld == b->program->space.columns)) return NULL;
        offset =
            access->offset + access_row_offset(access, &b->program->space, b->row) + b->column * access->column_stride;
    }
    int64_t lanes = b->program->real->lanes, touched = (n + lanes - 1) & -lanes; /* all rows at once, or one by one */
    int64_t by_rows = n - b->ld + ((b->ld + lanes - 1) & -lanes), valid = access->width ? n : n - b->ld + b->columns;
    if (touched < by_rows) touched = by_rows;
    if (touched > valid) {
        /* Whole vectors reach beyond a row or the block: to read, within the array, to write at the end of memory that
         * is ours. */
        const plan_storage *storage = &b->runner->plan->storages[access->storage];
        bool owned = storage->kind == STORAGE_ARENA || storage->kind == STORAGE_VARIABLE;
        if (offset + touched > storage->elements + (owned ? STORAGE_SLACK : 0)) return NULL;
        if (write && (!owned || offset + valid < storage->elements)) return NULL;
    }
    return base + offset * b->size;
}

static void load_full_row(const block *b, const tile_access *access, int64_t row, char *dst) {
    const soma_plan *plan = b->runner->plan;
    const cpu_real *real = b->program->real;
    if (access->width) {
        const char *base = plan->bases[access->storage];
        int64_t size = element_size(b, access);
        for (int64_t done = 0; done < b->columns;) {
            int64_t column = b->column + done, piece = access->width - column % access->width;
            if (piece > b->columns - done) piece = b->columns - done;
            call_load(b->runner, real->load[access->dtype], dst + done * b->size,
                      base + panel_offset(access, &b->program->space, row, column) * size, 1, piece);
            done += piece;
        }
        return;
    }
    int64_t offset =
        access->offset + access_row_offset(access, &b->program->space, row) + b->column * access->column_stride;
    if (access->storage < 0) {
        if (calls_refused(b->runner)) return;
        for (int64_t i = 0; i < b->columns; i++) {
            double value = (double)(offset + i * access->column_stride);
            if (b->size == 4)
                ((float *)(void *)dst)[i] = (float)value;
            else
                ((double *)(void *)dst)[i] = value;
        }
        return;
    }
    const char *source = plan->bases[access->storage];
    call_load(b->runner, real->load[access->dtype], dst, source + offset * element_size(b, access),
              access->column_stride, b->columns);
}

/* One element a row, of the registers' own type: moved without a call. False when the access is not so. */
static bool move_single(const block *b, const tile_access *access, char *reg, bool write) {
    if (b->columns != 1 || b->size != 4 || access->dtype != SOMA_F32 || access->width || access->storage < 0 ||
        b->program->space.row_rank > 1 || b->runner->writing)
        return false;
    int64_t step = access->row_strides[0];
    float *values = (float *)(void *)reg;
    float *array = (float *)b->runner->plan->bases[access->storage] + access->offset + b->row * step +
                   b->column * access->column_stride;
    for (int64_t r = 0; r < b->rows; r++) {
        if (write)
            array[r * step] = values[r * b->ld];
        else
            values[r * b->ld] = array[r * step];
    }
    return true;
}

/* A few bytes: a call would take longer than the copy. */
static void copy_short(char *dst, const char *src, int64_t n) {
    for (; n >= 16; n -= 16, dst += 16, src += 16)
        memcpy(dst, src, 16);
    for (; n >= 4; n -= 4, dst += 4, src += 4)
        memcpy(dst, src, 4);
    for (; n > 0; n--)
        *dst++ = *src++;
}

enum { SHORT = 64, TOGETHER_BYTES = 2048, CHUNK_BYTES = 2048, FAR_ELEMENTS = 1 << 18, PAST_BYTES = 1 << 24 };

/* Row after row of an access that is not in panels: its offset, without dividing for each row. */
typedef struct row_walk {
    const tile_access *access;
    const tile_space *space;
    int64_t index[SOMA_MAX_RANK], offset;
} row_walk;

static void walk_from(row_walk *w, const tile_access *access, const tile_space *space, int64_t row) {
    w->access = access;
    w->space = space;
    w->offset = access->offset;
    for (int i = space->row_rank - 1; i >= 0; i--) {
        w->index[i] = i > 0 ? row % space->row_shape[i] : row;
        w->offset += w->index[i] * access->row_strides[i];
        if (i > 0) row /= space->row_shape[i];
    }
}

/* Rows until the last axis ends, and on by so many of them. */
static int64_t walk_left(const row_walk *w) {
    const int last = w->space->row_rank - 1;
    return last < 0 ? 1 : w->space->row_shape[last] - w->index[last];
}

static int64_t row_step(const row_walk *w) {
    return w->access->row_strides[w->space->row_rank - 1];
}

static void walk_on(row_walk *w, int64_t n) {
    for (int i = w->space->row_rank - 1; i >= 0; i--, n = 1) {
        w->offset += n * w->access->row_strides[i];
        w->index[i] += n;
        if (i == 0 || w->index[i] < w->space->row_shape[i]) return;
        w->offset -= w->index[i] * w->access->row_strides[i];
        w->index[i] = 0;
    }
}

/* Without gaps, in memory as in the register: all rows are one. */
static bool one_run(const block *b, const tile_access *access) {
    return access->dense && access->column_stride == 1 && b->columns == b->ld &&
           b->columns == b->program->space.columns;
}

/* Short rows without gaps of another type are converted some at once, with what is between them in the register. */
static bool together(const block *b, const tile_access *access) {
    return access->dtype != b->program->dtype && access->column_stride == 1 && b->ld <= SHORT && !b->runner->writing;
}

static void convert_together(const block *b, const tile_access *access, char *registers, bool write) {
    char *base = (char *)b->runner->plan->bases[access->storage], rows[TOGETHER_BYTES];
    const cpu_real *real = b->program->real;
    const int64_t size = element_size(b, access), row = b->ld * size, bytes = b->columns * size;
    row_walk w;
    walk_from(&w, access, &b->program->space, b->row);
    for (int64_t r = 0, n; r < b->rows; r += n, registers += n * b->ld * b->size) {
        n = minimum(TOGETHER_BYTES / row, b->rows - r);
        if (write) real->store[access->dtype](rows, 1, registers, n * b->ld);
        for (int64_t i = 0; i < n; i++, walk_on(&w, 1)) {
            char *there = base + (w.offset + b->column) * size;
            copy_short(write ? there : rows + i * row, write ? rows + i * row : there, bytes);
        }
        if (!write) real->load[access->dtype](registers, rows, 1, n * b->ld);
    }
}

/* Rows of the registers' own type without gaps go by one call for a run of them. */
static bool alike(const block *b, const tile_access *access) {
    return access->dtype == b->program->dtype && access->column_stride == 1 && b->columns <= SHORT &&
           b->program->space.row_rank > 0;
}

static void load_rows(const block *b, const tile_access *access, char *dst) {
    const char *base = b->runner->plan->bases[access->storage];
    const cpu_real *real = b->program->real;
    const int64_t size = element_size(b, access), ahead = b->column * access->column_stride;
    const bool runs = alike(b, access);
    cpu_load_fn *get = real->load[access->dtype];
    row_walk w;
    walk_from(&w, access, &b->program->space, b->row);
    if (one_run(b, access)) {
        call_load(b->runner, get, dst, base + w.offset * size, 1, b->rows * b->columns);
        return;
    }
    if (together(b, access)) {
        convert_together(b, access, dst, false);
        return;
    }
    for (int64_t r = 0, n; r < b->rows; r += n, walk_on(&w, n), dst += n * b->ld * b->size) {
        const char *row = base + (w.offset + ahead) * size;
        n = runs ? minimum(walk_left(&w), b->rows - r) : 1;
        if (runs)
            call_rows(b->runner, real, dst, b->ld, row, row_step(&w), n, b->columns);
        else
            call_load(b->runner, get, dst, row, access->column_stride, b->columns);
    }
}

/* Past the caches, of the registers' own type and without gaps within a row. */
static void store_rows_past(const block *b, const tile_access *access, const char *src) {
    char *base = (char *)b->runner->plan->bases[access->storage] + b->column * b->size;
    void (*put)(void *, const void *, int64_t) = b->program->real->store_past;
    row_walk w;
    if (calls_refused(b->runner)) return;
    walk_from(&w, access, &b->program->space, b->row);
    if (one_run(b, access)) {
        put(base + w.offset * b->size, src, b->rows * b->columns);
        return;
    }
    for (int64_t r = 0; r < b->rows; r++, walk_on(&w, 1), src += b->ld * b->size)
        put(base + w.offset * b->size, src, b->columns);
}

static void store_rows(const block *b, const tile_access *access, char *src) {
    char *base = b->runner->plan->bases[access->storage];
    const cpu_real *real = b->program->real;
    const int64_t size = element_size(b, access), ahead = b->column * access->column_stride;
    const bool short_rows = alike(b, access), runs = short_rows && b->columns % real->lanes == 0;
    cpu_store_fn *put = real->store[access->dtype];
    row_walk w;
    walk_from(&w, access, &b->program->space, b->row);
    if (one_run(b, access)) {
        call_store(b->runner, put, base + w.offset * size, 1, src, b->rows * b->columns);
        return;
    }
    if (together(b, access)) {
        convert_together(b, access, src, true);
        return;
    }
    for (int64_t r = 0, n; r < b->rows; r += n, walk_on(&w, n), src += n * b->ld * b->size) {
        char *row = base + (w.offset + ahead) * size;
        n = runs ? minimum(walk_left(&w), b->rows - r) : 1;
        if (runs)
            call_rows(b->runner, real, row, row_step(&w), src, b->ld, n, b->columns);
        else if (short_rows && !b->runner->writing)
            copy_short(row, src, b->columns * size);
        else
            call_store(b->runner, put, row, access->column_stride, src, b->columns);
    }
}

/* An array of a program that walks through more than the caches hold: its next piece will be asked for while this one
 * is computed, a little at a time, since bursts of requests hold up the loads of now. */
static void look_ahead(block *b, const void *there) {
    const char *next = (const char *)there + b->rows * b->ld * b->size;
    int k = 0;
    while (k < b->n_ahead && b->ahead[k] != next)
        k++;
    if (b->program->far && k == b->n_ahead && k < AHEAD_MAX) b->ahead[b->n_ahead++] = next;
}

static void load(block *b, const tile_instruction *in) {
    const tile_access *access = &b->program->accesses[in->access];
    char *dst = b->registers[in->dst];
    if (access->kind == ACCESS_FULL) {
        void *there = in_place(b, access, false);
        if (there) {
            look_ahead(b, there);
            b->registers[in->dst] = there;
            return;
        }
        if (move_single(b, access, dst, false)) return;
        if (access->storage >= 0 && !access->width) {
            load_rows(b, access, dst);
            return;
        }
        for (int64_t r = 0; r < b->rows; r++)
            load_full_row(b, access, b->row + r, dst + r * b->ld * b->size);
    } else if (access->kind == ACCESS_COLUMN) {
        if (b->rows == 1) {
            void *there = in_place(b, access, false);
            if (there) {
                b->registers[in->dst] = there;
                return;
            }
        }
        if (b->held) return;
        load_full_row(b, access, 0, dst);
        const int64_t row = b->ld * b->size, all = (b->rows - 1) * row + b->columns * b->size;
        for (int64_t done = row; done < all; done *= 2)
            call_copy(b->runner, dst + done, dst, minimum(done, all - done));
    } else {
        int64_t n = access->kind == ACCESS_ROW ? b->rows : 1;
        if (in->single) {
            b->registers[in->dst] = (char *)b->runner->plan->bases[access->storage] + access->offset * b->size;
            return;
        }
        if (n == 1 && access->dtype == SOMA_F32 && b->size == 4 && access->storage >= 0 && !b->runner->writing) {
            int64_t offset = access->offset + access_row_offset(access, &b->program->space, b->row);
            memcpy(dst, (const float *)b->runner->plan->bases[access->storage] + offset, sizeof(float));
            return;
        }
        if (access->storage >= 0 && b->program->space.row_rank <= 1) {
            const char *source = b->runner->plan->bases[access->storage];
            int64_t offset = access->offset + b->row * access->row_strides[0];
            call_load(b->runner, b->program->real->load[access->dtype], dst, source + offset * element_size(b, access),
                      access->row_strides[0], n);
            return;
        }
        block narrow = *b;
        narrow.column = 0;
        narrow.columns = 1;
        for (int64_t r = 0; r < n; r++)
            load_full_row(&narrow, access, b->row + r, dst + r * b->size);
    }
}

static void store(const block *b, const tile_instruction *in) {
    const tile_access *access = &b->program->accesses[in->access];
    const soma_plan *plan = b->runner->plan;
    char *src = b->registers[in->arguments[0]];
    char *base = plan->bases[access->storage];
    int64_t size = element_size(b, access);
    cpu_store_fn *put = b->program->real->store[access->dtype];
    if (access->kind == ACCESS_FULL) {
        if (in->in_place && b->in_place[in->arguments[0]] == access->storage) return;
        if (in->past) {
            store_rows_past(b, access, src);
            return;
        }
        if (move_single(b, access, b->registers[in->arguments[0]], true)) return;
        if (!access->width) {
            store_rows(b, access, src);
            return;
        }
        for (int64_t r = 0; r < b->rows; r++) {
            const char *row = src + r * b->ld * b->size;
            for (int64_t done = 0; done < b->columns;) {
                int64_t column = b->column + done, piece = access->width - column % access->width;
                if (piece > b->columns - done) piece = b->columns - done;
                call_store(b->runner, put, base + panel_offset(access, &b->program->space, b->row + r, column) * size,
                           1, row + done * b->size, piece);
                done += piece;
            }
        }
    } else {
        int64_t n = access->kind == ACCESS_ROW ? b->rows : 1;
        if (b->program->space.row_rank <= 1) {
            call_store(b->runner, put, base + (access->offset + b->row * access->row_strides[0]) * size,
                       access->row_strides[0], src, n);
            return;
        }
        for (int64_t r = 0; r < n; r++)
            call_store(b->runner, put,
                       base + (access->offset + access_row_offset(access, &b->program->space, b->row + r)) * size, 1,
                       src + r * b->size, 1);
    }
}

static void map(const block *b, const tile_instruction *in) {
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
        void *there = in_place(b, access, true);
        b->in_place[in->arguments[0]] = there ? access->storage : -1;
        if (!there) continue;
        look_ahead(b, there);
        b->registers[in->arguments[0]] = there;
    }
}

/* Has the block before left what is the same in all rows? Else this one will, for the next. */
static bool hold(program_registers *registers, const block *b) {
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

/* Rows of a piece: as many as keep it in L1, whole vectors together; 0 where no rows do. */
static int64_t piece_rows(const tile_program *p, int64_t ld) {
    const int64_t unit = p->real->lanes / minimum(ld & -ld, p->real->lanes), rows = p->chunk / ld / unit * unit;
    return rows ? rows : unit * ld <= p->block ? unit : 0;
}

/* Where a block's elements begin that lie without gaps, though they may have to be converted; else NULL. */
static void *in_one_run(const block *b, const tile_access *access) {
    if (access->storage < 0 || access->width || access->column_stride != 1 || b->columns != b->ld) return NULL;
    if (b->rows > 1 && !one_run(b, access)) return NULL;
    const int64_t offset = access->offset + access_row_offset(access, &b->program->space, b->row) + b->column;
    return (char *)b->runner->plan->bases[access->storage] + offset * element_size(b, access);
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
        void *there = load ? in_place(b, access, false) : NULL;
        at[i] = NULL;
        if (there) b->registers[reg] = there;
        if (there || (!load && in->in_place && b->in_place[reg] == access->storage)) {
            bool known = false; /* what is read and written is asked for once */
            for (int k = 0; k < n; k++)
                known = known || *walks[k].place == b->registers[reg];
            walks[n++] = (walk){&b->registers[reg], piece * b->size, known ? 0 : piece * b->size};
            continue;
        }
        if (!(at[i] = in_one_run(b, access))) return -1;
        const int64_t step = piece * element_size(b, access);
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
        real->store_past(at, registers[in->arguments[0]], n);
    else
        call_store(b->runner, real->store[b->program->accesses[in->access].dtype], at, 1, registers[in->arguments[0]],
                   n);
}

/* A plain program whose arrays lie without gaps: piece after piece through all instructions, so that what lies in
 * between stays in L1 however large the block is, and where arrays lie is found out once. What all rows read is written
 * out for one piece. False when an array has gaps, or no piece is whole rows where that is needed. */
static bool run_plain(block *b, program_registers *in_turn, program_piece *done, void *user) {
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
    first.held = hold(in_turn, &first); /* always: this program takes the place of what another one left */
    for (int i = 0; i < p->n_before; i++) {
        const tile_instruction *in = &p->instructions[p->before[i]];
        if (in->kind == INSTRUCTION_LOAD)
            load(&first, in);
        else
            map(b, in);
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

bool program_run_pieces(const tile_program *program, const plan_runner *runner, char *scratch,
                        program_registers *in_turn, int64_t row, int64_t rows, int64_t column, int64_t columns,
                        program_piece *done, void *user) {
    int bound[PROGRAM_MAX_REGISTERS];
    block b = {.program = program,
               .runner = runner,
               .registers = in_turn->at,
               .row = row,
               .rows = rows,
               .column = column,
               .columns = columns,
               .ld = columns,
               .size = program->dtype == SOMA_F64 ? 8 : 4,
               .in_place = bound};
    if (!program->plain || rows * columns <= 0) return false;
    place_registers(&b, scratch);
    return run_plain(&b, in_turn, done, user);
}

void program_run(const tile_program *program, const plan_runner *runner, char *scratch, program_registers *in_turn,
                 int64_t row, int64_t rows, int64_t column, int64_t columns, int64_t ld) {
    int bound[PROGRAM_MAX_REGISTERS];
    void **registers = in_turn->at;
    block b = {.program = program,
               .runner = runner,
               .registers = registers,
               .row = row,
               .rows = rows,
               .column = column,
               .columns = columns,
               .ld = ld,
               .size = program->dtype == SOMA_F64 ? 8 : 4,
               .in_place = bound};
    const int64_t whole = rows * ld;
    place_registers(&b, scratch);
    if (whole > program->chunk && program->plain && !program->whole_result && run_plain(&b, in_turn, NULL, NULL))
        return;
    b.held = hold(in_turn, &b);
    for (int i = 0; i < program->n_instructions; i++) {
        const tile_instruction *in = &program->instructions[i];
        for (int k = 0; k < b.n_ahead; k++)
            fetch_part(b.ahead[k], whole * b.size, i, program->n_instructions);
        switch (in->kind) {
        case INSTRUCTION_LOAD:
            load(&b, in);
            break;
        case INSTRUCTION_STORE:
            store(&b, in);
            break;
        case INSTRUCTION_MAP:
            if (in->plain)
                call_map(runner, in->plain, registers[in->dst], registers[in->arguments[0]],
                         registers[in->arguments[1]], registers[in->arguments[2]], whole);
            else
                map(&b, in);
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
    if (in->kind != INSTRUCTION_STORE || !storages) return false;
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
    program->past = false;
    program->n_before = program->n_each = 0;
    program->width = 0;
    for (int i = 0; i < program->n_accesses && !program->whole_rows; i++)
        if (program->accesses[i].width) program->width = program->accesses[i].width;
    for (int i = 0; i < program->n_instructions; i++) {
        tile_instruction *in = &program->instructions[i];
        in->past = goes_past(program, in, storages);
        in->in_place = in->in_place && !in->past;
        program->past = program->past || in->past;
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

/* Units: whole blocks of rows when a row is short or must be whole, else pieces of rows. */
static void run_units(const tile_program *program, const plan_runner *runner) {
    program_registers registers;
    registers.program = NULL;
    registers.at[0] = runner->scratch; /* not read */
    const tile_space *space = &program->space;
    if (space->rows == 0 || space->columns == 0) return;
    if (program->width) {
        run_panels(program, runner, &registers);
        return;
    }
    int64_t first, last;
    if (program->whole_rows || space->columns <= program->block / 2) {
        int64_t rows = program->block / space->columns;
        if (rows > PROGRAM_MAX_ROWS) rows = PROGRAM_MAX_ROWS;
        if (rows < 1) rows = 1;
        runner_share(runner, (space->rows + rows - 1) / rows, &first, &last);
        /* The last one is left, for vectors that would reach behind an array. */
        if (program_run_pieces(program, runner, runner->scratch, &registers, first * rows, (last - 1 - first) * rows, 0,
                               space->columns, NULL, NULL))
            first = last - 1;
        for (int64_t u = first; u < last; u++) {
            int64_t row = u * rows, n = minimum(rows, space->rows - row);
            program_run(program, runner, runner->scratch, &registers, row, n, 0, space->columns, space->columns);
        }
        return;
    }
    int64_t pieces = (space->columns + program->block - 1) / program->block;
    runner_share(runner, space->rows * pieces, &first, &last);
    if (space->rows == 1 && program_run_pieces(program, runner, runner->scratch, &registers, 0, 1,
                                               first * program->block, (last - 1 - first) * program->block, NULL, NULL))
        first = last - 1;
    for (int64_t u = first; u < last; u++) {
        int64_t row = u / pieces, column = u % pieces * program->block;
        int64_t n = space->columns - column < program->block ? space->columns - column : program->block;
        program_run(program, runner, runner->scratch, &registers, row, 1, column, n, n);
    }
}

void map_run(const tile_program *program, const plan_runner *runner) {
    run_units(program, runner);
    if (program->past) atomic_thread_fence(memory_order_seq_cst); /* before another thread reads */
}
