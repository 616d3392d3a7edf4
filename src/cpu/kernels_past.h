/* Stores past the caches: of an array that nobody reads soon, the old lines need not come in, nor the new ones stay.
 * Rests on vec.h. Whole lines only: for a part of one, the rest would have to come in after all, and stores behind it
 * wait. So a line's beginning is held until what follows is there; where nothing does, it goes the usual way.
 * Whoever hands the array on to another thread passes a fence first. */

enum { V(LINE) = CPU_LINE * 8 / REAL_BITS };

INLINE void V(put_past)(real *p, const real *line) {
    for (int i = 0; i < V(LINE); i += LANES) {
#if defined(__SSE2__)
        X86(stream)(p + i, V(load_loose)(line + i));
#else
        V(store)(p + i, V(load_loose)(line + i));
#endif
    }
}

/* The line goes where it belongs, the usual way unless it is whole. */
static __attribute__((noinline)) void V(put_held)(cpu_line *held) {
    real *to = held->to;
    const real *from = (const real *)(const void *)held->bytes;
    if (held->first == 0 && held->end == V(LINE))
        V(put_past)(to, from);
    else
        __builtin_memcpy(to + held->first, from + held->first, (size_t)(held->end - held->first) * sizeof(real));
    held->first = held->end = 0;
}

static void V(store_past)(void *dst, const void *src, int64_t n, cpu_line *held) {
    const real *from = src;
    real *to = dst;
    const int before = (int)((uintptr_t)to % CPU_LINE / sizeof(real));
    if (held->end > held->first && (real *)held->to + held->end != to) V(put_held)(held);
    if (held->end == held->first) held->first = held->end = before;
    while (n > 0) {
        if (held->end == 0)
            for (; n >= V(LINE); n -= V(LINE), to += V(LINE), from += V(LINE))
                V(put_past)(to, from);
        const int64_t room = V(LINE) - held->end, part = n < room ? n : room;
        if (part == 0) break;
        held->to = to - held->end;
        __builtin_memcpy(held->bytes + (size_t)held->end * sizeof(real), from, (size_t)part * sizeof(real));
        held->end += (int)part;
        n -= part, to += part, from += part;
        if (held->end == V(LINE)) V(put_held)(held);
    }
}
