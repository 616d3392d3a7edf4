/* What the compiler's passes share while a plan is made: nodes' roles, groups of nodes that become one step, uses.
 * Rests on steps.h for what comes out. Order of the passes: simplify, sums, fuse, layout, lower, memory, schedule
 * (passes.c).
 */
#ifndef PLAN_PASSES_H
#define PLAN_PASSES_H

#include "plan/steps.h"

typedef enum node_role {
    ROLE_UNUSED,
    ROLE_LEAF,   /* constant, input, read: lies in a storage from the start */
    ROLE_VIEW,   /* costs nothing: strides over another node's storage */
    ROLE_INLINE, /* made anew wherever it is read: iota, random numbers */
    ROLE_MEMBER, /* computed by its group */
    ROLE_STATE   /* assign */
} node_role;

typedef struct node_info {
    node_role role;
    bool forced;   /* views and inline nodes: must be computed into a storage of their own */
    bool stored;   /* members: somebody outside the group reads it, or it is a target */
    bool anew;     /* members: groups that read it make it anew, of what it is made of */
    bool kept;     /* members: some group reads it to make others anew */
    bool clipped;  /* pads: products alone see it, and make it as they go, or leave the zeros out: a view */
    bool out_only; /* members: rounded when stored, so not to be read from a register (casts to narrower dtypes) */
    bool per_row;  /* members: one value a row of the group's space */
    bool alone;    /* members: needs a storage of its own, which somebody takes whole */
    bool bfloat;   /* stored members: as bfloat16, and so everybody reads them, their own group too */
    bool exact;    /* must not be: to widen it would cost more than it saves */
    const soma_tensor *pad;      /* pads and their views: the pad */
    int group;                   /* members, -1 */
    int depth;                   /* views: how many lie on each other */
    int storage;                 /* -1 until lowered */
    int pack;                    /* the last step that packs it, -1 */
    int64_t width;               /* of the panels its storage lies in, 0: row-major */
    soma_variable *into;         /* members computed right into a variable: the assign's */
    const soma_tensor *within;   /* members stored as a part of another's storage, which has a place of its own ... */
    const struct layout *placed; /* ... there; else NULL */
    const soma_tensor *part_of;  /* with `within`: the node whose input number `part` it is there */
    int part;
} node_info;

typedef enum group_kind { GROUP_MAP, GROUP_ROW, GROUP_REDUCE, GROUP_CONTRACT, GROUP_KERNEL } group_kind;

typedef struct group {
    group_kind kind;
    bool gone;               /* merged into another */
    bool sealed;             /* a copy that others could not walk by strides: stays alone */
    bool by_panels;          /* reads something in panels */
    bool by_rows;            /* may reduce its rows and hold values of one a row: row programs, some contractions */
    soma_dtype dtype;        /* of its registers */
    const soma_tensor *root; /* matmul, long reduction, kernel node */
    int rank;                /* the space; for a reduction what is reduced */
    int64_t shape[SOMA_MAX_RANK];
    int split;              /* axes before it are rows, from it on columns (row programs, reductions, contractions) */
    int64_t size, row_size; /* elements; rows */
    int64_t post_size;      /* reductions: elements of the result */
    int64_t *members;       /* ids, ascending */
    int n_members, capacity;
    int *needs; /* groups whose results it reads, or that must read before it writes */
    int n_needs, needs_capacity;
    int *users; /* groups that need it */
    int n_users, users_capacity;
    int level;                /* above the levels of all it needs */
    int64_t highest;          /* id */
    int stamp_down, stamp_up; /* of the last searches that came from above, and from below */
    bool lifting, ordered;
    bool copy;  /* computes again what another group has computed: as late as it can */
    int origin; /* of a copy */
    int step;
} group;

/* A variable that the plan reads or assigns. */
typedef struct variable_use {
    soma_variable *variable;
    const soma_tensor *read; /* its old value; NULL when nobody wants it */
    int storage;             /* while lowering, -1 until asked for */
} variable_use;

typedef struct build {
    soma_context *context;
    soma_plan *plan;
    soma_graph *graph; /* simplified; belongs to the plan */
    soma_tensor **targets;
    int n_targets;
    bool reference, use_cached;
    const soma_tensor **input_of; /* by node id: the user's input tensor */
    node_info *infos;             /* by node id */
    int *uses;                    /* by node id: inputs of needed nodes that are it */
    variable_use *variables;      /* by address */
    int n_variables;
    group *groups;
    int n_groups, groups_capacity;
    int *lifted; /* groups whose users' levels are to be looked at */
    int stamp;
    int *order; /* of groups, by schedule */
    int n_order;
    const soma_tensor *blocker; /* set when lowering finds a node that must be forced */
    bool again;                 /* set when lowering forced some, or made some exact: once more from fusing */
    bool too_large;             /* set when a group has more values than a program has registers */
    int members_max;            /* of a group */
    int storages_capacity, steps_capacity;
    size_t limit;       /* bytes that the plan may need */
    bool tight;         /* it would need more */
    bool limit_given;   /* else it is the machine's */
    size_t bfloat_from; /* bytes of a float32 array from which on it is stored as bfloat16; 0: never */
    arena_mark mark;    /* of the plan's arena, before steps are made */
    arena arena;        /* gone when the plan is made */
} build;

/* A source's elements as strides over some shape: what a chain of views makes of it. */
typedef struct layout {
    int64_t offset;
    int rank;
    int64_t shape[SOMA_MAX_RANK], strides[SOMA_MAX_RANK];
} layout;

enum { CHAIN_MAX = 64 };
/* Elements of a row that may be reduced within a row program, whatever the number of rows: a row's sum depends on it.
 */
enum { REDUCE_ROW_LIMIT = 4096 /* in an epilogue */, REDUCE_LONG_ROW = 65536 };
/* Views from a source outwards: views[n-1] is next to the source, views[0] the outermost. */
typedef struct chain {
    const soma_tensor *source;
    int64_t offset; /* of the source's first element in its storage */
    int n;
    const soma_tensor *views[CHAIN_MAX];
} chain;

/* ---- passes.c, kernel_choice.c ---- */
/* options may be NULL. use_cached: what soma_eval left at nodes is constant, constants are borrowed. */
soma_plan *plan_build(soma_tensor *const *targets, int n, const soma_plan_options *options, bool use_cached);
/* From groups to steps and the memory that they take, which plan_needs then tells. SOMA_UNSUPPORTED without a text: the
 * groups must be others. */
soma_status plan_lay_out(build *b);
/* What a limit is held against: arena, outputs, scratch and copies of all threads, and the variables. */
size_t plan_needs(const soma_plan *plan);
/* The context's kernels; NULL after an error. */
const cpu_kernels *plan_kernels(soma_context *context);

/* ---- simplify.c ---- */
/* Copies what the targets need into the plan's graph: common subexpressions once, constants folded, algebra done. */
soma_status plan_simplify(build *b, soma_tensor *const *targets, int n);

/* ---- sums.c ---- */
/* Sums of products become one product of longer rows; gives the graph's nodes new ids. */
soma_status plan_sums(build *b);

/* ---- unroll.c ---- */
/* A reduction over the axes of windows as maps of their elements; any other node as it is. */
soma_tensor *plan_unroll(soma_tensor *t);

/* ---- strides.c ---- */
void layout_dense(layout *out, int rank, const int64_t *shape);
bool layout_view(layout *l, const soma_tensor *view);
bool layout_reshape(layout *l, int rank, const int64_t *shape);
bool layout_is_dense(const layout *l);
/* The source below the views of a node. False when the chain is too long. */
bool chain_find(const build *b, const soma_tensor *node, chain *out);
/* The chain's result as strides over the source's dense elements; on failure *blocker is what must be forced. */
bool chain_layout(const chain *c, layout *out, const soma_tensor **blocker);

/* ---- axes.c ---- */
enum { AXES_MAX = 16 };
/* An axis that padding made longer than its array, as it is or cut by windows into places and what they see. */
typedef enum pad_role { PAD_NONE, PAD_WHOLE, PAD_PLACE, PAD_SEEN } pad_role;
typedef struct fine_axis {
    int64_t extent, stride;
    pad_role role;
    int pad; /* which */
} fine_axis;
/* A source's elements over a shape each of whose axes may take several strided ones: list[ends[i-1] .. ends[i]-1], from
 * the outermost, none for an extent of 1. */
enum { PADS_MAX = 3 };
typedef struct fine_axes {
    int64_t offset;
    int rank, ends[SOMA_MAX_RANK];
    fine_axis list[AXES_MAX];
    int n_pads;
    window_axis pads[PADS_MAX];
} fine_axes;
/* How many axes make the result's axis i, and which. */
int axes_of(const fine_axes *x, int i, const fine_axis **list);
/* Puts neighbours together that are one strided axis; returns how many are left. */
int axes_merge(fine_axis *list, int n);
/* The chain's result, the node, over the source's dense elements; on failure *blocker is what must be forced. */
bool axes_find(const chain *c, const soma_tensor *node, fine_axes *out, const soma_tensor **blocker);

/* ---- panels.c ---- */
/* Matrices of so many rows and columns, one after the other, that lie in panels of a width, or would. */
typedef struct panel_stack {
    int64_t rows, columns, width;
} panel_stack;
/* Elements there: where the first is, how far apart a panel's and a matrix' first elements are, and how many rows of
 * what is read are of one matrix. */
typedef struct panel_place {
    int64_t offset, panel, matrix, rows;
} panel_place;
int64_t panel_width(const cpu_real *real, int64_t columns);
/* Is the layout, of elements as they were row by row, some rows of one such matrix, or all of several, and of the
 * columns as many as are panels? */
bool layout_in_panels(const layout *l, const panel_stack *s, panel_place *out);
/* A = y, the chain's result: some rows of a matrix, whose columns are whole panels: k is cut into runs of their width.
 */
bool left_in_panels(const chain *c, const soma_tensor *y, const panel_stack *s, panel_place *out);
/* B = y as [.., K, N]: such matrices, one each or one for all batches; some rows of a matrix, or of several, of which
 * each is a run of k (*out says where), as A's axes must have them (NULL: they do not); a matrix' transpose, which is
 * packed from panels.
 */
typedef enum right_form { RIGHT_NOT, RIGHT_STACK, RIGHT_ROWS, RIGHT_TRANSPOSED } right_form;
right_form right_in_panels(const chain *c, const soma_tensor *y, const fine_axes *a, const panel_stack *s,
                           panel_place *out);

/* ---- layout.c ---- */
/* Which storages lie in panels. */
soma_status plan_layout(build *b);

/* ---- winograd.c ---- */
/* Is a product with such a left operand, and n columns, a convolution (or its gradient for weights) that Winograd's
 * transforms make cheaper? */
bool winograd_find(const fine_axes *left, int64_t n, const cpu_real *real, winograd *out);
/* How it is cut, once B's form is known; then how its epilogue goes; elements that all threads share. */
void winograd_cut(contract *c, winograd *w, const cpu_real *real);
void winograd_cut_epilogue(contract *c, winograd *w);
int64_t winograd_partial(const contract *c);

/* ---- clip.c ---- */
/* Finds the pads that need not be there; before fusing. */
void plan_clip(build *b);
/* A pad as a product makes it of what is below it; false: it is not that simple. */
bool padding_find(const soma_tensor *pad, const chain *below, contract_padding *out);
/* May the tiles of a product with such a left operand leave out what they see of padding? */
bool edges_find(const fine_axes *left, const soma_tensor *product, const cpu_real *real, contract_edges *out);

/* ---- bands.c ---- */
/* Elements (i, j) of matrices with low <= j - i <= high. */
typedef struct band {
    int64_t low, high;
} band;
#define BAND_ALL (INT64_C(1) << 48)
/* Where t may be other than zero. */
band band_of_zeros(const build *b, const soma_tensor *t);
/* Which elements of t, computed by the group, anybody wants. */
band band_wanted(const build *b, const group *g, const soma_tensor *t);
/* Is all that the group of a product stores zero above a diagonal, and does nothing there count for what it reduces? */
bool band_ends(const build *b, const group *g, int64_t high);

/* ---- groups.c ---- */
/* A group of no members yet, over the node's shape; NULL when out of memory. Groups move when one is made. */
group *group_new(build *b, group_kind kind, const soma_tensor *t, soma_dtype dtype);
bool group_push_member(build *b, group *g, const soma_tensor *t);
/* The group comes after group `need`, which must not depend on it. */
bool group_push_need(build *b, group *g, int need);
/* Group `from` melts into group `into`. */
bool group_absorb(build *b, int into, int from);
/* Does group `from` need group `to`, over any number of others? Gives up with yes when the search grows long. */
bool group_depends(build *b, int from, int to);

/* ---- join_maps.c ---- */
/* Maps that kernels do together with the map they are made for. */
soma_status plan_join_maps(build *b);

/* ---- keep.c ---- */
/* Which members are not stored, but made anew where they are read. */
soma_status plan_keep(build *b);

/* ---- bfloat.c ---- */
/* Which values lie in memory as bfloat16, where the plan may. */
soma_status plan_bfloat(build *b);

/* ---- node_real.c ---- */
soma_dtype node_real(const soma_tensor *node); /* type of the registers it is computed in; SOMA_DTYPE_COUNT: none */
/* Integer values that a float32 register holds exactly. */
bool node_is_small(const soma_tensor *t);

/* ---- fuse.c ---- */
soma_status plan_fuse(build *b);
/* Reductions: is the member of the result's size, made after the reduction, not before? */
static inline bool group_after(const group *g, const soma_tensor *t) {
    return g->kind == GROUP_REDUCE && shape_size(t->rank, t->shape) == g->post_size;
}
/* A value of the group's size (per_row: a row's worth) as strides over the group's space. */
bool group_over_space(const group *g, layout *l, bool per_row);

/* ---- find_stored.c ---- */
/* Which values lie in memory, given the groups. */
bool plan_find_stored(build *b); /* false when out of memory */

/* ---- copies.c, recompute.c ---- */
/* Which groups are computed once more, behind the place `peak` in the order, instead of keeping their values. */
typedef struct copy_choice {
    int peak;
    bool *again; /* by group */
    bool *keep;  /* by node: stays in memory, whoever reads it */
} copy_choice;
/* Adds the copies, lets what comes behind the peak read them, and drops what nobody reads any more. */
soma_status copies_make(build *b, const int *place, const copy_choice *choice);
/* Makes the plan need no more than b->limit, if it can: else an error that says what is needed. */
soma_status plan_fit(build *b);

/* ---- state.c ---- */
/* Which variables there are, before the other passes; then the plan's use of one of them. */
soma_status state_find_variables(build *b);
variable_use *state_variable(const build *b, const soma_variable *variable);
/* Lets values be computed right into the variables they are assigned to, where no reader of the old value is in the
 * way. */
soma_status plan_state(build *b);

/* ---- placed.c ---- */
/* Lets parts of concatenations and insides of pads be computed in their place there. */
soma_status plan_place(build *b);
/* Is input k of a concatenation or pad in its place already? */
bool placed_input(const build *b, const soma_tensor *t, int k);

/* ---- storages.c ---- */
int storage_add(build *b, const plan_storage *s);
/* The variable's storage; width of panels when it is made here, in the shape of t. */
int storage_of_variable(build *b, soma_variable *v, const soma_tensor *t, int64_t width);
/* The storage of a source node (leaf or stored member), made when it is first asked for; -1 when out of memory. */
int storage_of(build *b, const soma_tensor *node);

/* ---- lower.c, lower_contract.c, lower_tiles.c, lower_program.c ---- */
soma_status plan_lower(build *b);
/* Is the group a contraction that goes through its epilogue by whole rows, unless something there lies in panels? */
bool contract_takes_rows(const build *b, const group *g);
/* Is k one piece, and does B stay in L2 while all rows of A pass, so that rows may be finished as wholes? */
bool contract_keeps_right(int64_t depth, int64_t columns, soma_dtype dtype);
/* A contraction and what packs its right operand. */
soma_status lower_contract(build *b, int index);
/* A step of nothing yet; NULL when out of memory. */
plan_step *step_add(build *b, step_kind kind);
/* Adds the flops of a program and the bytes that it moves. */
void step_count(const build *b, plan_step *s, const tile_program *p);
/* Shared by all threads, if there is work enough in it. */
void step_set_parallel(plan_step *s);

typedef enum program_part { PART_WHOLE, PART_PRE, PART_POST } program_part;
/* The tile program of a group (or of one side of a reduction). preset: the node that register 0 holds, or NULL.
 * result: NULL, or gets the register of the node `reduced`. */
soma_status lower_program(build *b, int group, program_part part, const soma_tensor *preset, const soma_tensor *reduced,
                          int *result, tile_program *out);

/* ---- uses.c, order.c, successors.c, placement.c, schedule.c, describe.c ---- */
typedef void storage_fn(void *user, int storage, bool written);
void step_uses(const plan_step *s, storage_fn *f, void *user); /* a storage may come more than once */
/* The leaves and members that a node reads, below views and what is made anew wherever it is read. */
typedef void source_fn(void *user, const soma_tensor *source);
void node_sources(const build *b, const soma_tensor *t, source_fn *f, void *user);
/* What a node takes in the plan's memory: 0 unless it is a stored member with a place of its own. */
double node_bytes(const build *b, const soma_tensor *t);
soma_status plan_order(build *b);      /* of groups, so that each comes after what it needs */
soma_status plan_successors(build *b); /* sets the storages' `place` and `until` */
soma_status plan_memory(build *b);
void plan_schedule(build *b);
soma_status plan_meetings(build *b); /* where threads wait for each other; after plan_memory */
void plan_log(build *b, const char *pass);

#endif
