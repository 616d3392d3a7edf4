/* Keeps the workers of a team off the CPU of its caller.
 * Rests on Linux' affinity masks; elsewhere nothing is known and nothing done. A thread that is woken is often put on
 * the CPU of the one that woke it, which then spins for what the other can't do: a region of a microsecond took a
 * hundred. Which of the other CPUs a worker takes is left to the system, which sees what else runs there. */
#define _GNU_SOURCE 1
#include "base/apart.h"

#ifdef __linux__

void apart_begin(apart *a) {
    a->cpu = -1;
    a->known = sched_getaffinity(0, sizeof a->allowed, &a->allowed) == 0;
}

bool apart_moved(apart *a) {
    if (!a->known) return false;
    const int cpu = sched_getcpu();
    if (cpu == a->cpu || cpu < 0) return false;
    a->cpu = cpu;
    return true;
}

void apart_keep_off(const apart *a, pthread_t thread) {
    cpu_set_t others = a->allowed;
    CPU_CLR((unsigned)a->cpu, &others);
    if (CPU_COUNT(&others) > 0) (void)pthread_setaffinity_np(thread, sizeof others, &others);
}

#else

void apart_begin(apart *a) {
    (void)a;
}

bool apart_moved(apart *a) {
    (void)a;
    return false;
}

void apart_keep_off(const apart *a, pthread_t thread) {
    (void)a;
    (void)thread;
}

#endif
