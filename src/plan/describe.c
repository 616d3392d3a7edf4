/* Shows what the compiler did: the graph after each pass (SOMA_LOG=plan), and the steps of a finished plan.
 * Rests on the finished structures only; nothing here changes a plan. */
#include <string.h>

#include "cpu/reference/element.h"
#include "plan/passes.h"

static const char *const kinds[] = {"map", "contract", "reduce", "pack", "kernel", "copy"};
static const char *const groups[] = {"map", "row", "reduce", "contract", "kernel"};

static void log_nodes(build *b) {
    char shape[SHAPE_TEXT];
    for (int64_t id = 0; id < b->graph->n_nodes; id++) {
        const soma_tensor *t = b->graph->nodes[id];
        if (b->infos[id].role == ROLE_UNUSED) continue;
        text line;
        text_init(&line, b->context);
        text_printf(&line, "  %%%lld = %s", (long long)id, t->op->name);
        for (int i = 0; i < t->n_inputs; i++)
            text_printf(&line, " %%%lld", (long long)t->inputs[i]->id);
        if (t->variable) text_printf(&line, " %s", t->variable->name);
        if (t->op == &op_constant && shape_size(t->rank, t->shape) == 1)
            text_printf(&line, " %g", element_get(t->dtype, t->data, 0));
        if (t->op->kind == OP_REDUCE) text_printf(&line, " axes 0x%x", (unsigned)t->attributes->axes);
        context_log(b->context, "plan", "%s : %s %s", line.data ? line.data : "", soma_dtype_name(t->dtype),
                    tensor_shape_text(shape, t));
        text_deinit(&line);
    }
}

static void log_groups(build *b) {
    for (int i = 0; i < b->n_groups; i++) {
        const group *g = &b->groups[i];
        if (g->gone) continue;
        text line;
        text_init(&line, b->context);
        text_printf(&line, "  group %d %s:", i, groups[g->kind]);
        for (int k = 0; k < g->n_members; k++)
            text_printf(&line, " %%%lld%s", (long long)g->members[k], b->infos[g->members[k]].stored ? "!" : "");
        context_log(b->context, "plan", "%s", line.data ? line.data : "");
        text_deinit(&line);
    }
}

static void log_widths(build *b) {
    for (int64_t id = 0; id < b->graph->n_nodes; id++)
        if (b->infos[id].width)
            context_log(b->context, "plan", "  %%%lld in panels of %lld%s%s", (long long)id,
                        (long long)b->infos[id].width, b->infos[id].into ? ", into " : "",
                        b->infos[id].into ? b->infos[id].into->name : "");
}

static void log_bfloats(build *b) {
    char shape[SHAPE_TEXT];
    for (int64_t id = 0; id < b->graph->n_nodes; id++)
        if (b->infos[id].bfloat)
            context_log(b->context, "plan", "  %%%lld %s as bfloat16", (long long)id,
                        tensor_shape_text(shape, b->graph->nodes[id]));
}

static void log_places(build *b) {
    for (int i = 0; i < b->plan->n_storages; i++) {
        const plan_storage *s = &b->plan->storages[i];
        if (s->kind == STORAGE_ARENA && s->last >= 0)
            context_log(b->context, "plan", "  array %d: steps %d to %d, %zu bytes at %zu%s%s", i, s->first, s->last,
                        s->bytes, s->offset, s->output ? ", output" : "", s->dtype == SOMA_BF16 ? ", bfloat16" : "");
    }
}

static void log_steps(build *b) {
    for (int i = 0; i < b->plan->n_steps; i++) {
        soma_plan_step s = soma_plan_get_step(b->plan, i);
        context_log(b->context, "plan", "  step %d %s%s: %s; %.0f flops, %.0f bytes", i, s.kind,
                    s.parallel ? " (shared)" : "", s.text, s.flops, s.bytes);
    }
    context_log(b->context, "plan", "  arena %zu bytes, scratch %zu a thread", b->plan->arena_bytes,
                b->plan->scratch_bytes);
}

void plan_log(build *b, const char *pass) {
    if (!context_log_enabled(b->context, "plan")) return;
    context_log(b->context, "plan", "after %s:", pass);
    static const struct {
        const char *pass;
        void (*log)(build *b);
    } views[] = {{"simplify", log_nodes}, {"fuse", log_groups},   {"bfloat", log_bfloats},
                 {"layout", log_widths},  {"memory", log_places}, {"schedule", log_steps}};
    for (size_t i = 0; i < sizeof views / sizeof *views; i++)
        if (strcmp(views[i].pass, pass) == 0) views[i].log(b);
}

int soma_plan_steps(const soma_plan *plan) {
    return plan ? plan->n_steps : 0;
}

soma_plan_step soma_plan_get_step(const soma_plan *plan, int i) {
    if (!plan || i < 0 || i >= plan->n_steps) return (soma_plan_step){.kind = "", .text = ""};
    const plan_step *s = &plan->steps[i];
    return (soma_plan_step){
        s->row ? "row" : kinds[s->kind], s->text ? s->text : "", s->flops, s->bytes, s->parallel, s->again};
}

size_t soma_plan_bytes(const soma_plan *plan) {
    return plan ? plan->arena_bytes : 0;
}

size_t soma_plan_bfloat16_bytes(const soma_plan *plan) {
    size_t bytes = 0;
    for (int i = 0; plan && i < plan->n_storages; i++) {
        const plan_storage *s = &plan->storages[i];
        if (s->kind == STORAGE_ARENA && s->last >= 0 && s->dtype == SOMA_BF16) bytes += s->bytes;
    }
    return bytes;
}

size_t soma_plan_memory(const soma_plan *plan) {
    return plan ? plan_needs(plan) : 0;
}
