/* AdamW: Adam with a weight decay of 0.004, which acts on the weight and not through the gradient.
 * Rests on optimizer_adam.c. In Soma, as in Keras 3, every optimizer decays that way; only the default differs.
 * Its own name keeps files and configurations clear. */
#include "nn/optimizer_adam.h"

static const soma_field fields[] = {ADAM_FIELDS(0.004)};

const soma_optimizer_class optimizer_adamw = {
    .name = "adamw", .size = sizeof(soma_adam_options), .fields = fields, .slots = adam_slots, .update = adam_update};

soma_optimizer *soma_adamw_create(const soma_adam_options *options) {
    return soma_optimizer_create(&optimizer_adamw, options);
}
