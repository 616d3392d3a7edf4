/* The cgroups (version 2 and 1) that this process is in, as folders with the files of their limits.
 * Rests on Linux; elsewhere there are none. */
#ifndef BASE_CGROUP_H
#define BASE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>

/* version is 1 or 2. */
typedef void cgroup_fn(void *user, const char *folder, int version);

/* Calls f for the group and all above it, of version 2 and of the hierarchy of one controller ("cpu", "memory") of
 * version 1: a parent's limit holds for its children. */
void cgroup_each(const char *controller, cgroup_fn *f, void *user);
/* The first line of a file in the folder. */
bool cgroup_line(const char *folder, const char *file, char *line, size_t size);

#endif
