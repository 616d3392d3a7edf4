/* The initializer of one real type's table.
 * Rests on the names of real.h and on the kernels; the lists of cpu.h and tensor.h say what must be there.
 * An include, since only so can one initializer hold both types. */
#ifndef CPU_TABLE_MACROS
#define CPU_TABLE_MACROS
#define TILE_ENTRY(rows, vectors)                                                                                      \
    .tile[CPU_A_ROWS][rows][vectors] = V(tile_rows_##rows##_##vectors),                                                \
    .tile[CPU_A_COLUMNS][rows][vectors] = V(tile_columns_##rows##_##vectors),
#define MAP_ENTRY(name, inputs, formula) .map[CPU_##name] = MAP_ENTRY_##inputs(name),
#define REDUCE_ENTRY(name) .reduce[CPU_REDUCE_##name] = V(reduce_##name),
#define DTYPE_ENTRY(name, text, bytes) .load[name] = V(load_##name), .store[name] = V(store_##name),
#endif
{
    .lanes = LANES,
    .rows = TILE_ROWS,
    .vectors = CPU_MAX_VECTORS,
    TILE_LIST(TILE_ENTRY) CPU_MAP_LIST(MAP_ENTRY) CPU_REDUCE_LIST(REDUCE_ENTRY) SOMA_DTYPE_LIST(DTYPE_ENTRY).pack =
        V(pack),
    .pack_transposed = V(pack_transposed),
    .row = V(row),
    .repeat = V(repeat),
    .add_rows = V(add_rows),
    .copy_rows = V(copy_rows),
    .pick = V(pick),
    .put = V(put),
    .store_past = V(store_past),
    .uniform = V(uniform),
    .normal = V(normal),
    .winograd_x = V(winograd_x),
    .winograd_w = V(winograd_w),
    .winograd_y = V(winograd_y),
    .winograd_dy = V(winograd_dy),
    .winograd_dw = V(winograd_dw),
    .peak = V(peak),
},
