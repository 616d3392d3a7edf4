/* The thread team: everybody takes part, writes are seen, barriers hold, sleeping threads wake.
 * Rests on cmocka. Built with ThreadSanitizer as well; nothing here depends on how fast anything is.
 * Sizes go beyond the machine's processors, as SOMA_THREADS may. */
#define _GNU_SOURCE 1
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "support/failing.h"

enum { MOST = 16, ROUNDS = 200 };

static const int sizes[] = {1, 2, 3, 4, 7, MOST};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void nap(void) {
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

typedef struct shared {
    team *team;
    int threads;
    int64_t value[MOST]; /* plain on purpose: the team must order these */
    int64_t sum[2][MOST];
    int rounds, wrong;
    bool lazy;
} shared;

static void count_me(void *argument, int thread, int threads) {
    shared *s = argument;
    if (thread == 0) s->threads = threads;
    s->value[thread] += 1;
}

static void everybody_takes_part(void **state) {
    (void)state;
    for (int i = 0; i < SIZES; i++) {
        team *t = team_create(NULL, sizes[i]);
        shared s = {0};
        assert_int_equal(team_size(t), sizes[i]);
        for (int round = 1; round <= ROUNDS; round++) {
            team_run(t, count_me, &s);
            assert_int_equal(s.threads, sizes[i]);
            for (int j = 0; j < sizes[i]; j++)
                assert_int_equal(s.value[j], round);
            if (round % 50 == 0) nap(); /* long enough for the workers to sleep */
        }
        team_destroy(t);
    }
}

/* Each thread writes its own number, all add up all numbers between two barriers. */
static void add_up(void *argument, int thread, int threads) {
    shared *s = argument;
    for (int round = 0; round < s->rounds; round++) {
        if (s->lazy && round % threads == thread) nap();
        s->value[thread] = round + thread;
        team_barrier(s->team, thread);
        int64_t sum = 0;
        for (int i = 0; i < threads; i++)
            sum += s->value[i];
        s->sum[round % 2][thread] = sum;
        team_barrier(s->team, thread);
        if (thread == round % threads)
            for (int i = 0; i < threads; i++)
                if (s->sum[round % 2][i] != (int64_t)threads * round + threads * (threads - 1) / 2) s->wrong++;
        team_barrier(s->team, thread);
    }
}

static void check_barriers(int rounds, bool lazy) {
    for (int i = 0; i < SIZES; i++) {
        shared s = {.team = team_create(NULL, sizes[i]), .rounds = rounds, .lazy = lazy};
        for (int run = 0; run < 3; run++)
            team_run(s.team, add_up, &s);
        assert_int_equal(s.wrong, 0);
        assert_int_equal(s.value[sizes[i] - 1], rounds - 1 + sizes[i] - 1);
        team_destroy(s.team);
    }
}

static void barriers_hold(void **state) {
    (void)state;
    check_barriers(ROUNDS, false);
}

static void barriers_hold_when_one_is_late(void **state) {
    (void)state;
    check_barriers(10, true);
}

static void unused_teams_start_nothing(void **state) {
    (void)state;
    failing f;
    soma_context *c = failing_context(&f, 5);
    team *t = context_team(c);
    assert_non_null(t);
    assert_ptr_equal(context_team(c), t);
    assert_int_equal(team_size(t), 5);
    soma_context_destroy(c);
    assert_int_equal(f.blocks, -1); /* the context's own block, which was not counted */
    c = failing_context(&f, 2);
    f.refuse = 0;
    assert_null(context_team(c));
    assert_int_equal(soma_last_status(c), SOMA_NO_MEMORY);
    soma_context_destroy(c);
    team_destroy(NULL);
}

/* Two callers of one team take turns. */
static void *run_often(void *argument) {
    shared *s = argument;
    for (int i = 0; i < ROUNDS; i++)
        team_run(s->team, count_me, s);
    return NULL;
}

static void callers_take_turns(void **state) {
    (void)state;
    shared s = {.team = team_create(NULL, 3)};
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, run_often, &s), 0);
    run_often(&s);
    pthread_join(other, NULL);
    for (int j = 0; j < 3; j++)
        assert_int_equal(s.value[j], 2 * ROUNDS);
    team_destroy(s.team);
}

/* Which has none of the threads that it inherits. */
static void children_have_teams(void **state) {
    (void)state;
#ifndef __SANITIZE_THREAD__ /* which allows no threads in such a child */
    shared s = {.team = team_create(NULL, 3)};
    for (int generation = 0; generation < 2; generation++) { /* before the first run, and while they sleep */
        const pid_t child = fork();
        if (child == 0) {
            alarm(60);
            for (int i = 0; i < ROUNDS; i++)
                team_run(s.team, count_me, &s);
            bool right = true;
            for (int j = 0; j < 3; j++)
                right = right && s.value[j] == (generation + 1) * ROUNDS;
            team_destroy(s.team);
            _exit(right ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        for (int i = 0; i < ROUNDS; i++)
            team_run(s.team, count_me, &s);
        nap();
    }
    team_destroy(s.team);
#endif
}

/* Where the system gives no threads, the caller works alone. A stack larger than the address space is refused. */
static void refused_threads_are_done_without(void **state) {
    (void)state;
    pthread_attr_t before, endless;
    assert_int_equal(pthread_getattr_default_np(&before), 0);
    assert_int_equal(pthread_attr_init(&endless), 0);
    assert_int_equal(pthread_attr_setstacksize(&endless, (size_t)1 << 48), 0);
    assert_int_equal(pthread_setattr_default_np(&endless), 0);
    shared s = {.team = team_create(NULL, 4)};
    team_run(s.team, count_me, &s);
    team_run(s.team, count_me, &s);
    assert_int_equal(pthread_setattr_default_np(&before), 0);
    pthread_attr_destroy(&endless);
    pthread_attr_destroy(&before);
    team_destroy(s.team);
    assert_int_equal(s.threads, 1);
    for (int j = 0; j < MOST; j++)
        assert_int_equal(s.value[j], j == 0 ? 2 : 0);
}

static void note_cpu(void *argument, int thread, int threads) {
    shared *s = argument;
    if (thread == 0) s->threads = threads;
    s->value[thread] = sched_getcpu();
}

/* On whatever CPU the caller is, and wherever it goes between runs, its workers are on others. */
static void workers_keep_off_the_callers_cpu(void **state) {
    (void)state;
    const int cpus = team_cpus();
    cpu_set_t allowed;
    if (cpus < 2 || sched_getaffinity(0, sizeof allowed, &allowed) != 0) skip();
    shared s = {.team = team_create(NULL, cpus < MOST ? cpus : MOST)};
    team_run(s.team, count_me, &s);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET((unsigned)cpu, &allowed)) continue;
        cpu_set_t only;
        CPU_ZERO(&only);
        CPU_SET((unsigned)cpu, &only);
        assert_int_equal(sched_setaffinity(0, sizeof only, &only), 0);
        team_run(s.team, note_cpu, &s);
        assert_int_equal(s.value[0], cpu);
        for (int i = 1; i < s.threads; i++)
            assert_int_not_equal(s.value[i], cpu);
    }
    assert_int_equal(sched_setaffinity(0, sizeof allowed, &allowed), 0);
    team_destroy(s.team);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_takes_part),
        cmocka_unit_test(barriers_hold),
        cmocka_unit_test(barriers_hold_when_one_is_late),
        cmocka_unit_test(unused_teams_start_nothing),
        cmocka_unit_test(callers_take_turns),
        cmocka_unit_test(children_have_teams),
        cmocka_unit_test(refused_threads_are_done_without),
        cmocka_unit_test(workers_keep_off_the_callers_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
