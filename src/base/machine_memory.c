/* How much memory this process may use at all: what the machine has, or less when a cgroup says so.
 * Rests on cgroup.h. Swap does not count: a network that is trained from a disk is as good as dead. */
#include "base/machine_memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cgroup.h"

/* memory.max holds bytes or "max", memory.limit_in_bytes a huge number for none. */
static void look(void *user, const char *folder, int version) {
    size_t *limit = user;
    char line[64], *end;
    if (!cgroup_line(folder, version == 2 ? "memory.max" : "memory.limit_in_bytes", line, sizeof line)) return;
    const unsigned long long bytes = strtoull(line, &end, 10);
    if (end != line && bytes > 0 && bytes < *limit) *limit = (size_t)bytes;
}

size_t machine_memory(void) {
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t limit = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : SIZE_MAX;
    cgroup_each("memory", look, &limit);
    return limit;
}
