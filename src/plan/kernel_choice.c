/* Which instruction set a context's kernels use: SOMA_ISA or the context's option, else the best the machine has.
 * Rests on cpu.h; kept with the context, chosen at first use. */
#include "base/context_internal.h"
#include "plan/passes.h"

const cpu_kernels *plan_kernels(soma_context *context) {
    context_lock(context);
    context_slot *slot = context_get_slot(context, CONTEXT_KERNELS);
    if (!slot->data) {
        const char *name = context_isa_name(context);
        const cpu_kernels *kernels = cpu_find(name);
        if (!kernels)
            error_set(context, SOMA_INVALID, "[isa] '%s' is unknown or this machine lacks it; it has %s to %s",
                      name ? name : "", cpu_level(0)->name, cpu_find(NULL)->name);
        slot->data = (void *)(intptr_t)kernels;
    }
    const cpu_kernels *found = slot->data;
    context_unlock(context);
    return found;
}

const char *soma_isa(const soma_context *context) {
    const cpu_kernels *kernels = plan_kernels(context_of(context));
    return kernels ? kernels->name : "unknown";
}
