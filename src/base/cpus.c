/* How many CPUs this process may use.
 * Rests on Linux: the affinity mask, and the CPU quota of the cgroups (version 2 and 1) this process is in.
 * A container often sees all CPUs of its host but may use the time of two; threads beyond that only wait for each
 * other. */
#define _GNU_SOURCE 1
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/team.h"

static int ceil_divide(long quota, long period) {
    if (quota <= 0 || period <= 0) return 0;
    const long cpus = (quota - 1) / period + 1;
    return cpus < INT_MAX ? (int)cpus : INT_MAX;
}

/* cpu.max holds "quota period" or "max period". 0: no limit. */
static int quota_v2(const char *folder) {
    char line[128], *end;
    if (!cgroup_line(folder, "cpu.max", line, sizeof line)) return 0;
    const long quota = strtol(line, &end, 10);
    return end == line ? 0 : ceil_divide(quota, strtol(end, NULL, 10));
}

static int quota_v1(const char *folder) {
    char quota[64], period[64];
    if (!cgroup_line(folder, "cpu.cfs_quota_us", quota, sizeof quota)) return 0;
    if (!cgroup_line(folder, "cpu.cfs_period_us", period, sizeof period)) return 0;
    return ceil_divide(strtol(quota, NULL, 10), strtol(period, NULL, 10));
}

static void tighten(void *user, const char *folder, int version) {
    int *limit = user;
    const int quota = version == 2 ? quota_v2(folder) : quota_v1(folder);
    if (!*limit || (quota && quota < *limit)) *limit = quota;
}

static int affinity(void) {
    for (int room = 1024; room <= 1 << 16; room *= 4) { /* big machines need a bigger mask */
        cpu_set_t *set = CPU_ALLOC((size_t)room);
        if (!set) break;
        const size_t bytes = CPU_ALLOC_SIZE((size_t)room);
        const int n = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (n > 0) return n;
    }
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

int team_cpus(void) {
    int limit = 0;
    const int cpus = affinity();
    cgroup_each("cpu", tighten, &limit);
    return limit && limit < cpus ? limit : cpus;
}
