/* How the statistics of metrics_epoch.c become values.
 * Rests on nn.h. metrics.def puts each beside its metric. */
#ifndef NN_METRICS_EPOCH_H
#define NN_METRICS_EPOCH_H

#include <soma/nn.h>

soma_finish_fn finish_ratio, finish_f1, finish_iou, finish_auc, finish_root_of_mean, finish_r2, finish_exp_of_mean;
/* "crossentropy": binary, categorical or sparse, by the shapes. */
soma_tensor *metric_crossentropy(soma_tensor *y_true, soma_tensor *y_pred);

#endif
