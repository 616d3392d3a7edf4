/* What autodiff's files share: ways from one value to another through maps. Rests on op.h. */
#ifndef PLAN_AUTODIFF_H
#define PLAN_AUTODIFF_H

#include "ops/op.h"

enum { SLOPE_MOST = 16 /* members */, SLOPE_INPUTS = 3 };

/* The sweep's: which nodes lead to what is differentiated by, and that. */
typedef struct slope_ways {
    const bool *leads, *wanted; /* by id */
} slope_ways;

/* Maps, the result first, through which alone it depends on x. */
typedef struct slope_region {
    soma_tensor *members[SLOPE_MOST], *x;
    int n;
} slope_region;

/* Does y depend on one value in several ways, all maps, of which some are costly? */
bool slope_find(const slope_ways *ways, soma_tensor *y, slope_region *out);
/* dy/dx, element by element; NULL after an error. */
soma_tensor *slope_make(const slope_ways *ways, const slope_region *region);

#endif
