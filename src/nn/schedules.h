/* Schedules in files: {"exponential_decay": {"initial_learning_rate": 0.1, ...}}.
 * Rests on fields.h. The user's own are {"name": [numbers]}. */
#ifndef NN_SCHEDULES_H
#define NN_SCHEDULES_H

#include "nn/fields.h"

extern const char *const schedule_name_list[];

/* An error where the schedule's numbers give no rate. who: "adam", for errors. */
soma_status schedule_check(soma_context *context, const char *who, const soma_schedule *schedule);
soma_status schedule_write_json(text *out, const field_names *names, const char *who, const soma_schedule *schedule);
soma_status schedule_read_json(const field_names *names, const char *who, const json_node *node,
                               soma_schedule *schedule);

#endif
