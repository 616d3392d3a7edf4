/* The thread team.
 * Rests on C11 atomics for the fast path and one mutex with one condition variable for sleeping.
 * Who waits spins first: in a training step the next region or barrier is microseconds away, a system call is not.
 * The sleeping protocol is Dekker's: a waiter counts itself asleep, then looks again; a waker changes what is waited
 * for, then looks for sleepers. Both in sequentially consistent order, so one of the two always sees the other. */
#define _GNU_SOURCE 1
#include "base/team.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "base/apart.h"
#include "base/error.h"
#include "base/memory.h"

enum { SPIN_MICROSECONDS = 100, SPIN_CROWDED = 2, YIELDS_CROWDED = 16, LINE = 64 };

typedef struct worker {
    team *team;
    int thread;
    pthread_t handle;
} worker;

struct team {
    soma_context *context;
    int size;
    int running; /* threads that take part, the caller's included; known after the first run */
    bool started, stopping;
    unsigned forks; /* of this process when the threads were started */
    bool roomy;     /* a CPU for every thread */
    apart apart;
    int spin_microseconds, yields;
    pthread_mutex_t turn; /* held through a run: callers take turns */
    pthread_mutex_t lock; /* for going to sleep and waking sleepers */
    pthread_cond_t wake;
    team_fn *function;
    void *argument;
    _Alignas(LINE) atomic_uint region;    /* counts runs; its change starts the workers */
    _Alignas(LINE) atomic_int unfinished; /* workers still inside this run */
    _Alignas(LINE) atomic_int arrived;    /* threads at the barrier */
    _Alignas(LINE) atomic_uint phase;     /* counts barriers; its change opens the barrier */
    _Alignas(LINE) atomic_int sleepers;
    _Alignas(LINE) worker workers[]; /* size - 1 of them */
};

static void pause_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- waiting ---- */

/* What a wait is for: a counter to leave `from` (runs and phases), or the unfinished to reach zero. */
typedef struct condition {
    atomic_uint *counter;
    unsigned from;
    atomic_int *zero;
} condition;

static bool holds(const condition *c, memory_order order) {
    return c->counter ? atomic_load_explicit(c->counter, order) != c->from : atomic_load_explicit(c->zero, order) == 0;
}

static bool spin(const team *t, const condition *c) {
    for (int i = 0; i < 64; i++) {
        if (holds(c, memory_order_acquire)) return true;
        pause_cpu();
    }
    const int64_t end = now() + (int64_t)t->spin_microseconds * 1000;
    do {
        for (int i = 0; i < 16; i++) {
            if (holds(c, memory_order_acquire)) return true;
            pause_cpu();
        }
    } while (now() < end);
    for (int i = 0; i < t->yields; i++) {
        if (holds(c, memory_order_acquire)) return true;
        sched_yield();
    }
    return false;
}

/* Called by the caller's thread, which the system may have moved whenever it slept. */
static void keep_apart(team *t) {
    if (!t->roomy || !apart_moved(&t->apart)) return;
    for (int i = 1; i < t->running; i++)
        apart_keep_off(&t->apart, t->workers[i - 1].handle);
}

static void wait_for(team *t, const condition *c, int thread) {
    if (spin(t, c)) return;
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&t->sleepers, 1);
    while (!holds(c, memory_order_seq_cst))
        pthread_cond_wait(&t->wake, &t->lock);
    atomic_fetch_sub(&t->sleepers, 1);
    pthread_mutex_unlock(&t->lock);
    if (thread == 0) keep_apart(t);
}

/* After a seq_cst change of what others may wait for. */
static void wake_sleepers(team *t) {
    if (atomic_load(&t->sleepers) == 0) return;
    pthread_mutex_lock(&t->lock);
    pthread_cond_broadcast(&t->wake);
    pthread_mutex_unlock(&t->lock);
}

/* ---- threads ---- */

static void *work(void *argument) {
    const worker *me = argument;
    team *t = me->team;
    for (unsigned seen = 0;; seen++) {
        wait_for(t, &(condition){.counter = &t->region, .from = seen}, me->thread);
        if (t->stopping) return NULL;
        t->function(t->argument, me->thread, t->running);
        if (atomic_fetch_sub(&t->unfinished, 1) == 1) wake_sleepers(t);
    }
}

/* Signals are for the program's own threads. */
static void start_threads(team *t) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    apart_begin(&t->apart);
    t->running = 1;
    while (t->running < t->size) {
        worker *w = &t->workers[t->running - 1];
        *w = (worker){.team = t, .thread = t->running};
        if (pthread_create(&w->handle, NULL, work, w) != 0) break;
        t->running++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    t->started = true;
}

/* How often this process is the child of one that had teams. */
static atomic_uint forks;
static pthread_once_t forks_once = PTHREAD_ONCE_INIT;

static void count_fork(void) {
    atomic_fetch_add_explicit(&forks, 1, memory_order_relaxed);
}

static void watch_forks(void) {
    (void)pthread_atfork(NULL, NULL, count_fork);
}

static void init_locks(team *t) {
    pthread_mutex_init(&t->turn, NULL);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->wake, NULL);
}

/* A child process has the team's memory, at any moment of a run or of a sleep, and none of its threads: they are to be
 * started anew. */
static void look_after_fork(team *t) {
    const unsigned seen = atomic_load_explicit(&forks, memory_order_relaxed);
    if (t->forks == seen) return;
    t->forks = seen;
    t->started = false;
    t->running = 1;
    atomic_store(&t->region, 0);
    atomic_store(&t->unfinished, 0);
    atomic_store(&t->arrived, 0);
    atomic_store(&t->sleepers, 0);
    init_locks(t);
}

static size_t team_bytes(int threads) {
    return sizeof(team) + (size_t)(threads - 1) * sizeof(worker);
}

team *team_create(soma_context *context, int threads) {
    assert(threads >= 1);
    team *t = mem_zalloc(context, team_bytes(threads));
    if (!t) return NULL;
    t->context = context;
    t->size = threads;
    t->running = 1;
    t->roomy = threads <= team_cpus();
    t->spin_microseconds = t->roomy ? SPIN_MICROSECONDS : SPIN_CROWDED;
    t->yields = t->roomy ? 0 : YIELDS_CROWDED;
    pthread_once(&forks_once, watch_forks);
    t->forks = atomic_load_explicit(&forks, memory_order_relaxed);
    init_locks(t);
    return t;
}

void team_destroy(team *t) {
    if (!t) return;
    look_after_fork(t);
    t->stopping = true;
    atomic_fetch_add(&t->region, 1);
    wake_sleepers(t);
    for (int i = 1; i < t->running; i++)
        pthread_join(t->workers[i - 1].handle, NULL);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    pthread_mutex_destroy(&t->turn);
    mem_free(t->context, t, team_bytes(t->size));
}

int team_size(const team *t) {
    return t->size;
}

void team_run(team *t, team_fn *function, void *argument) {
    if (t->size == 1) {
        function(argument, 0, 1);
        return;
    }
    look_after_fork(t);
    pthread_mutex_lock(&t->turn);
    if (!t->started) start_threads(t);
    keep_apart(t);
    t->function = function;
    t->argument = argument;
    atomic_store_explicit(&t->unfinished, t->running - 1, memory_order_relaxed);
    atomic_fetch_add(&t->region, 1);
    wake_sleepers(t);
    function(argument, 0, t->running);
    wait_for(t, &(condition){.zero = &t->unfinished}, 0);
    pthread_mutex_unlock(&t->turn);
}

void team_barrier(team *t, int thread) {
    assert(thread >= 0 && thread < t->running);
    if (t->running == 1) return;
    /* The phase can't change before this thread arrives, so a relaxed look gives the present one. */
    const unsigned phase = atomic_load_explicit(&t->phase, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&t->arrived, 1, memory_order_acq_rel) + 1 < t->running) {
        wait_for(t, &(condition){.counter = &t->phase, .from = phase}, thread);
        return;
    }
    atomic_store_explicit(&t->arrived, 0, memory_order_relaxed); /* before the phase: the next barrier counts from 0 */
    atomic_store(&t->phase, phase + 1);
    wake_sleepers(t);
}
