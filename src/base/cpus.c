/* How many CPUs this process may use.
 * Rests on Linux: the affinity mask, and the CPU quota of the cgroups (version 2 and 1) this process is in.
 * A container often sees all CPUs of its host but may use the time of two; threads beyond that only wait for each
 * other. */
#define _GNU_SOURCE 1
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/team.h"

static bool read_line(const char *path, char *line, size_t size) {
    FILE *f = fopen(path, "re");
    if (!f) return false;
    const bool ok = fgets(line, (int)size, f) != NULL;
    fclose(f);
    return ok;
}

static int ceil_divide(long quota, long period) {
    if (quota <= 0 || period <= 0) return 0;
    const long cpus = (quota - 1) / period + 1;
    return cpus < INT_MAX ? (int)cpus : INT_MAX;
}

/* cpu.max holds "quota period" or "max period". 0: no limit. */
static int quota_v2(const char *folder) {
    char path[4200], line[128], *end;
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (!read_line(path, line, sizeof line)) return 0;
    const long quota = strtol(line, &end, 10);
    return end == line ? 0 : ceil_divide(quota, strtol(end, NULL, 10));
}

static int quota_v1(const char *folder) {
    char path[4200], quota[64], period[64];
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (!read_line(path, quota, sizeof quota)) return 0;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    if (!read_line(path, period, sizeof period)) return 0;
    return ceil_divide(strtol(quota, NULL, 10), strtol(period, NULL, 10));
}

static int tighter(int a, int b) {
    return !a || (b && b < a) ? b : a;
}

/* The tightest quota from the group up to the root: a parent's limit holds for its children. */
static int quota_upward(const char *root, char *group, int (*quota)(const char *)) {
    char folder[4100];
    int limit = quota(root);
    for (;;) {
        snprintf(folder, sizeof folder, "%s%s", root, group);
        limit = tighter(limit, quota(folder));
        char *slash = strrchr(group, '/');
        if (!slash || slash == group) return limit;
        *slash = '\0';
    }
}

static int cgroup_quota(void) {
    FILE *f = fopen("/proc/self/cgroup", "re");
    if (!f) return 0;
    char line[4000];
    int limit = 0;
    while (fgets(line, sizeof line, f)) { /* "id:controllers:/group"; version 2 has no controllers */
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *group++ = '\0';
        controllers++;
        if (!*controllers)
            limit = tighter(limit, quota_upward("/sys/fs/cgroup", group, quota_v2));
        else if (!strcmp(controllers, "cpu") || !strncmp(controllers, "cpu,", 4) || strstr(controllers, ",cpu,") ||
                 (strlen(controllers) > 4 && !strcmp(controllers + strlen(controllers) - 4, ",cpu")))
            limit = tighter(limit, quota_upward("/sys/fs/cgroup/cpu", group, quota_v1));
    }
    fclose(f);
    return limit;
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
    const int cpus = affinity(), limit = cgroup_quota();
    return limit && limit < cpus ? limit : cpus;
}
