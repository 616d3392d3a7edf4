/* Keeps the workers of a team off the CPU of its caller.
 * Rests on Linux' affinity masks; elsewhere nothing is known and nothing done. A thread that is woken is often put on
 * the CPU of the one that woke it, which then spins for what the other can't do: a region of a microsecond took a
 * hundred. Which of the other CPUs a worker takes is left to the system, which sees what else runs there. */
#define _GNU_SOURCE 1
#include "base/apart.h"

#include <time.h>

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

int64_t apart_worked(pthread_t thread) {
    clockid_t clock;
    struct timespec t;
    if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &t) != 0) return 0;
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
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

int64_t apart_worked(pthread_t thread) {
    struct timespec t;
    (void)thread;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#endif
