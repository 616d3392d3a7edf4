/* Axes of constraints: one, or several in one number.
 * Rests on names.h. A constraint keeps its numbers as doubles, and files write a set of axes as a list. */
#ifndef NN_CONSTRAINTS_H
#define NN_CONSTRAINTS_H

#include "nn/names.h"
#include "tensor/node.h"

enum { CONSTRAINT_AXES = 2 * SOMA_MAX_RANK };

/* The axes that a constraint's number stands for; returns how many. */
int constraint_axes(double axis, int axes[CONSTRAINT_AXES]);

#endif
