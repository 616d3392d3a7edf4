/* How a product reads matrices that lie in panels: which views of them it may read in place, as A or as B, and where
 * the elements are then. Rests on strides.c and axes.c. The one description of it: layout.c asks before an array lies
 * so, lowering when it does, so that what was promised is found and nothing has to be copied. */
#include "plan/passes.h"

int64_t panel_width(const cpu_real *real, int64_t columns) {
    return columns > real->lanes ? real->lanes * real->vectors : real->lanes;
}

bool layout_in_panels(const layout *l, const panel_stack *s, panel_place *out) {
    const int last = l->rank - 1;
    int64_t n = l->rank > 0 ? l->shape[last] : 1, m = 1;
    if (s->rows == 0 || s->columns == 0 || (n > 1 && l->strides[last] != 1)) return false;
    for (int i = last - 1; i >= 0; i--) {
        if (l->shape[i] == 1) continue;
        if (l->strides[i] != m * s->columns) return false;
        m *= l->shape[i];
    }
    const int64_t row = l->offset / s->columns, column = l->offset % s->columns;
    if (column % s->width != 0 || column + n > s->columns || (n % s->width != 0 && column + n != s->columns))
        return false;
    const bool all = column == 0 && n == s->columns && row % s->rows == 0 && m % s->rows == 0;
    if (row % s->rows + m > s->rows && !all) return false;
    out->panel = s->rows * s->width;
    out->matrix = (s->columns + s->width - 1) / s->width * out->panel;
    out->offset = row / s->rows * out->matrix + column / s->width * out->panel + row % s->rows * s->width;
    out->rows = m > s->rows ? s->rows : m;
    return true;
}

bool left_in_panels(const chain *c, const soma_tensor *y, const panel_stack *s, panel_place *out) {
    layout l;
    const soma_tensor *blocker;
    return y->rank == 2 && chain_layout(c, &l, &blocker) && layout_in_panels(&l, s, out) && out->rows == y->shape[0] &&
           y->shape[1] % s->width == 0;
}

/* Is A's k one axis, or cut into runs of so many? */
static bool runs_fit(const fine_axes *a, int64_t run) {
    const fine_axis *list;
    const int n = a ? axes_of(a, a->rank - 1, &list) : 0;
    return (n == 1 || (n == 2 && list[1].extent == run)) && a->n_pads == 0;
}

right_form right_in_panels(const chain *c, const soma_tensor *y, const fine_axes *a, const panel_stack *s,
                           panel_place *out) {
    layout l;
    const soma_tensor *blocker;
    const int last = y->rank - 1;
    const int64_t k = y->shape[last - 1], n = y->shape[last];
    if (!chain_layout(c, &l, &blocker)) return RIGHT_NOT;
    bool shared = true;
    for (int i = 0; i < last - 1; i++)
        shared = shared && (l.strides[i] == 0 || l.shape[i] == 1);
    const bool by_rows = (n == 1 || l.strides[last] == 1) && (k == 1 || l.strides[last - 1] == n);
    const bool by_columns = (n == 1 || l.strides[last] == k) && (k == 1 || l.strides[last - 1] == 1);
    if (l.offset == 0 && s->rows == k && s->columns == n && (layout_is_dense(&l) || (shared && by_rows)))
        return RIGHT_STACK;
    if (y->rank == 2 && n == s->columns && layout_in_panels(&l, s, out) && (out->rows == k || runs_fit(a, out->rows)))
        return RIGHT_ROWS;
    return l.offset == 0 && s->rows == n && s->columns == k && shared && by_columns ? RIGHT_TRANSPOSED : RIGHT_NOT;
}
