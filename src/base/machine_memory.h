/* How much memory this process may use at all.
 * Rests on the system: physical memory, cut by the limits of the cgroups that the process is in. */
#ifndef BASE_MACHINE_MEMORY_H
#define BASE_MACHINE_MEMORY_H

#include <stddef.h>

/* Bytes; SIZE_MAX when nobody tells. */
size_t machine_memory(void);

#endif
