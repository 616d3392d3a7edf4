/* The thread team: one function on all threads at once, and a barrier inside it.
 * Rests on C11 atomics and pthreads. Threads start with the first run, spin for a moment after each, then sleep.
 * Spinning makes a region cost about a microsecond; sleeping keeps an idle or overcommitted machine usable. */
#ifndef BASE_TEAM_H
#define BASE_TEAM_H

#include <soma/context.h>

typedef struct team team;

/* thread counts from 0; threads is how many take part, at most the team's size. */
typedef void team_fn(void *argument, int thread, int threads);

/* NULL after an error. No thread starts yet. */
team *team_create(soma_context *context, int threads);
void team_destroy(team *t);
/* The size asked for; where the system refuses threads, runs have fewer and say so in their argument. */
int team_size(const team *t);
/* Calls function on every thread, the caller as thread 0, and returns when all are done. What the caller wrote before
 * is seen by all, what they wrote is seen after. Two callers take turns; a run inside a run would wait for itself. */
void team_run(team *t, team_fn *function, void *argument);
/* Inside a run, called by every thread of it: returns when all have arrived, with their writes visible. */
void team_barrier(team *t, int thread);

/* CPUs this process may use: affinity, cut by the cgroup's quota. At least 1. */
int team_cpus(void);

#endif
