/* What the parts of the random graphs share: drawing, bounds on elements and rounding, the nodes kept so far.
 * Rests on random_graph.h. A node is only kept while its error is well below its size. */
#ifndef SUPPORT_RANDOM_NODES_H
#define SUPPORT_RANDOM_NODES_H

#include "support/random_graph.h"

/* In 0 .. n-1; true so many times in a hundred; a node, more often a late one. */
int64_t random_draw(random_graph *r, int64_t n);
bool random_chance(random_graph *r, int percent);
random_node random_pick(random_graph *r);
int64_t random_extent(random_graph *r);

/* Half the distance from 1 to the next number; 0 for integers. */
double random_epsilon(soma_dtype d);
/* Does the dtype hold all multiples of 2^-grain up to max? */
bool random_holds(soma_dtype d, double max, int grain);
/* What a sum of n numbers up to max may be off; the reference sums float64 in a row, float32 in double. */
double random_summing(soma_dtype d, double n, double max);
bool random_is_float(const random_node *x);
bool random_is_real(const random_node *x); /* float32 or float64 */

/* Keeps a result if it is sound: small enough to go on with, its error well below its size. Ends the test if NULL. */
void random_keep(random_graph *r, soma_tensor *t, double max, double error, int grain, bool smooth);

/* An input, a variable, a constant or random numbers (random_graph.c); any op on what is there (random_ops.c); what
 * networks are made of, on sources of its own (random_blocks.c). */
void random_add_source(random_graph *r);
void random_add_op(random_graph *r);
void random_add_block(random_graph *r);
/* An input, a variable or a constant of multiples of 1/8 (of 1, for integers) up to max. */
random_node random_source(random_graph *r, soma_dtype d, int rank, const int64_t *shape, double max);

#endif
