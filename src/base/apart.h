/* Where the threads of a team run: workers off the CPU of their caller.
 * Rests on pthreads; _GNU_SOURCE must be defined. Only the team's own threads are ever bound, never the caller. */
#ifndef BASE_APART_H
#define BASE_APART_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

typedef struct apart {
#ifdef __linux__
    bool known;
    int cpu; /* that the caller was last seen on; -1 at first */
    cpu_set_t allowed;
#else
    char unused;
#endif
} apart;

/* The CPUs that the calling thread may use. */
void apart_begin(apart *a);
/* Notes where the calling thread is; true when that is another CPU than before. */
bool apart_moved(apart *a);
/* Lets the thread run on all CPUs allowed but that one. */
void apart_keep_off(const apart *a, pthread_t thread);

#endif
