/* Inputs that are rows of a larger array in some order: gathered by the team when a run begins.
 * Rests on the plan's bases. Few bytes are gathered whole by every thread, into memory of its own: to read a row once
 * more from where it lies costs less than to fetch it from another core's cache, and nobody has to wait.
 * The rows ahead are prefetched: a shuffled epoch reads memory at random, and waiting for it would be most of the time.
 */
#include <string.h>

#include "plan/rows.h"
#include "plan/steps.h"

enum { AHEAD = 8, LINE = 64, OWN_BYTES = 256 << 10, OWN_THREADS = 4 };

struct plan_rows {
    const soma_tensor *input;
    int storage;
    const char *data;
    const int64_t *order; /* NULL: the input is bound as a whole at the moment */
    size_t row;
    char *memory;
    size_t bytes, own; /* of memory; from one thread's copy to the next, 0: all share one */
    plan_rows *next;
};

static plan_rows *find(const soma_plan *plan, const soma_tensor *input) {
    plan_rows *r = plan->rows;
    while (r && r->input != input)
        r = r->next;
    return r;
}

static size_t row_bytes(const soma_tensor *input) {
    return (size_t)shape_size(input->rank - 1, input->shape + 1) * soma_dtype_size(input->dtype);
}

/* Memory for the rows of one input, kept as long as the plan. */
static plan_rows *make(soma_plan *plan, const soma_tensor *input, int storage) {
    plan_rows *r = arena_alloc(&plan->arena, sizeof *r);
    if (!r) return NULL;
    const size_t row = row_bytes(input), bytes = ((size_t)input->shape[0] * row + LINE - 1) & ~(size_t)(LINE - 1);
    const bool own = plan->threads > 1 && plan->threads <= OWN_THREADS && bytes <= OWN_BYTES;
    *r = (plan_rows){.input = input, .storage = storage, .row = row, .own = own ? bytes : 0};
    r->bytes = own ? bytes * (size_t)plan->threads : bytes;
    r->memory = mem_alloc(plan->context, r->bytes);
    if (!r->memory) return NULL;
    r->next = plan->rows;
    plan->rows = r;
    return r;
}

soma_status plan_bind_rows(soma_plan *plan, const soma_tensor *input, const void *data, const int64_t *order) {
    if (!order) return soma_plan_bind(plan, input, data);
    plan_rows *r = find(plan, input);
    if (!r) {
        int storage = 0;
        while (storage < plan->n_storages && plan->storages[storage].input != input)
            storage++;
        if (storage == plan->n_storages) return SOMA_OK; /* not needed */
        r = make(plan, input, storage);
        if (!r) return SOMA_NO_MEMORY;
    }
    r->data = data;
    r->order = order;
    plan->bases[r->storage] = r->memory;
    return SOMA_OK;
}

void rows_unbind(soma_plan *plan, const soma_tensor *input) {
    plan_rows *r = find(plan, input);
    if (r) r->order = NULL;
}

void rows_free(soma_plan *plan) {
    for (plan_rows *r = plan->rows; r; r = r->next)
        mem_free(plan->context, r->memory, r->bytes);
}

static void prefetch(const char *row, size_t bytes) {
    for (size_t i = 0; i < bytes && i < 16 * LINE; i += LINE)
        __builtin_prefetch(row + i);
}

static void gather(const plan_rows *r, char *to, int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i++) {
        if (i + AHEAD < last) prefetch(r->data + (size_t)r->order[i + AHEAD] * r->row, r->row);
        memcpy(to + (size_t)i * r->row, r->data + (size_t)r->order[i] * r->row, r->row);
    }
}

bool rows_gather(const soma_plan *plan, int thread, int threads) {
    bool shared = false;
    for (const plan_rows *r = plan->rows; r; r = r->next) {
        if (!r->order) continue;
        const int64_t n = r->input->shape[0];
        if (r->own) {
            gather(r, r->memory + (size_t)thread * r->own, 0, n);
        } else {
            gather(r, r->memory, n * thread / threads, n * (thread + 1) / threads);
            shared = true;
        }
    }
    return shared;
}

void rows_connect(const soma_plan *plan, int thread, void **bases) {
    for (const plan_rows *r = plan->rows; r; r = r->next)
        if (r->order && r->own) bases[r->storage] = r->memory + (size_t)thread * r->own;
}
