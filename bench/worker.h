/* A bench program as a worker: it answers each line of stdin by one line of stdout, so that run.py can let several
 * programs take turns. Rests on nothing but libc. Each library has a process of its own: two thread pools in one
 * process fight for the processors, and every library gets the environment it is fastest in. */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

/* Seconds from some fixed moment; where BENCH_CPU_TIME is set those that this process computed, which is one thread's
 * time whatever else the machine does. */
double worker_seconds(void);

/* A piece of work to be timed; zero means it went well. */
typedef int worker_work(void *user);
/* Median seconds of one call, from samples taken during so many seconds after a warm-up; negative if a call failed. */
double worker_time(worker_work *work, void *user, double seconds);

/* Answers a line (without its newline) by printing one line. Nonzero ends the worker with that exit code. */
typedef int worker_answer(void *user, char *line);
/* Answers every line of stdin until its end. */
int worker_serve(worker_answer *answer, void *user);

#endif
