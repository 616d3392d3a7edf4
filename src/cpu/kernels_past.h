/* Stores past the caches: of an array that nobody reads soon, the old lines need not come in, nor the new ones stay.
 * Rests on vec.h. Whole lines need aligned vectors; what is before the first and behind the last goes the usual way.
 * Whoever hands the array on to another thread passes a fence first. */

INLINE void V(put_past)(real *p, vec x) {
#if defined(__SSE2__)
    X86(stream)(p, x);
#else
    V(store)(p, x);
#endif
}

static void V(store_past)(void *dst, const void *src, int64_t n) {
    const real *from = src;
    real *to = dst;
    const int64_t before = (int64_t)(-(uintptr_t)to % VEC_BYTES / sizeof(real)), head = before < n ? before : n;
    if (head > 0) V(store_part)(to, V(load_part)(from, head, 0), head);
    int64_t i = head;
    for (; i + LANES <= n; i += LANES)
        V(put_past)(to + i, V(load_loose)(from + i));
    if (i < n) V(store_part)(to + i, V(load_part)(from + i, n - i, 0), n - i);
}
