/* Arrays in and out of a program's registers. One that lies as a register would is used where it lies: no load, no
 * store; everything else is converted on the way, in as few calls as its rows allow.
 * Rests on program_block.h and the kernels' loads and stores. */
#include <string.h>

#include "plan/program_block.h"

enum { SHORT = 64, TOGETHER_BYTES = 2048 };

int64_t access_row_offset(const tile_access *access, const tile_space *space, int64_t row) {
    if (space->row_rank <= 1) return space->row_rank ? row * access->row_strides[0] : 0;
    int64_t offset = 0;
    for (int i = space->row_rank - 1; i > 0; i--) {
        offset += row % space->row_shape[i] * access->row_strides[i];
        row /= space->row_shape[i];
    }
    return offset + row * access->row_strides[0];
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

void *block_in_place(const block *b, const tile_access *access, bool write) {
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
        int64_t size = block_element_size(b, access);
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
    call_load(b->runner, real->load[access->dtype], dst, source + offset * block_element_size(b, access),
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
    const int64_t size = block_element_size(b, access), row = b->ld * size, bytes = b->columns * size;
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
    const int64_t size = block_element_size(b, access), ahead = b->column * access->column_stride;
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
static void store_rows_past(const block *b, const tile_access *access, const char *src, cpu_line *held) {
    char *base = (char *)b->runner->plan->bases[access->storage] + b->column * b->size;
    void (*put)(void *, const void *, int64_t, cpu_line *) = b->program->real->store_past;
    row_walk w;
    if (calls_refused(b->runner)) return;
    walk_from(&w, access, &b->program->space, b->row);
    if (one_run(b, access)) {
        put(base + w.offset * b->size, src, b->rows * b->columns, held);
        return;
    }
    for (int64_t r = 0; r < b->rows; r++, walk_on(&w, 1), src += b->ld * b->size)
        put(base + w.offset * b->size, src, b->columns, held);
}

static void store_rows(const block *b, const tile_access *access, char *src) {
    char *base = b->runner->plan->bases[access->storage];
    const cpu_real *real = b->program->real;
    const int64_t size = block_element_size(b, access), ahead = b->column * access->column_stride;
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

void block_look_ahead(block *b, const void *there) {
    const char *next = (const char *)there + b->rows * b->ld * b->size;
    int k = 0;
    while (k < b->n_ahead && b->ahead[k] != next)
        k++;
    if (b->program->far && k == b->n_ahead && k < AHEAD_MAX) b->ahead[b->n_ahead++] = next;
}

void block_load(block *b, const tile_instruction *in) {
    const tile_access *access = &b->program->accesses[in->access];
    char *dst = b->registers[in->dst];
    if (access->kind == ACCESS_FULL) {
        void *there = block_in_place(b, access, false);
        if (there) {
            block_look_ahead(b, there);
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
            void *there = block_in_place(b, access, false);
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
            call_load(b->runner, b->program->real->load[access->dtype], dst,
                      source + offset * block_element_size(b, access), access->row_strides[0], n);
            return;
        }
        block narrow = *b;
        narrow.column = 0;
        narrow.columns = 1;
        for (int64_t r = 0; r < n; r++)
            load_full_row(&narrow, access, b->row + r, dst + r * b->size);
    }
}

void block_store(const block *b, const tile_instruction *in) {
    const tile_access *access = &b->program->accesses[in->access];
    const soma_plan *plan = b->runner->plan;
    char *src = b->registers[in->arguments[0]];
    char *base = plan->bases[access->storage];
    int64_t size = block_element_size(b, access);
    cpu_store_fn *put = b->program->real->store[access->dtype];
    if (access->kind == ACCESS_FULL) {
        if (in->in_place && b->in_place[in->arguments[0]] == access->storage) return;
        if (in->past) {
            store_rows_past(b, access, src, &b->past[in->past - 1]);
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

void *block_in_one_run(const block *b, const tile_access *access) {
    if (access->storage < 0 || access->width || access->column_stride != 1 || b->columns != b->ld) return NULL;
    if (b->rows > 1 && !one_run(b, access)) return NULL;
    const int64_t offset = access->offset + access_row_offset(access, &b->program->space, b->row) + b->column;
    return (char *)b->runner->plan->bases[access->storage] + offset * block_element_size(b, access);
}
